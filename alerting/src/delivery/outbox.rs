//! Delivers what the log says is to be told and was not taken yet (promise P4). The queue is the log: nothing is held in
//! memory but what is under way and what waits for its next attempt, and after a restart the same keys are sent again.
//!
//! Each receiver has a queue of its own ([`pace`](crate::delivery::pace)): one that is down, slow or sends us away holds up
//! no other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keywatch_store::{Instant as WallInstant, Topic};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::delivery::failing_receiver::FailingReceiver;
use crate::delivery::message::{Notification, compose};
use crate::delivery::occasion::PendingNotification;
use crate::delivery::pace::Queue;
use crate::delivery::sink::Sink;
use crate::delivery::webhook::WallClock;
use crate::error::{Error, Fate};
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::alert_log::AlertLog;
use crate::lifecycle::record;
use crate::limits::{RECORD_PAUSE_MS_MAX, RECORD_PAUSE_MS_MIN};

/// Waits between attempts at one delivery.
#[derive(Clone, Debug)]
pub struct Schedule {
    waits: Vec<Duration>,
    endless: bool,
}

impl Schedule {
    /// The given waits; after the last one a notification is put aside.
    #[must_use]
    pub fn new(waits: Vec<Duration>) -> Schedule {
        Schedule { waits, endless: false }
    }

    /// Dense at first, since a page is urgent, then once a minute, so that a receiver that comes back has what it missed
    /// within one; until the receiver's own time to give up.
    #[must_use]
    pub fn pages() -> Schedule {
        Schedule { waits: [1, 2, 5, 10, 30, 60].into_iter().map(Duration::from_secs).collect(), endless: true }
    }

    /// For a decision point that does not answer; the last wait is repeated for as long as it takes.
    #[must_use]
    pub fn revocations() -> Schedule {
        Schedule { waits: [1, 1, 2, 5, 10, 30, 60].into_iter().map(Duration::from_secs).collect(), endless: true }
    }

    /// The waits with the last one repeated for ever; one second where there are none.
    pub(crate) fn without_end(&self) -> impl Iterator<Item = Duration> + Send + Sync + Unpin + use<> {
        let last = self.waits.last().copied().unwrap_or(Duration::from_secs(1));
        self.waits.clone().into_iter().chain(std::iter::repeat(last))
    }

    /// How long to wait after so many `failures` at `key`, the last wait for as long as it takes.
    pub(crate) fn repeated(&self, failures: u32, key: &str) -> Duration {
        let last = u32::try_from(self.waits.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.wait(failures.min(last), key).unwrap_or(Duration::from_secs(1))
    }

    /// How long to wait after so many `failures` at `key`; `None` when it is to be put aside. Each wait is lengthened by
    /// up to a quarter: what failed together does not come back together. The share is drawn from `key`, so that a run
    /// can be repeated.
    fn wait(&self, failures: u32, key: &str) -> Option<Duration> {
        let index = usize::try_from(failures).unwrap_or(usize::MAX);
        let last = if self.endless { self.waits.last() } else { None };
        let wait = *self.waits.get(index).or(last)?;
        let seed = key.bytes().fold(17_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(u32::from(byte)));
        Some(wait + wait * (seed.rotate_left(failures % 32) % 256) / 1_024)
    }
}

/// One receiver.
struct Receiver {
    sink: Arc<dyn Sink>,
    queue: Mutex<QueueState>,
}

struct QueueState {
    queue: Queue,
    /// When somebody will look again; a timer that comes at another time is not it.
    timer: Option<Instant>,
    /// Whether it counts among the busy ones.
    busy: bool,
    /// The log refused a record: taking up the next one would send the same for ever. The next dispatch ends this.
    stalled: bool,
    /// Dead letters since the start, and what the last one was.
    dead: usize,
    /// The last dead letter that nobody was told of.
    untold: Option<(AlertRecord, String)>,
    /// When it last took something, by the wall clock, or the start.
    taken: WallInstant,
    /// When it last took a heartbeat, where it gets any, or the start.
    heartbeat: Option<WallInstant>,
}

/// How a receiver does, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverStatus {
    /// Its name.
    pub name: String,
    /// Notifications that were put aside and can be redriven.
    pub dead: usize,
    /// When it last took something, by the wall clock; until then the start.
    pub last: WallInstant,
    /// When it last took a heartbeat, where it gets any; until then the start.
    pub heartbeat: Option<WallInstant>,
    /// Whether it has failed several times in a row.
    pub down: bool,
}

