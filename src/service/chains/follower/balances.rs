//! Balances at a rhythm: what wallets hold at the newest block that was read is asked for now and then, whether or not a block
//! touched them. What differs from what events explain is told, and what wallets hold. What that is is decided in
//! `keywatch_ingest::chain::evm::rhythm`.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::U256;
use keywatch_ingest::chain::evm::rhythm::Rhythm;
use keywatch_store::Event;
use tokio::time::Instant;

use super::{Chain, Failure, Follower};
use crate::clock;
use crate::service::chains::node::Node;

/// What was read, and when it is read again.
#[derive(Default)]
pub(super) struct Balances {
    rhythm: Rhythm,
    due: Option<Instant>,
}

impl Balances {
    /// Takes what events of blocks explain.
    pub(super) fn take<C: Chain>(&mut self, chain: &C, events: &[Event]) {
        chain.explain(&mut self.rhythm, events);
    }

    /// After a reorganisation, what was read may be of a block that was left.
    pub(super) fn forget(&mut self) {
        *self = Balances::default();
    }
}

impl<C: Chain> Follower<C> {
    /// Reads balances where that is due. Nodes that do not tell them, or not the same, delay nothing else.
    pub(super) async fn weigh(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.pace.balances == Duration::ZERO || self.balances.due.is_some_and(|due| due > now) {
            return Ok(());
        }
        let tip = self.cursor().tip().clone();
        let (pairs, count) = self.chain.next_balances(&self.balances.rhythm);
        // Each has its turn once in the time, however many there are.
        let share = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let pause = self.pace.balances.saturating_mul(share(pairs.len())) / share(count);
        self.balances.due = now.checked_add(pause);
        if pairs.is_empty() {
            return Ok(());
        }
        let (chain, hash, asked) = (self.chain.as_ref(), tip.hash.as_str(), pairs.as_slice());
        let ask = |node: Arc<Node>| async move {
            chain.sure(&node).await?;
            chain.balances(&node, hash, asked).await
        };
        let mark = |units: &Vec<Option<U256>>| format!("{units:?}");
        let told = self.endpoints.agreed(ask, mark).await;
        match told {
            Ok(agreed) => {
                let read: Vec<_> = pairs.into_iter().zip(agreed.answer).collect();
                let events = chain.weigh(&mut self.balances.rhythm, &tip, &read, clock::now());
                if events.is_empty() { Ok(()) } else { self.write(events).await.map_err(Failure::Log) }
            }
            Err(trouble) => {
                let (chain, source) = (self.chain.name(), self.chain.origin().source.as_str());
                tracing::warn!(chain, source, %trouble, "balances are not read this time");
                Ok(())
            }
        }
    }
}
