//! Receivers that can be switched off or answer as a test says, findings to tell them of, and what people do with their incidents.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use keywatch_alerting::delivery::message::Notification;
use keywatch_alerting::delivery::sink::Attempt;
use keywatch_alerting::lifecycle::handling::{Act, Verdict};
use keywatch_alerting::{Dependencies, Error, Executor, Fate, Pace, Policy, Route, Schedule, Sink};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Finding, Log, Severity, Topic};

use crate::support::{MortalLog, SYSTEM, at, finding, inventory, milliseconds, wall_clock};

/// A receiver within the test: down until it is said to be up.
pub(crate) struct Switch {
    name: &'static str,
    pace: Pace,
    pub(crate) up: AtomicBool,
    pub(crate) attempts: AtomicUsize,
    pub(crate) got: Mutex<Vec<Notification>>,
}

impl Switch {
    pub(crate) fn new(name: &'static str, up: bool) -> Arc<Switch> {
        Switch::with_pace(name, up, Pace::default())
    }

    pub(crate) fn with_pace(name: &'static str, up: bool, pace: Pace) -> Arc<Switch> {
        Arc::new(Switch { name, pace, up: AtomicBool::new(up), attempts: AtomicUsize::new(0), got: Mutex::default() })
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|told| told.key.clone()).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.got.lock().unwrap().iter().map(|told| told.kind).collect()
    }
}

impl Sink for Switch {
    fn name(&self) -> &str {
        self.name
    }

    fn deliveries_max(&self) -> usize {
        4
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(async move {
            self.attempts.fetch_add(1, Ordering::SeqCst);
            if !self.up.load(Ordering::SeqCst) {
                return Err(undelivered(self.name, "connection refused", Fate::Retry(None)));
            }
            self.got.lock().unwrap().push(notification.clone());
            Ok(())
        })
    }
}

/// A receiver within the test that takes one notification at a time, and of which the test says what each attempt does, by
/// its number from 0.
pub(crate) struct Scripted {
    name: &'static str,
    attempt: Box<dyn Fn(usize) -> Attempt<'static> + Send + Sync>,
    attempts: AtomicUsize,
}

impl Scripted {
    pub(crate) fn new(
        name: &'static str,
        attempt: impl Fn(usize) -> Attempt<'static> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        Arc::new(Scripted { name, attempt: Box::new(attempt), attempts: AtomicUsize::new(0) })
    }

    /// How many attempts have begun.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }
}

impl Sink for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn deliveries_max(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a self, _notification: &'a Notification) -> Attempt<'a> {
        Box::pin(async { (self.attempt)(self.attempts.fetch_add(1, Ordering::SeqCst)).await })
    }
}

/// Why an attempt failed.
pub(crate) fn undelivered(destination: &str, problem: &str, fate: Fate) -> Error {
    Error::Undelivered { destination: destination.into(), problem: problem.into(), fate }
}

pub(crate) fn executor(
    log: &Arc<MortalLog>,
    sinks: Vec<Arc<dyn Sink>>,
    routes: Vec<Route>,
    deliveries: Schedule,
) -> Executor {
    let mut policy = Policy { routes, ..Policy::default() };
    policy.adopt(&inventory());
    let dependencies = Dependencies {
        log: Arc::clone(log) as _,
        policy,
        sites: BTreeMap::new(),
        sinks,
        deliveries,
        revocations: milliseconds(&[5]),
        clock: wall_clock(),
    };
    Executor::open(dependencies).unwrap()
}

/// A finding that asks for nothing and shares nothing with others: an incident of its own.
pub(crate) fn plain(id: &str, severity: Severity, seconds: i64) -> Finding {
    Finding {
        entity: id.into(),
        severity,
        response: Vec::new(),
        wallet: None,
        session: None,
        request: None,
        ..finding(id, seconds)
    }
}

/// The same, found again and worse.
pub(crate) fn worse(found: &Finding) -> Finding {
    Finding { severity: Severity::Critical, id: "ff".repeat(16), ..found.clone() }
}

/// Longer than any test waits.
pub(crate) fn often() -> Schedule {
    milliseconds(&vec![5; 20_000])
}

pub(crate) fn route(text: &str) -> Route {
    serde_json::from_value(serde_json::from_str(text).unwrap()).unwrap()
}

/// The incident of a finding.
pub(crate) fn incident_of(executor: &Executor, finding: &Finding) -> String {
    executor.with_state(|state| state.alert(finding).unwrap().incident.clone())
}

/// Ann does that to the incident of a finding.
pub(crate) async fn operate(executor: &Executor, finding: &Finding, act: Act) {
    let incident = incident_of(executor, finding);
    assert!(executor.operate(&incident, "ann", None, act, wall_clock()()).await.unwrap().changed);
}

pub(crate) fn resolve() -> Act {
    Act::Resolve { verdict: Verdict::Benign, reason: "it was a drill".into() }
}

/// Lets log time go on.
pub(crate) fn tick(log: &MortalLog, seconds: i64) {
    let origin = Origin { system: SYSTEM.into(), source: "keywatch".into() };
    let mut event = Event::builder(&origin, &format!("tick/{seconds}"), "tick", at(seconds));
    event.time(at(seconds));
    log.append(Topic::Events, vec![event.build_own()]).unwrap();
}
