//! The loop of a source that is asked: a page, its events and the cursor behind it in one append, and a wait. It knows no
//! service and no format.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use keywatch_ingest::{Context, Feed, Reading, Reject};
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant, line};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::cursor::Cursor;
use super::service::{Class, Trouble};
use crate::clock;
use crate::limits::{PULL_KNOWN_MAX, PULL_PAGE_MILLISECONDS, PULL_REST_SECONDS_MAX, PULL_SAID_SECONDS};
use crate::service::chains::writing;
use crate::service::intake::Intake;
use crate::service::turns::{self, unless_stopped};

/// A list that is asked for page by page.
pub(super) trait Pull: Send + Sync + 'static {
    /// The page behind a cursor.
    fn page(&self, cursor: &Cursor, now: Instant) -> impl Future<Output = Result<Page, Trouble>> + Send;
}

/// A look that blocks, away from the threads that serve others.
///
/// # Errors
/// Those of the look.
pub(super) async fn blocking_look(
    look: impl FnOnce() -> Result<Page, Trouble> + Send + 'static,
) -> Result<Page, Trouble> {
    let looked = spawn_blocking(look).await;
    looked.unwrap_or_else(|error| Err(Trouble::new(Class::Unreachable, format!("a look broke off: {error}"))))
}

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What the feed reads; nothing where it is empty.
    pub(super) body: Vec<u8>,
    /// What never gets to the feed.
    pub(super) rejects: Vec<Reject>,
    /// What was found out about the list itself.
    pub(super) events: Vec<Event>,
    /// The time of its newest record, by the service.
    pub(super) newest: Option<Instant>,
    /// Where the list goes on; `None` at its end.
    pub(super) next: Option<String>,
    /// Ids to be acknowledged once the page is durable, or what else the next look has to know.
    pub(super) taken: Vec<String>,
    /// Ids to be told as refused, with the reason.
    pub(super) refused: BTreeMap<String, String>,
    /// Whether there is more at once.
    pub(super) more: bool,
    /// How long the service asks to be left alone.
    pub(super) rest: Option<Duration>,
}

/// Asks one list for one source.
pub(super) struct Puller<P> {
    pub(super) list: P,
    pub(super) feed: &'static dyn Feed,
    pub(super) origin: Origin,
    /// What tells the lists of one source apart.
    pub(super) stream: String,
    pub(super) poll: Duration,
    pub(super) intake: Arc<Intake>,
    pub(super) cursor: Cursor,
    known: Known,
    /// When something was last written.
    written: Option<Instant>,
    /// What is wrong, as the log says it.
    reported: Option<Class>,
}

type Failure = turns::Failure<Trouble>;

impl<P: Pull> Puller<P> {
    /// A puller that goes on from `cursor`, where the log says that it stopped.
    pub(super) fn open(
        list: P,
        feed: &'static dyn Feed,
        (origin, stream): (Origin, String),
        poll: Duration,
        cursor: Cursor,
        intake: Arc<Intake>,
    ) -> Puller<P> {
        let known = Known::default();
        Puller { list, feed, origin, stream, poll, intake, cursor, known, written: None, reported: None }
    }

