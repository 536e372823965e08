//! Waiting while the log cannot be written: what the evaluation has to write is tried again, with growing pauses, until the
//! log takes it or keywatch stops. Nothing is passed over meanwhile, and nothing is done twice, since what is written has the
//! same id each time. It does not know what is written.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keywatch_alerting::Error;
use keywatch_store::{Event, Log, Topic};
use tokio::sync::{Notify, watch};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::limits::{OUTAGE_PAUSE_MS_MAX, OUTAGE_PAUSE_MS_MIN};
use crate::service::readiness::Readiness;

/// The part of `/readyz`.
const PART: &str = "evaluation";

/// What waits while the log cannot be written.
#[derive(Clone)]
pub(crate) struct Outages {
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
}

struct Shared {
    readiness: Arc<Readiness>,
    /// Tasks that wait.
    waiting: AtomicUsize,
    /// Rung when one of them waits no more.
    over: Notify,
}

/// keywatch was told to stop while something waited for the log. It is done after the next start.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keywatch was stopped while the log could not be written")
    }
}

impl std::error::Error for Interrupted {}

/// A task that waits, until it is dropped.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Waiting<'a> {
        shared.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.readiness.clear(PART);
        }
        self.0.over.notify_one();
    }
}

impl Outages {
    /// `readiness` says that something waits; nothing waits any more once `stopping` is true.
    pub(crate) fn new(readiness: Arc<Readiness>, stopping: watch::Receiver<bool>) -> Outages {
        Outages { shared: Arc::new(Shared { readiness, waiting: AtomicUsize::new(0), over: Notify::new() }), stopping }
    }

    /// Attempts something until the log takes it.
    ///
    /// # Errors
    /// [`Interrupted`], or what does not pass by itself.
    pub(crate) async fn persist<T, F: Future<Output = Result<T, Error>>>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> anyhow::Result<T> {
        let (mut waiting, mut pause_ms) = (None, OUTAGE_PAUSE_MS_MIN);
        loop {
            let error = match attempt().await {
                Err(error) if error.is_outage() => error,
                ended => return Ok(ended?),
            };
            waiting.get_or_insert_with(|| Waiting::new(&self.shared));
            tracing::warn!(%error, pause_ms, "the log takes nothing; what was to be written waits");
            self.shared.readiness.obstruct(PART, error.to_string());
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = sleep(Duration::from_millis(pause_ms)) => {}
                _ = stopping.wait_for(|stop| *stop) => return Err(Interrupted.into()),
            }
            pause_ms = pause_ms.saturating_mul(2).min(OUTAGE_PAUSE_MS_MAX);
        }
    }

    /// Returns when something that has waited waits no more.
    pub(crate) async fn over(&self) {
        self.shared.over.notified().await;
    }
}

/// Appends records of the evaluation's own to the events topic; those that were written. Where nothing waits for outages, one
/// is an error.
///
/// # Errors
/// As [`Outages::persist`].
pub(super) async fn append(
    outages: Option<&Outages>,
    log: &dyn Log,
    records: Vec<Event>,
) -> anyhow::Result<Vec<Event>> {
    let attempt = || {
        let appended = block_in_place(|| log.append(Topic::Events, records.clone()));
        std::future::ready(appended.map(|appended| appended.written).map_err(Error::from))
    };
    match outages {
        _ if records.is_empty() => Ok(Vec::new()),
        Some(outages) => outages.persist(attempt).await,
        None => Ok(attempt().await?),
    }
}

