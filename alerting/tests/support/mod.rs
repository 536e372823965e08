//! Makes findings, decision points that misbehave, and logs that die.

pub(crate) mod receivers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keywatch_alerting::delivery::webhook::WallClock;
use keywatch_alerting::executor::{Dependencies, Executor};
use keywatch_alerting::policy::settings::{Budgets, Policy};
use keywatch_alerting::response::pdp::Call;
use keywatch_alerting::{
    AlertState, Decision, EmbeddedPdp, EnforcementPoint, Error, PolicyDecisionPoint, RevocationDocument, Saved,
    Schedule, Sink,
};
use keywatch_store::event::Origin;
use keywatch_store::finding::{Proof, Target};
use keywatch_store::log::faulty::FaultyLog;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{
    Appended, Error as StoreError, Event, EventId, Finding, Instant, Inventory, Log, Position, Severity, Topic,
};
use serde_json::{Value, json};

pub(crate) const SYSTEM: &str = "cold";
pub(crate) const SESSION: &str = "sess-7f3a9c51e2";
pub(crate) const WALLET: &str = "0x1db9";
pub(crate) const REQUEST: &str = "0xf9de";

/// Log time of the tests, seconds after it.
pub(crate) fn at(seconds: i64) -> Instant {
    Instant((1_740_116_560 + seconds) * SECOND_NS)
}

pub(crate) fn wall_clock() -> WallClock {
    #[expect(clippy::disallowed_methods, reason = "the policy compares the stamp with the clock of the machine")]
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Arc::new(move || Instant(i64::try_from(now().as_nanos()).unwrap()))
}

/// A critical finding that proves itself and asks for session, request and wallet.
pub(crate) fn finding(id: &str, seconds: i64) -> Finding {
    let anchor = EventId::derive(SYSTEM, "safe", id);
    Finding {
        title: "A confirmation does not verify".into(),
        meaning: "Somebody signed something else than was shown.".into(),
        runbook: "Stop signing.".into(),
        source: "safe".into(),
        actor: Some("alice".into()),
        session: Some(SESSION.into()),
        wallet: Some(WALLET.into()),
        request: Some(REQUEST.into()),
        response: vec![Target::Session, Target::Request, Target::Wallet],
        proof: Proof::Itself,
        suppress_ns: 3_600 * SECOND_NS,
        ..Finding::about("signing/mismatch", Severity::Critical, SYSTEM, WALLET, anchor, at(seconds))
    }
}

pub(crate) fn inventory() -> Inventory {
    let text = r#"
        [[systems]]
        id = "cold"
        sources = [
            { source = "safe", feed = "safe", trust_group = "signer" },
            { source = "custody", feed = "events", trust_group = "signer" },
            { source = "node", feed = "events", trust_group = "chain" },
            { source = "stray", feed = "events" },
        ]
    "#;
    Inventory::parse("inventory.toml", text).unwrap()
}

/// The same settings, but every revocation waits for a person.
pub(crate) fn shadowed(policy: &Policy) -> Policy {
    let mut shadowed = policy.clone();
    shadowed.shadow = true;
    shadowed
}

/// The same settings with other budgets.
pub(crate) fn with_budgets(policy: &Policy, budgets: Budgets) -> Policy {
    let mut limited = policy.clone();
    limited.budgets = budgets;
    limited
}

pub(crate) fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.adopt(&inventory());
    policy.destinations = vec!["terminal".into()];
    policy
}

/// An input that the policy allows.
pub(crate) fn input(session: &str) -> Value {
    json!({
        "session_id": session, "subject": "alice", "session_started_at": 1_740_000_000, "device_id": "laptop-1",
        "ip": "192.0.2.1", "wallet": "0xhot", "request_id": "0xreq", "destination": "0xd1", "amount_usd": 500,
        "destination_risk_score": 1, "signer": "ci-bot", "initiator": "alice", "human_approvals": [], "operation": 0,
    })
}

