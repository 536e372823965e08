//! What a log that hangs, or that fails for a while, does to alerting: who looks waits for nothing, the state follows the
//! order of the log, and what was in doubt is folded once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use keywatch_alerting::Saved;
use keywatch_alerting::error::{Fate, Remedy};
use keywatch_alerting::lifecycle::alert_log::AlertLog;
use keywatch_alerting::lifecycle::record;
use keywatch_store::log::faulty::FaultyLog;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Appended, Error as StoreError, Event, Finding, Log, Position, Severity, Topic};
use tokio::sync::Notify;

use crate::support::receivers::{Scripted, plain, undelivered};
use crate::support::{FaultyPdp, MortalLog, allowed, executor, finding, unconfirmed, until};

const LONG: Duration = Duration::from_secs(30);

/// What an append does first or last.
type Beside = Box<dyn Fn(&MemoryLog) -> Result<(), StoreError> + Send + Sync>;

/// A log with something beside each append.
struct BesideLog {
    inner: MemoryLog,
    before: Beside,
    after: Beside,
}

impl BesideLog {
    fn before(before: impl Fn(&MemoryLog) -> Result<(), StoreError> + Send + Sync + 'static) -> Arc<BesideLog> {
        Arc::new(BesideLog { inner: MemoryLog::new(), before: Box::new(before), after: Box::new(|_| Ok(())) })
    }

    fn after(after: impl Fn(&MemoryLog) -> Result<(), StoreError> + Send + Sync + 'static) -> Arc<BesideLog> {
        Arc::new(BesideLog { inner: MemoryLog::new(), before: Box::new(|_| Ok(())), after: Box::new(after) })
    }
}

impl FaultyLog for BesideLog {
    fn records(&self) -> &dyn Log {
        &self.inner
    }

    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, StoreError> {
        (self.before)(&self.inner)?;
        let appended = self.inner.append(topic, events)?;
        (self.after)(&self.inner)?;
        Ok(appended)
    }
}

fn open(log: Arc<BesideLog>) -> AlertLog {
    AlertLog::open(log, Saved::default(), |_, _| ()).unwrap()
}

fn found(id: &str) -> Vec<Event> {
    vec![record::finding_created(&finding(id, 0))]
}

/// An append that says that it has begun, and waits until the sender of the second is gone.
fn hang(
    is_hanging: &Arc<AtomicBool>,
) -> (impl Fn(&MemoryLog) -> Result<(), StoreError> + Send + Sync + use<>, Receiver<()>, SyncSender<()>) {
    let (enter, entered) = sync_channel(1);
    let (gate, wait) = sync_channel::<()>(1);
    let (is_hanging, wait) = (Arc::clone(is_hanging), Mutex::new(wait));
    let hang = move |_: &MemoryLog| -> Result<(), StoreError> {
        if is_hanging.load(Ordering::SeqCst) {
            enter.send(()).unwrap();
            let _ = wait.lock().unwrap().recv();
        }
        Ok(())
    };
    (hang, entered, gate)
}

#[test]
fn whoever_looks_waits_for_no_append_and_who_appends_not_behind_one_that_hangs() {
    let is_hanging = Arc::new(AtomicBool::new(true));
    let (hang, entered, gate) = hang(&is_hanging);
    let alert_log = open(BesideLog::before(hang)).with_patience(Duration::ZERO);
    let alert_log = &alert_log;
    let unplanned = move || alert_log.state().unplanned().count();
    thread::scope(|scope| {
        let hanging = scope.spawn(move || alert_log.append(Topic::Conclusions, found("1")));
        entered.recv_timeout(LONG).unwrap();
        is_hanging.store(false, Ordering::SeqCst);
        let (looked, seen) = sync_channel(1);
        scope.spawn(move || looked.send(unplanned()));
        assert_eq!(seen.recv_timeout(LONG).unwrap(), 0, "what is not durable does not count");

        let refused = alert_log.append(Topic::Conclusions, found("2")).unwrap_err();
        assert!(refused.is_outage() && refused.remedy() == Remedy::Retry, "{refused}");
        assert!(refused.to_string().contains("the log cannot be written just now"), "{refused}");
        assert_eq!(alert_log.append(Topic::Events, vec![allowed("d-1")]).unwrap().len(), 1, "each topic has its turns");
        // Where one of these fails, the thread that hangs is let go too.
        drop(gate);
        assert_eq!(hanging.join().unwrap().unwrap().len(), 1);
    });
    assert_eq!(unplanned(), 1);
    alert_log.append(Topic::Conclusions, found("2")).unwrap();
    assert_eq!(unplanned(), 2);
}

#[test]
fn the_state_has_everything_before_when_an_append_begins() {
    let opened: Arc<OnceLock<Weak<AlertLog>>> = Arc::default();
    let of = Arc::clone(&opened);
    let log = BesideLog::before(move |log| {
        let alert_log = of.get().and_then(Weak::upgrade).unwrap();
        let folded = alert_log.state().unplanned().count();
        assert_eq!(folded as u64, log.end(Topic::Conclusions).0);
        Ok(())
    });
    let alert_log = Arc::new(open(log));
    opened.set(Arc::downgrade(&alert_log)).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let alert_log = &alert_log;
            scope.spawn(move || {
                for number in 0..25 {
                    alert_log.append(Topic::Conclusions, found(&format!("{thread}-{number}"))).unwrap();
                }
            });
        }
    });
    assert_eq!(alert_log.state().unplanned().count(), 100);
}