/// Who was interrupted has ended as it should.
pub(super) fn unless_interrupted(ended: anyhow::Result<()>) -> anyhow::Result<()> {
    ended.or_else(|error| if error.is::<Interrupted>() { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use keywatch_alerting::{Dependencies, Executor, Policy, Schedule};
    use keywatch_detectors::{Engine, Rule, Settings};
    use keywatch_store::event::Origin;
    use keywatch_store::log::faulty::{self, FaultyLog};
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Appended, Instant, Position};

    use super::*;
    use crate::clock;
    use crate::service::evaluation::pipeline::Pipeline;
    use crate::service::metrics::Metrics;

    /// Tells of every session.
    const SEEN: &str = "/*\nversion: 1\ntitle: t\nseverity: high\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n\
                        SELECT event_id, actor AS entity FROM events WHERE kind = 'session.presented'";

    /// A log that does not take the second and the third append to its conclusions.
    #[derive(Default)]
    struct Away {
        inner: MemoryLog,
        appends: AtomicUsize,
    }

    impl FaultyLog for Away {
        fn records(&self) -> &dyn Log {
            &self.inner
        }

        fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, keywatch_store::Error> {
            let is_away = |append: usize| (1..=2).contains(&append);
            if topic == Topic::Conclusions && is_away(self.appends.fetch_add(1, Ordering::SeqCst)) {
                return Err(faulty::away());
            }
            self.inner.append(topic, events)
        }
    }

    fn away() -> Error {
        faulty::away().into()
    }

    fn outages() -> (Outages, Arc<Readiness>, watch::Sender<bool>) {
        let readiness = Readiness::new(Metrics::new());
        let (stop, stopping) = watch::channel(false);
        (Outages::new(Arc::clone(&readiness), stopping), readiness, stop)
    }

    #[tokio::test]
    async fn what_the_log_does_not_take_is_tried_until_it_does_and_readyz_says_so_meanwhile() {
        let (outages, readiness, _stop) = outages();
        let (attempts, seen) = (Cell::new(0), Cell::new(0));
        let taken = outages.persist(|| {
            let attempt = attempts.replace(attempts.get() + 1);
            seen.set(seen.get() + readiness.obstacles().len());
            async move { if attempt < 3 { Err(away()) } else { Ok(attempt) } }
        });
        assert_eq!(taken.await.unwrap(), 3);
        assert_eq!(seen.get(), 3, "at each attempt but the first");
        assert!(readiness.obstacles().is_empty());
        outages.over().await;
    }

    #[tokio::test]
    async fn what_does_not_pass_is_no_outage_and_who_is_told_to_stop_waits_no_more() {
        let (outages, readiness, stop) = outages();
        let lasting = || async { Err::<(), _>(Error::from(keywatch_store::Error::Closed)) };
        let error = outages.persist(lasting).await.unwrap_err();
        assert!(!error.is::<Interrupted>() && unless_interrupted(Err(error)).is_err());

        let tried = Notify::new();
        let waiting = outages.persist(|| {
            tried.notify_one();
            async { Err::<(), _>(away()) }
        });
        let told = async {
            tried.notified().await;
            stop.send_replace(true);
        };
        let (ended, ()) = tokio::join!(waiting, told);
        assert!(unless_interrupted(ended).is_ok());
        assert!(readiness.obstacles().is_empty(), "nothing waits");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p2_what_is_found_in_an_outage_is_concluded_once_when_it_is_over() {
        let log: Arc<Away> = Arc::default();
        let origin = Origin { system: "cold".to_owned(), source: "idp".to_owned() };
        let mut event = Event::builder(&origin, "1", "session.presented", Instant(1_000_000_000));
        event.actor("ann").time(Instant(1_000_000_000));
        log.append(Topic::Events, vec![event.build_own()]).unwrap();
        let executor = Executor::open(Dependencies {
            log: Arc::clone(&log) as _,
            policy: Policy::default(),
            sites: BTreeMap::new(),
            sinks: Vec::new(),
            deliveries: Schedule::pages(),
            revocations: Schedule::revocations(),
            clock: Arc::new(clock::now),
        });
        let engine = Engine::new(&[Rule::parse("own/seen", SEEN).unwrap()], &Settings::default()).unwrap();
        let (outages, readiness, _stop) = outages();
        let mut pipeline = Pipeline::open(Arc::clone(&log) as _, engine, executor.unwrap(), Metrics::new());
        pipeline.wait_for_log(outages);
        let handled = pipeline.run_to_end().await.unwrap();
        assert_eq!(handled.iter().map(|handled| handled.finding.rule.as_str()).collect::<Vec<_>>(), ["own/seen"]);
        assert_eq!(log.appends.load(Ordering::SeqCst), 4, "the finding once, the alert twice in vain");
        let conclusions = log.read(Topic::Conclusions, Position(0), 9).unwrap();
        let kinds: Vec<&str> = conclusions.iter().map(Event::kind).collect();
        assert_eq!(kinds, ["finding.created", "alert.opened"]);
        assert!(readiness.obstacles().is_empty());
    }
}