pub(crate) fn control() -> Value {
    let mut control = input("sess-healthy-1");
    control["subject"] = json!("carol");
    control["device_id"] = json!("laptop-9");
    control
}

/// The decision by which the session of [`finding`] was allowed.
pub(crate) fn allowed(id: &str) -> Event {
    let origin = Origin { system: SYSTEM.into(), source: "opa".into() };
    let mut event = Event::builder(&origin, id, "decision", at(-60));
    event.time(at(-60));
    event.session(SESSION);
    event.actor("alice");
    event.decision(id);
    event.outcome("allow");
    event.detail(&json!({ "path": "wallet/signing/allow", "input": input(SESSION) }));
    event.build_own()
}

/// A log whose process dies at an append: that one and all after it fail. `revive` is the next start.
pub(crate) struct MortalLog {
    inner: MemoryLog,
    appends_left: AtomicUsize,
    silent: Mutex<Option<Topic>>,
    /// Kinds of all that it took, repeats among them.
    taken: Mutex<Vec<String>>,
}

impl MortalLog {
    pub(crate) fn immortal() -> Arc<MortalLog> {
        let appends_left = AtomicUsize::new(usize::MAX);
        Arc::new(MortalLog { inner: MemoryLog::new(), appends_left, silent: Mutex::default(), taken: Mutex::default() })
    }

    /// What it writes to that topic, it does not confirm.
    pub(crate) fn is_silent_about(&self, topic: Option<Topic>) {
        *self.silent.lock().unwrap() = topic;
    }

    pub(crate) fn dies_after(&self, appends: usize) {
        self.appends_left.store(appends, Ordering::SeqCst);
    }

    pub(crate) fn kinds(&self, topic: Topic) -> Vec<String> {
        self.all(topic).into_iter().map(|event| event.kind().to_owned()).collect()
    }

    /// How often it took a record of that kind, also where it was a repeat.
    pub(crate) fn times_taken(&self, kind: &str) -> usize {
        self.taken.lock().unwrap().iter().filter(|taken| *taken == kind).count()
    }

    pub(crate) fn all(&self, topic: Topic) -> Vec<Event> {
        self.inner.read(topic, Position(0), usize::MAX).unwrap()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Event> {
        Topic::ALL.into_iter().flat_map(|topic| self.all(topic)).filter(|event| event.kind() == kind).collect()
    }
}

impl FaultyLog for MortalLog {
    fn records(&self) -> &dyn Log {
        &self.inner
    }

    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, StoreError> {
        let left = self.appends_left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(StoreError::Closed);
        }
        if left != usize::MAX {
            self.appends_left.store(left - 1, Ordering::SeqCst);
        }
        let kinds: Vec<String> = events.iter().map(|event| event.kind().to_owned()).collect();
        let appended = self.inner.append(topic, events)?;
        self.taken.lock().unwrap().extend(kinds);
        if *self.silent.lock().unwrap() == Some(topic) {
            return Err(unconfirmed());
        }
        Ok(appended)
    }
}

/// What a log says of records of which it does not know whether they are there.
pub(crate) fn unconfirmed() -> StoreError {
    StoreError::Unreachable {
        brokers: "k:9092".into(),
        problem: "records were written and not read back in time".into(),
    }
}

/// The embedded decision point, with faults to switch on.
pub(crate) struct FaultyPdp {
    inner: EmbeddedPdp,
    pub(crate) down: AtomicBool,
    pub(crate) denies_all: AtomicBool,
    pub(crate) ignores_documents: AtomicBool,
    pub(crate) publishes: AtomicUsize,
}

impl FaultyPdp {
    pub(crate) fn new() -> Arc<FaultyPdp> {
        Arc::new(FaultyPdp {
            inner: EmbeddedPdp::new("replica-1", &[]).unwrap(),
            down: AtomicBool::new(false),
            denies_all: AtomicBool::new(false),
            ignores_documents: AtomicBool::new(false),
            publishes: AtomicUsize::new(0),
        })
    }

