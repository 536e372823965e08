//! What nodes say is final, asked for now and then; and the record that more is left than may be. What follows from it is
//! decided in `keywatch_ingest::chain::finality`.

use std::sync::Arc;
use std::time::Duration;

use keywatch_ingest::chain::finality::{self, Finality};
use keywatch_store::Event;
use tokio::time::Instant;

use super::{Chain, Follower};
use crate::clock;
use crate::limits::{FINALITY_LOOK_SECONDS, FINALITY_UNTOLD_SECONDS};
use crate::service::chains::node::{Class, Node, Trouble};

impl<C: Chain> Follower<C> {
    /// Asks nodes what is final, where that is theirs to say. Nodes that do not tell, or not the same, delay what is said of it.
    pub(super) async fn ask_for_finality(&mut self) {
        let (_, again) = self.final_told;
        if self.pace.finality != Finality::Told || again.is_some_and(|again| again > Instant::now()) {
            return;
        }
        let chain = self.chain.as_ref();
        let ask = |node: Arc<Node>| async move {
            chain.sure(&node).await?;
            chain.finalized(&node).await
        };
        let mark = |height: &Option<u64>| height.map(|height| height.to_string()).unwrap_or_default();
        let told = self.endpoints.agreed(ask, mark).await.map(|agreed| agreed.answer);
        // Who does not know the word will hardly learn it soon, and each question counts as an error of the node.
        let seconds = if matches!(told, Ok(None)) { FINALITY_UNTOLD_SECONDS } else { FINALITY_LOOK_SECONDS };
        let again = Instant::now() + Duration::from_secs(seconds);
        self.final_told = (told.ok().flatten().or(self.final_told.0), Some(again));
    }

    /// The record that the nodes' chain leaves all blocks that are remembered, where that is what the trouble is and some of its
    /// blocks were final.
    pub(super) fn left_behind(&self, trouble: &Trouble) -> Option<Event> {
        let cursor = self.cursor.as_ref().filter(|_| trouble.class == Class::TooDeep)?;
        if !finality::is_reverted(cursor, None) {
            return None;
        }
        let now = clock::now();
        let mark = now.nanoseconds().to_string();
        Some(finality::reverted(self.chain.origin(), cursor, self.chain.name(), None, &mark, now))
    }
}