    /// Asks until `stopping` becomes true.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut failures = 0_u32;
        loop {
            // A service that does not answer holds up no stop. What is being appended is appended whole all the same.
            let Some(turned) = unless_stopped(&mut stopping, pin!(self.turn())).await else { return Ok(()) };
            let pause = match turned {
                Ok(pause) => {
                    failures = 0;
                    pause
                }
                Err(Failure::Log(error)) => return Err(error),
                Err(Failure::Trouble(trouble)) => {
                    let doubled = (1_u64 << failures.min(10)).min(PULL_REST_SECONDS_MAX);
                    failures = failures.saturating_add(1);
                    self.report(&trouble).await?;
                    trouble.rest.unwrap_or(Duration::from_secs(doubled))
                }
            };
            if unless_stopped(&mut stopping, sleep(pause)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes a page; gives how long to wait for the next.
    async fn turn(&mut self) -> Result<Duration, Failure> {
        let now = clock::now();
        let page = match self.list.page(&self.cursor, now).await {
            Ok(page) => page,
            Err(trouble) => {
                if trouble.class == Class::Gone {
                    // The list is asked for anew, from a time; what was taken is known by its ids.
                    self.cursor.next = None;
                }
                return Err(trouble.into());
            }
        };
        let (mut events, rejected) = self.read(&page, now);
        self.recovered().await?;
        // A forged time ahead of all others must not make the list begin behind what is still to come.
        let newest = page.newest.map(|newest| newest.min(now)).max(self.cursor.newest);
        // A list that goes on where it is would go on forever, and what is known comes again because it was not acknowledged.
        let next = page.next.filter(|next| Some(next) != self.cursor.next.as_ref());
        let (more, rest) = (next.is_some() || page.more && !events.is_empty(), page.rest);
        let cursor = Cursor { newest, next, taken: page.taken, refused: page.refused };
        let told: Vec<Key> = events.iter().map(Known::key).collect();
        if !events.is_empty() || self.is_due(now) {
            events.push(cursor.record(&self.origin, &self.stream, events.len(), now));
            self.write(events, rejected).await.map_err(Failure::Log)?;
            self.written = Some(now);
        }
        self.known.add_all(told);
        self.cursor = cursor;
        Ok(rest.unwrap_or(if more { Duration::from_millis(PULL_PAGE_MILLISECONDS) } else { self.poll }))
    }

    /// The events of a page that were not taken before, and how many of them are rejects.
    fn read(&mut self, page: &Page, now: Instant) -> (Vec<Event>, usize) {
        let inventory = self.intake.inventory.now();
        let context = Context { origin: &self.origin, inventory: Some(&inventory) };
        let reading = if page.body.is_empty() { Reading::default() } else { self.feed.read(&context, &page.body) };
        let found = reading.events.into_iter().chain(page.events.iter().cloned());
        let mut events: Vec<Event> = found.filter(|event| !self.known.has(event)).collect();
        // A record that cannot be read comes again as long as the list reaches back to it, and is kept once.
        let rejects = page.rejects.iter().chain(&reading.rejects).filter(|reject| self.known.is_new(reject));
        let rejects: Vec<Event> =
            rejects.map(|reject| reject.into_event(&self.origin, self.feed.name(), now)).collect();
        let rejected = rejects.len();
        events.extend(rejects);
        (events, rejected)
    }

    /// Whether a list that has nothing new should say that it was asked.
    fn is_due(&self, now: Instant) -> bool {
        self.written.is_none_or(|written| now.0.saturating_sub(written.0) >= PULL_SAID_SECONDS * SECOND_NS)
    }

    /// Says in the log what is wrong, once until it is right again or something else is wrong.
    async fn report(&mut self, trouble: &Trouble) -> anyhow::Result<()> {
        tracing::warn!(source = self.origin.source, list = self.stream, %trouble, "cannot pull");
        let labels = [self.origin.system.as_str(), self.origin.source.as_str(), trouble.class.name()];
        self.intake.metrics.pull_errors.with_label_values(&labels).inc();
        if self.reported == Some(trouble.class) {
            return Ok(());
        }
        self.reported = Some(trouble.class);
        // A service that asks for fewer requests is well.
        let outcome = if trouble.class == Class::RateLimited { "degraded" } else { "down" };
        self.status(outcome, Some(trouble.to_string())).await
    }

    async fn recovered(&mut self) -> Result<(), Failure> {
        if self.reported.take().is_some() {
            self.status("ok", None).await.map_err(Failure::Log)?;
        }
        Ok(())
    }

    async fn status(&self, outcome: &str, reason: Option<String>) -> anyhow::Result<()> {
        let now = clock::now();
        let id = format!("status/{}/{}", self.stream, now.nanoseconds());
        let mut event = Event::builder(&self.origin, &id, "source.status", now);
        event.outcome(outcome).reason(reason);
        let (intake, feed, origin) = (Arc::clone(&self.intake), self.feed.name(), self.origin.clone());
        let event = event.build_own();
        // What keywatch says of the source is no sign of life of it.
        let append = move || intake.accept_followed(&origin, feed, vec![event.clone()]);
        writing::until_taken(append).await.context("a puller cannot write to the log")
    }

    async fn write(&self, events: Vec<Event>, rejected: usize) -> anyhow::Result<()> {
        let (intake, feed) = (Arc::clone(&self.intake), self.feed.name());
        let origin = self.origin.clone();
        let append = move || intake.accept_pulled(&origin, feed, events.clone(), rejected);
        writing::until_taken(append).await.context("a puller cannot write to the log")
    }
}

/// A record by everything that it says: one that says something else under its old id is for the log to judge.
type Key = [u8; 32];

/// What this process has taken lately. The log would skip it too; here it costs no append.
#[derive(Default)]
struct Known {
    keys: HashSet<Key>,
    order: VecDeque<Key>,
}

impl Known {
    fn key(event: &Event) -> Key {
        Sha256::digest(line::write(event)).into()
    }

    fn has(&self, event: &Event) -> bool {
        self.keys.contains(&Known::key(event))
    }

    fn add_all(&mut self, keys: Vec<Key>) {
        for key in keys {
            self.add(key);
        }
    }

    /// Whether a reject was not seen before; from now on it was.
    fn is_new(&mut self, reject: &Reject) -> bool {
        let mut digest = Sha256::new();
        for part in [&reject.field, &reject.reason, &reject.raw] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        digest.update(reject.bytes.to_be_bytes());
        self.add(digest.finalize().into())
    }

    fn add(&mut self, key: Key) -> bool {
        let is_new = self.keys.insert(key);
        if is_new {
            self.order.push_back(key);
            if self.order.len() > PULL_KNOWN_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.keys.remove(&oldest);
            }
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_known_until_so_much_else_was_taken() {
        let mut known = Known::default();
        let key = |number: usize| -> Key { Sha256::digest(number.to_be_bytes()).into() };
        known.add_all(vec![key(1), key(1)]);
        known.add_all((2..=PULL_KNOWN_MAX).map(key).collect());
        assert!(known.keys.contains(&key(1)), "{PULL_KNOWN_MAX} are known");
        known.add_all(vec![key(PULL_KNOWN_MAX + 1)]);
        assert!(!known.keys.contains(&key(1)) && known.keys.contains(&key(2)));
        assert_eq!(known.keys.len(), PULL_KNOWN_MAX);
    }

    #[test]
    fn a_record_that_says_something_else_under_its_old_id_is_not_known() {
        let origin = Origin { system: "cold".into(), source: "idp".into() };
        let event = |actor: &str| {
            let mut event = Event::builder(&origin, "e-1", "session.started", Instant(1));
            event.actor(actor);
            event.build_own()
        };
        let mut known = Known::default();
        known.add_all(vec![Known::key(&event("ann"))]);
        assert!(known.has(&event("ann")) && !known.has(&event("eve")));
    }
}
