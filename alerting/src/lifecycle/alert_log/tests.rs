//! The log lies, lags or is away, and the state follows it all the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, Weak};

use keywatch_store::event::Origin;
use keywatch_store::log::faulty::{FaultyLog, away};
use keywatch_store::log::memory::MemoryLog;

use super::*;

/// A log to which others write between the records of an append.
struct Shared(MemoryLog);

fn event(kind: &str, id: &str) -> Event {
    let origin = Origin { system: "s".to_owned(), source: "a".to_owned() };
    Event::builder(&origin, id, kind, Instant(1)).build_own()
}

impl FaultyLog for Shared {
    fn records(&self) -> &dyn Log {
        &self.0
    }

    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, StoreError> {
        let mut all = Appended { first: self.0.end(topic), written: Vec::new(), repeats: 0, conflicts: 0 };
        for ours in events {
            all.written.extend(self.0.append(topic, vec![ours])?.written);
            let theirs = event("source.heartbeat", &format!("theirs-{}", self.0.end(topic).0));
            self.0.append(topic, vec![theirs])?;
        }
        Ok(all)
    }
}

/// A log that knows what it did not confirm before it can be read.
#[derive(Default)]
struct Lagging {
    read: MemoryLog,
    unread: Mutex<Vec<Event>>,
}

impl FaultyLog for Lagging {
    fn records(&self) -> &dyn Log {
        &self.read
    }

    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, StoreError> {
        let mut unread = self.unread.lock().unwrap();
        if unread.is_empty() {
            *unread = events;
            return Err(away());
        }
        Ok(Appended { first: self.read.end(topic), written: Vec::new(), repeats: 1, conflicts: 0 })
    }
}

/// A log that has what it does not confirm, where somebody observes it meanwhile, and that cannot be read for a while.
#[derive(Default)]
struct Blind {
    inner: MemoryLog,
    cannot_read: AtomicBool,
    observer: OnceLock<Weak<AlertLog>>,
}

impl FaultyLog for Blind {
    fn records(&self) -> &dyn Log {
        &self.inner
    }

    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, StoreError> {
        let Appended { first, written, .. } = self.inner.append(topic, events)?;
        self.observer.get().and_then(Weak::upgrade).unwrap().observe(first, &written);
        Err(away())
    }

    fn faulty_read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, StoreError> {
        if self.cannot_read.load(Ordering::SeqCst) { Err(away()) } else { self.inner.read(topic, from, records_max) }
    }
}

#[test]
fn p5_a_response_that_cannot_be_read_back_stays_in_doubt_until_it_can() {
    let log = Arc::new(Blind::default());
    let alert_log = Arc::new(AlertLog::open(Arc::clone(&log) as _, Saved::default(), |_, _| ()).unwrap());
    log.observer.set(Arc::downgrade(&alert_log)).unwrap();
    log.cannot_read.store(true, Ordering::SeqCst);
    let failed = alert_log.append(Topic::Events, vec![event("response.failed", "1")]).unwrap_err();
    assert!(failed.is_outage(), "{failed}");
    let save = || alert_log.save(Vec::<u8>::new(), &BTreeMap::new());
    for _ in 0..2 {
        alert_log.observe(Position(1), &[]);
        assert!(matches!(save(), Err(Error::Saved { .. })), "no state is kept without it");
    }
    log.cannot_read.store(false, Ordering::SeqCst);
    alert_log.observe(Position(1), &[]);
    assert_eq!(save().unwrap().events, Position(1));
}

#[test]
fn a_conclusion_that_is_a_repeat_before_it_is_read_back_is_folded_once_it_is() {
    let log = Arc::new(Lagging::default());
    let alert_log = AlertLog::open(Arc::clone(&log) as _, Saved::default(), |_, _| ()).unwrap();
    let ours = vec![event("source.heartbeat", "1")];
    alert_log.append(Topic::Conclusions, ours.clone()).unwrap_err();
    assert!(alert_log.append(Topic::Conclusions, ours.clone()).unwrap().is_empty());
    log.read.append(Topic::Conclusions, ours).unwrap();
    alert_log.observe(Position(0), &[]);
    assert_eq!(alert_log.with_progress(|_, progress| progress.folded.conclusions), Position(1));
}

#[test]
fn conclusions_of_another_process_are_folded_once_wherever_they_stand() {
    let log = Arc::new(Shared(MemoryLog::new()));
    let alert_log = AlertLog::open(Arc::clone(&log) as _, Saved::default(), |_, _| ()).unwrap();
    let folded = || alert_log.with_progress(|_, progress| progress.folded.conclusions);
    let ours = ["1", "2"].map(|id| event("source.heartbeat", id)).to_vec();
    alert_log.append(Topic::Conclusions, ours).unwrap();
    assert_eq!((folded(), log.end(Topic::Conclusions)), (Position(4), Position(4)), "theirs stand between ours");
    log.0.append(Topic::Conclusions, vec![event("source.heartbeat", "theirs")]).unwrap();
    assert_eq!(folded(), Position(4));
    alert_log.follow().unwrap();
    assert_eq!(folded(), Position(5));
}

#[test]
fn responses_between_which_others_write_are_not_folded_again_from_a_kept_state() {
    let log = Arc::new(Shared(MemoryLog::new()));
    let alert_log = AlertLog::open(Arc::clone(&log) as _, Saved::default(), |_, _| ()).unwrap();
    let ours = ["1", "2"].map(|id| event("response.failed", id)).to_vec();
    alert_log.append(Topic::Events, ours).unwrap();
    let events = log.read(Topic::Events, Position(0), 9).unwrap();
    let last = events.iter().rposition(is_response).unwrap();
    assert_eq!((events.len(), last), (4, 2));
    let responses = alert_log.with_progress(|_, progress| progress.folded.responses);
    assert!(Position(0).plus(last) < responses);
}