/// The deliveries.
pub struct Outbox {
    alert_log: Arc<AlertLog>,
    receivers: Vec<Receiver>,
    schedule: Schedule,
    clock: WallClock,
    /// Receivers that have something under way or pending.
    busy: watch::Sender<usize>,
    /// Destinations that said they are gone, each with the notification they said it to.
    gone: Mutex<BTreeMap<String, AlertRecord>>,
}

impl Outbox {
    /// Sends nothing yet. `clock` says since when a receiver fails.
    #[must_use]
    pub fn new(
        alert_log: Arc<AlertLog>,
        sinks: Vec<Arc<dyn Sink>>,
        schedule: Schedule,
        clock: WallClock,
    ) -> Arc<Outbox> {
        let (busy, _) = watch::channel(0);
        let now = clock();
        let receivers = sinks.into_iter().map(|sink| Receiver::new(sink, now)).collect();
        Arc::new(Outbox { alert_log, receivers, schedule, clock, busy, gone: Mutex::default() })
    }

    /// Names of the destinations.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        self.sinks().map(|sink| sink.name().to_owned()).collect()
    }

    /// The destinations.
    pub(crate) fn sinks(&self) -> impl Iterator<Item = &Arc<dyn Sink>> {
        self.receivers.iter().map(|receiver| &receiver.sink)
    }

    /// Destinations that answered that they are gone, each with the alert that they did not take.
    #[must_use]
    pub fn gone(&self) -> BTreeMap<String, AlertRecord> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Receivers that are down while something waits for them, and those that made a dead letter of something since the
    /// last call.
    pub(crate) fn failing_receivers(&self) -> Vec<FailingReceiver> {
        let state = self.alert_log.state();
        let failing = |receiver: &Receiver| {
            let mut queue = receiver.queue();
            let name = receiver.sink.name();
            let (waiting, worst) = (state.waiting(name).0, state.deliveries().worst_waiting(name));
            let untold = queue.untold.take();
            let down = queue.queue.down().zip(worst).map(|(failing, worst)| (worst.clone(), failing.problem.clone()));
            let (worst, problem) = down.or(untold)?;
            Some(FailingReceiver { destination: name.to_owned(), problem, waiting, worst, dead: queue.dead })
        };
        self.receivers.iter().filter_map(failing).collect()
    }

    /// Nobody could be told of these: they are among the next ones.
    pub(crate) fn are_untold(&self, failing: impl Iterator<Item = FailingReceiver>) {
        for FailingReceiver { destination, worst, problem, .. } in failing {
            let receivers = self.receivers.iter().filter(|receiver| receiver.sink.name() == destination);
            for receiver in receivers {
                receiver.queue().untold.get_or_insert_with(|| (worst.clone(), problem.clone()));
            }
        }
    }

    /// How each receiver does.
    pub(crate) fn status(&self) -> Vec<ReceiverStatus> {
        let state = self.alert_log.state();
        let status = |receiver: &Receiver| {
            let queue = receiver.queue();
            let name = receiver.sink.name();
            ReceiverStatus {
                name: name.to_owned(),
                dead: state.deliveries().dead_letters().filter(|letter| letter.destination == name).count(),
                last: queue.taken,
                heartbeat: queue.heartbeat,
                down: queue.queue.down().is_some(),
            }
        };
        self.receivers.iter().map(status).collect()
    }

    /// Says again what stands, to each receiver that wants it: the heartbeat of pagers. One that is slow has as long as an
    /// attempt may take, and delays no other.
    pub(crate) async fn repeat(self: &Arc<Outbox>) {
        let mut saying = JoinSet::new();
        for (index, standing) in self.standing() {
            let outbox = Arc::clone(self);
            saying.spawn(async move {
                let receiver = &outbox.receivers[index];
                match receiver.sink.repeat(&standing).await {
                    Ok(()) => receiver.queue().heartbeat = Some((outbox.clock)()),
                    Err(error) => {
                        tracing::warn!(destination = receiver.sink.name(), %error, "a receiver did not take the open alerts that are repeated to it");
                    }
                }
            });
        }
        while saying.join_next().await.is_some() {}
    }

    /// What each receiver that wants it has to hear again, by its index.
    fn standing(&self) -> Vec<(usize, Vec<Notification>)> {
        let state = self.alert_log.state();
        let now = |system: &str| self.alert_log.time_of(system);
        let wanting = self.receivers.iter().enumerate().filter(|(_, receiver)| receiver.sink.repeats());
        let said = |(index, receiver): (usize, &Receiver)| {
            let standing = state.deliveries().repeated(receiver.sink.name(), state.incidents(), now);
            (index, standing.map(|pending| compose(&pending, &state)).collect())
        };
        wanting.map(said).collect()
    }

    /// Starts delivering what is due, as much as each receiver stands. Call it within a tokio runtime.
    pub fn dispatch(self: &Arc<Outbox>) {
        for (index, receiver) in self.receivers.iter().enumerate() {
            receiver.queue().stalled = false;
            self.advance(index);
        }
    }

    /// Waits until nothing is under way or pending: everything was taken or put aside.
    pub async fn idle(&self) {
        let mut busy = self.busy.subscribe();
        // The sender lives as long as this outbox, so the wait cannot end early.
        let _ = busy.wait_for(|busy| *busy == 0).await;
    }

    /// Begins what is due at one receiver, and sees to it that somebody looks again when something will be.
    fn advance(self: &Arc<Outbox>, index: usize) {
        let Some(receiver) = self.receivers.get(index) else { return };
        let sink = receiver.sink.as_ref();
        let (begun, again) = {
            let state = self.alert_log.state();
            let mut queue = receiver.queue();
            let now = Instant::now();
            let room = if queue.stalled { 0 } else { queue.queue.room(now) };
            let pending = state.undelivered(sink.name(), |key| queue.queue.is_held(key, now), room);
            pending.iter().for_each(|pending| queue.queue.begin(&pending.key));
            let compose = |pending: PendingNotification| {
                let notification = compose(&pending, &state);
                (pending, notification)
            };
            let begun: Vec<(PendingNotification, Notification)> = pending.into_iter().map(compose).collect();
            let waits = state.is_waiting(sink.name(), |key| queue.queue.is_begun(key));
            let look = (waits && !queue.stalled).then(|| queue.queue.look_again(now)).flatten();
            let again = look.filter(|at| queue.timer.is_none_or(|timer| *at < timer));
            queue.timer = again.or(queue.timer);
            let busy = !queue.stalled && (waits || queue.queue.is_under_way());
            self.note_busy(&mut queue, busy);
            (begun, again)
        };
        for (pending, notification) in begun {
            let (outbox, sink) = (Arc::clone(self), Arc::clone(&receiver.sink));
            tokio::spawn(async move { outbox.carry(index, sink.as_ref(), &pending, &notification).await });
        }
        if let Some(at) = again {
            let outbox = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep_until(at.into()).await;
                let Some(outbox) = outbox.upgrade() else { return };
                outbox.receivers[index].queue().timer.take_if(|timer| *timer == at);
                outbox.advance(index);
            });
        }
    }

    fn note_busy(&self, queue: &mut QueueState, busy: bool) {
        if queue.busy != busy {
            queue.busy = busy;
            self.busy.send_modify(|count| *count = if busy { *count + 1 } else { *count - 1 });
        }
    }

    /// Makes one attempt and writes down what came of it.
    async fn carry(
        self: &Arc<Outbox>,
        index: usize,
        sink: &dyn Sink,
        pending: &PendingNotification,
        notification: &Notification,
    ) {
        let outcome = sink.deliver(notification).await;
        let mut pause_ms = RECORD_PAUSE_MS_MIN;
        let written = loop {
            let written = match &outcome {
                Ok(()) => self.taken(index, pending, notification),
                Err(error) => self.failed(index, pending, error),
            };
            match written {
                // It was made, and is not made again because the log cannot say so for a while.
                Err(error) if error.is_outage() => {
                    tracing::warn!(destination = sink.name(), %error, "the result of a delivery is recorded once the log can be written");
                    let is_news = self.receivers[index].queue().queue.has_ended(&pending.key);
                    if is_news {
                        self.advance(index);
                    }
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    pause_ms = pause_ms.saturating_mul(2).min(RECORD_PAUSE_MS_MAX);
                }
                written => break written,
            }
        };
        if let Err(error) = written {
            tracing::error!(destination = sink.name(), %error, "a delivery could not be recorded");
            let mut queue = self.receivers[index].queue();
            queue.queue.drop_attempt(&pending.key);
            queue.stalled = true;
        }
        self.advance(index);
    }

    fn taken(&self, index: usize, pending: &PendingNotification, notification: &Notification) -> Result<(), Error> {
        let receiver = &self.receivers[index];
        let record = record::notified(&pending.record, &pending.key, receiver.sink.name(), &notification.said);
        self.alert_log.append(Topic::Conclusions, vec![record])?;
        let mut queue = receiver.queue();
        queue.queue.taken(&pending.key, Instant::now());
        queue.taken = (self.clock)();
        Ok(())
    }

    /// A failed attempt: it is due again later, or put aside with its reason. The first failure is recorded, so that
    /// people see in the log that a page is late, and that a restart does not begin the time to give up anew.
    fn failed(&self, index: usize, pending: &PendingNotification, error: &Error) -> Result<(), Error> {
        let receiver = &self.receivers[index];
        let (name, key) = (receiver.sink.name(), &pending.key);
        let failures = receiver.queue().queue.failures(key);
        let now = (self.clock)().unix_seconds();
        let since = self.alert_log.state().deliveries().failing_since(name, key);
        let given_up = receiver.sink.pace().give_up_after.as_secs();
        let expired = since.is_some_and(|since| u64::try_from(now - since).is_ok_and(|passed| passed >= given_up));
        let (wait, asked) = match error {
            Error::Undelivered { fate: Fate::Retry(asked), .. } if !expired => {
                (self.schedule.wait(failures, key), *asked)
            }
            _ => (None, None),
        };
        tracing::warn!(destination = name, key, %error, ?wait, "delivery failed");
        let problem = error.to_string();
        let Some(wait) = wait else { return self.put_aside(receiver, pending, error, &problem) };
        if since.is_none() {
            let record = record::undelivered(pending, name, &problem, Some(now));
            match self.alert_log.append(Topic::Conclusions, vec![record]) {
                // It is tried again all the same: a page does not wait for the log. The next failure is written down instead.
                Err(error) if error.is_outage() => {
                    tracing::warn!(destination = name, %error, "a failed delivery is not recorded yet; it is tried again");
                }
                written => drop(written?),
            }
        }
        receiver.queue().queue.failed(key, wait, asked, &problem, Instant::now());
        Ok(())
    }

    fn put_aside(
        &self,
        receiver: &Receiver,
        pending: &PendingNotification,
        error: &Error,
        problem: &str,
    ) -> Result<(), Error> {
        let name = receiver.sink.name();
        let record = record::undelivered(pending, name, problem, None);
        self.alert_log.append(Topic::Conclusions, vec![record])?;
        let is_gone = matches!(error, Error::Undelivered { fate: Fate::Gone, .. });
        if is_gone {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            gone.entry(name.to_owned()).or_insert_with(|| pending.record.clone());
        }
        let mut queue = receiver.queue();
        queue.queue.put_aside(&pending.key);
        queue.dead += 1;
        // That it is gone is told for itself.
        if !is_gone {
            queue.untold = Some((pending.record.clone(), problem.to_owned()));
        }
        Ok(())
    }
}

impl Receiver {
    fn new(sink: Arc<dyn Sink>, now: WallInstant) -> Receiver {
        let state = QueueState {
            queue: Queue::new(sink.pace(), sink.deliveries_max(), Instant::now()),
            timer: None,
            stalled: false,
            busy: false,
            dead: 0,
            untold: None,
            taken: now,
            heartbeat: sink.repeats().then_some(now),
        };
        Receiver { sink, queue: Mutex::new(state) }
    }

    /// Locked after the state where both are.
    fn queue(&self) -> MutexGuard<'_, QueueState> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
