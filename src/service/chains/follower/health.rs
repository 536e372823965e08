//! What a follower says of its own health: that nothing can be read, that parts of blocks could not be, and that either is
//! over. What is open stands with the cursor, so that a restart says so too. Which parts there are, each chain knows.

use std::sync::Arc;
use std::time::Duration;

use keywatch_ingest::chain::health::Asked;
use keywatch_store::{Event, Instant};
use tokio::time;

use super::{Chain, Failure, Follower};
use crate::clock;
use crate::limits::{NODE_CALL_SECONDS_MAX, UNWELL_LOOK_SECONDS};
use crate::service::chains::node::{Node, Trouble};

impl<C: Chain> Follower<C> {
    /// Says in the log what is wrong, once until it is right again or something else is wrong.
    pub(super) async fn report(&mut self, trouble: &Trouble) -> anyhow::Result<()> {
        tracing::warn!(chain = self.chain.name(), source = self.chain.origin().source, %trouble, "a chain cannot be followed");
        if self.reported == Some(trouble.class) {
            return Ok(());
        }
        self.reported = Some(trouble.class);
        let now = clock::now();
        let record = self.status(&now.nanoseconds().to_string(), "down", Some(trouble.to_string()), now);
        let broken = self.left_behind(trouble);
        self.write(broken.into_iter().chain([record]).collect()).await
    }

    /// Nodes answer. Says so where it was otherwise, also before a restart; and that parts which could not be read are well
    /// where nobody asks for them any more.
    pub(super) async fn recovered(&mut self) -> Result<(), Failure> {
        let was_down = self.reported.take().is_some() || self.was_down;
        self.was_down = false;
        let chain = Arc::clone(&self.chain);
        let is_well = self.cursor_mut().unwell_mut().keep(|part| chain.asks(part));
        if was_down || is_well { self.say_standing().await } else { Ok(()) }
    }

    /// Looks whether parts that could not be read can be by now. Wallets may rest for months, and a node that was behind has
    /// what it lacked long before the next of their blocks.
    pub(super) async fn look_again(&mut self) -> Result<(), Failure> {
        let now = time::Instant::now();
        if self.cursor().unwell().is_empty() || self.looks_at.is_some_and(|at| at > now) {
            return Ok(());
        }
        self.looks_at = Some(now + Duration::from_secs(UNWELL_LOOK_SECONDS));
        let hash = self.cursor().tip().hash.clone();
        let open: Vec<String> = self.cursor().unwell().parts().map(str::to_owned).collect();
        let mut told = Asked::default();
        let look = async {
            for part in &open {
                let (chain, hash) = (self.chain.as_ref(), hash.as_str());
                let ask = |node: Arc<Node>| async move {
                    chain.sure(&node).await?;
                    chain.tells(&node, hash, part).await
                };
                // Nodes that do not answer are the next turn's matter.
                if self.endpoints.agreed(ask, bool::to_string).await.is_ok_and(|agreed| agreed.answer) {
                    told.answers(part);
                }
            }
        };
        // However many parts are open, a node that hangs keeps blocks waiting no longer than one question may.
        let _ = time::timeout(Duration::from_secs(NODE_CALL_SECONDS_MAX), look).await;
        if self.cursor_mut().unwell_mut().take(&told) { self.say_standing().await } else { Ok(()) }
    }

    /// The record that what could not be read of blocks is read again; `id` is of the block that shows it.
    pub(super) fn well_again(&self, id: &str, time: Instant) -> Event {
        self.status(id, "ok", None, time)
    }

    /// The record of how things stand, behind old blocks that were taken without some of their parts: what is missing of them
    /// stays so, and is nothing that is wrong now.
    pub(super) fn standing(&self) -> Event {
        let open: Vec<&str> = self.cursor().unwell().parts().collect();
        let (outcome, reason) = match open.as_slice() {
            [] => ("ok", None),
            open => ("degraded", Some(format!("not read of blocks, and not since: {}", open.join(", ")))),
        };
        let now = clock::now();
        self.status(&now.nanoseconds().to_string(), outcome, reason, now)
    }

    async fn say_standing(&self) -> Result<(), Failure> {
        self.write(vec![self.standing()]).await.map_err(Failure::Log)
    }

    fn status(&self, id: &str, outcome: &str, reason: Option<String>, time: Instant) -> Event {
        let id = format!("status/{}/{id}", self.chain.name());
        let mut event = Event::builder(self.chain.origin(), &id, "source.status", time);
        event.chain(self.chain.name()).outcome(outcome).reason(reason);
        event.build_own()
    }
}
