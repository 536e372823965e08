//! How what followers read gets into the log: away from the threads that talk to nodes, and again while a cluster is away. It
//! knows no chain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use keywatch_store::event::Origin;
use keywatch_store::{Error, Event};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::limits::FOLLOW_RETRY_SECONDS;
use crate::service::intake::Intake;

/// Writes events, the same ones again until a cluster that is away has them: their ids stay, so that what it took before it
/// went away are repeats. Whoever is to stop meanwhile drops this.
///
/// # Errors
/// The log does not take them, and will not.
pub(super) async fn write(
    intake: &Arc<Intake>,
    origin: &Origin,
    chain: &str,
    events: Vec<Event>,
) -> anyhow::Result<()> {
    let (taking, by, of) = (Arc::clone(intake), origin.clone(), chain.to_owned());
    let append = move || taking.accept_followed(&by, &of, events.clone());
    until_taken(append).await.context("a follower cannot write to the log")
}

/// Does an append again until a cluster that is away has it.
///
/// # Errors
/// The log does not take it, and will not.
pub(crate) async fn until_taken(append: impl Fn() -> Result<(), Error> + Send + Sync + 'static) -> anyhow::Result<()> {
    let append = Arc::new(append);
    loop {
        let trying = Arc::clone(&append);
        let written = spawn_blocking(move || trying()).await;
        match written.context("an append broke off")? {
            Err(error @ Error::Unreachable { .. }) => {
                tracing::warn!(%error, "what was read of a source is not written yet; it is tried again");
            }
            written => return Ok(written?),
        }
        sleep(Duration::from_secs(FOLLOW_RETRY_SECONDS)).await;
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::log::faulty::FaultyWriter;
    use keywatch_store::{Instant, Inventory};
    use tokio::sync::Notify;

    use super::*;
    use crate::service::declared::Current;
    use crate::service::metrics::Metrics;

    #[tokio::test]
    async fn p2_what_was_read_of_a_chain_waits_for_a_cluster_that_is_away() {
        let cluster = Arc::new(FaultyWriter::away_for(1));
        let intake = Arc::new(Intake {
            log: Arc::<FaultyWriter>::clone(&cluster),
            inventory: Current::new(Inventory::default()),
            metrics: Metrics::new(),
            appended: Arc::new(Notify::new()),
        });
        let origin = Origin { system: "cold".to_owned(), source: "node".to_owned() };
        let event = Event::builder(&origin, "1", "source.heartbeat", Instant(5)).build().unwrap();
        write(&intake, &origin, "ethereum", vec![event.clone()]).await.unwrap();
        assert_eq!((cluster.ids(), cluster.refusals_left()), (vec![event.event_id()], 0));
    }
}