#[tokio::test]
async fn p2_what_the_log_has_without_having_said_so_is_done_once() {
    for topic in Topic::ALL {
        let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
        log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
        let executor = executor(&log, &pdp, Vec::new());
        executor.resume().await.unwrap();
        log.is_silent_about(Some(topic));
        let error = executor.take(&finding("1", 0)).await.unwrap_err();
        assert!(error.is_outage(), "{error}");
        if topic == Topic::Events {
            let unknown = executor.save(std::io::sink()).unwrap_err().to_string();
            assert!(unknown.contains("not known yet"), "{unknown}");
        }
        log.is_silent_about(None);
        executor.observe(Position(0), &log.all(Topic::Events));
        executor.take(&finding("1", 0)).await.unwrap();
        executor.refresh().await.unwrap();
        let events = log.kinds(Topic::Events);
        assert_eq!(events[1..], ["response.requested", "response.published", "response.verified"], "{topic:?}");
        assert_eq!(log.kinds(Topic::Conclusions), ["finding.created", "alert.opened"], "{topic:?}");
        executor.save(std::io::sink()).unwrap();
    }
}

#[tokio::test]
async fn p4_what_was_delivered_is_not_delivered_again_while_the_log_cannot_say_so() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let breaking = Arc::clone(&log);
    let sink = Scripted::new("ops", move |attempt| {
        if attempt == 0 {
            breaking.is_silent_about(Some(Topic::Conclusions));
        }
        Box::pin(async { Ok(()) })
    });
    let executor = executor(&log, &pdp, vec![Arc::clone(&sink) as _]);
    let page = Finding { response: Vec::new(), ..finding("1", 0) };
    executor.take(&page).await.unwrap();
    until("the delivery was made and written down", || log.of_kind("alert.notified").len() == 1).await;
    assert_eq!(executor.with_state(|state| state.waiting("ops").0), 1, "the log did not confirm it");
    log.is_silent_about(None);
    executor.idle().await;
    assert_eq!((sink.attempts(), log.of_kind("alert.notified").len()), (1, 1));
}

#[tokio::test]
async fn p4_the_next_is_told_while_the_log_cannot_say_that_the_one_before_was() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let gate = Arc::new(Notify::new());
    let (breaking, opened) = (Arc::clone(&log), Arc::clone(&gate));
    let sink = Scripted::new("ops", move |attempt| {
        let (log, gate) = (Arc::clone(&breaking), Arc::clone(&opened));
        Box::pin(async move {
            if attempt == 0 {
                gate.notified().await;
                log.is_silent_about(Some(Topic::Conclusions));
            }
            Ok(())
        })
    });
    let executor = executor(&log, &pdp, vec![Arc::clone(&sink) as _]);
    for id in ["1", "2"] {
        executor.take(&plain(id, Severity::High, 0)).await.unwrap();
    }
    gate.notify_one();
    until("both are told", || sink.attempts() == 2).await;
    assert_eq!(executor.with_state(|state| state.waiting("ops").0), 2, "the log did not confirm it");
    log.is_silent_about(None);
    executor.idle().await;
    assert_eq!((sink.attempts(), log.of_kind("alert.notified").len()), (2, 2));
}

#[tokio::test]
async fn p4_what_failed_is_tried_again_also_while_the_log_cannot_say_that_it_failed() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let breaking = Arc::clone(&log);
    let sink = Scripted::new("ops", move |attempt| {
        let ended = if attempt == 0 {
            breaking.is_silent_about(Some(Topic::Conclusions));
            Err(undelivered("ops", "connection refused", Fate::Retry(None)))
        } else {
            Ok(())
        };
        Box::pin(async { ended })
    });
    let executor = executor(&log, &pdp, vec![Arc::clone(&sink) as _]);
    executor.take(&Finding { response: Vec::new(), ..finding("1", 0) }).await.unwrap();
    until("it was tried again", || sink.attempts() == 2).await;
    log.is_silent_about(None);
    executor.idle().await;
    assert_eq!((sink.attempts(), log.of_kind("alert.notified").len()), (2, 1));
}

#[tokio::test]
async fn a_response_that_was_seen_before_its_append_failed_is_folded_then() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
    executor(&log, &pdp, Vec::new()).take(&finding("1", 0)).await.unwrap();
    let requested = log.of_kind("response.requested");
    assert_eq!(requested.len(), 1);

    let opened: Arc<OnceLock<Weak<AlertLog>>> = Arc::default();
    let of = Arc::clone(&opened);
    let log = BesideLog::after(move |log| {
        let alert_log = of.get().and_then(Weak::upgrade).unwrap();
        alert_log.observe(Position(0), &log.read(Topic::Events, Position(0), 9)?);
        assert_eq!(alert_log.state().responses().open().len(), 0, "who appends it folds it");
        Err(unconfirmed())
    });
    let alert_log = Arc::new(open(log));
    opened.set(Arc::downgrade(&alert_log)).unwrap();
    alert_log.append(Topic::Events, requested).unwrap_err();
    assert_eq!(alert_log.state().responses().open().len(), 1);
}