    pub(crate) fn allows(&self, input: &Value) -> bool {
        self.inner.decide(input).unwrap().allow
    }

    pub(crate) fn sequence(&self) -> Option<u64> {
        self.inner.decide(&control()).unwrap().sequence
    }

    fn up(&self) -> Result<(), Error> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::PdpSilent { endpoint: "replica-1".into(), problem: "connection refused".into() });
        }
        Ok(())
    }
}

impl PolicyDecisionPoint for FaultyPdp {
    fn publish<'a>(&'a self, document: &'a RevocationDocument) -> Call<'a, ()> {
        Box::pin(async move {
            self.up()?;
            self.publishes.fetch_add(1, Ordering::SeqCst);
            if !self.ignores_documents.load(Ordering::SeqCst) || document.is_empty() {
                self.inner.publish(document).await?;
            }
            Ok(())
        })
    }

    fn ask<'a>(&'a self, input: &'a Value) -> Call<'a, Decision> {
        Box::pin(async move {
            self.up()?;
            let mut decision = self.inner.ask(input).await?;
            decision.allow &= !self.denies_all.load(Ordering::SeqCst);
            Ok(decision)
        })
    }
}

pub(crate) fn milliseconds(waits: &[u64]) -> Schedule {
    Schedule::new(waits.iter().copied().map(Duration::from_millis).collect())
}

pub(crate) fn executor(log: &Arc<MortalLog>, pdp: &Arc<FaultyPdp>, sinks: Vec<Arc<dyn Sink>>) -> Executor {
    executor_from(Saved::default(), log, pdp, sinks)
}

/// An executor that goes on from a kept state.
pub(crate) fn executor_from(
    saved: Saved,
    log: &Arc<MortalLog>,
    pdp: &Arc<FaultyPdp>,
    sinks: Vec<Arc<dyn Sink>>,
) -> Executor {
    let pdp: Arc<dyn PolicyDecisionPoint> = Arc::clone(pdp) as _;
    let mut policy = Policy::default();
    policy.adopt(&inventory());
    let dependencies = Dependencies {
        log: Arc::clone(log) as _,
        policy,
        sites: BTreeMap::from([(SYSTEM.to_owned(), EnforcementPoint::new(pdp, control()))]),
        sinks,
        deliveries: milliseconds(&[5, 5, 5, 5]),
        revocations: milliseconds(&[5]),
        clock: wall_clock(),
    };
    Executor::open_from(saved, dependencies, |_, _| ()).unwrap()
}

/// The state is the same whichever of the conclusions a restart from a kept state falls behind. Nothing was responded to.
pub(crate) async fn same_with_a_restart_at_every_record(
    log: &MortalLog,
    live: &Executor,
    sinks: fn() -> Vec<Arc<dyn Sink>>,
) {
    live.idle().await;
    let whole = live.with_state(AlertState::clone);
    assert!(log.all(Topic::Events).is_empty(), "nothing was responded to");
    let conclusions = log.all(Topic::Conclusions);
    for cut in 0..=conclusions.len() {
        let older = MortalLog::immortal();
        let append = |records: &[Event]| {
            if !records.is_empty() {
                older.append(Topic::Conclusions, records.to_vec()).unwrap();
            }
        };
        append(&conclusions[..cut]);
        let mut kept = Vec::new();
        executor(&older, &FaultyPdp::new(), sinks()).save(&mut kept).unwrap();
        append(&conclusions[cut..]);
        let again = executor_from(Saved::read(&kept).unwrap(), &older, &FaultyPdp::new(), sinks());
        assert!(again.with_state(|state| *state == whole), "a restart after {cut} of {} records", conclusions.len());
    }
}

/// Waits until `done`; fails after ten seconds.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
