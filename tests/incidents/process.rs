//! The pipeline as the binary wires it: log → rules → alerting with the embedded decision point. One [`Process`] is one run
//! of the process.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use keywatch_alerting::delivery::sink::Attempt;
use keywatch_alerting::response::intent::word;
use keywatch_alerting::{
    Dependencies, EmbeddedPdp, EnforcementPoint, Executor, Notification, Policy, Response, Saved, Schedule, Sink,
};
use keywatch_detectors::Engine;
use keywatch_store::log::faulty::FaultyLog;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Appended, Error, Event, Finding, Instant, Log, Position, Topic};
use serde::Deserialize;
use serde_json::json;

use super::rules;
use crate::support::clock::now;

/// Records that are read at once.
const RECORDS: usize = 512;

/// A process.
pub(crate) struct Process {
    log: Arc<dyn Log>,
    engine: Engine,
    executor: Executor,
    position: Position,
    known: HashSet<String>,
}

/// Takes every page.
struct Pager;

impl Sink for Pager {
    #[expect(clippy::unnecessary_literal_bound, reason = "the signature is the trait's")]
    fn name(&self) -> &str {
        "pager"
    }

    fn deliveries_max(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a self, _: &'a Notification) -> Attempt<'a> {
        Box::pin(async { Ok(()) })
    }
}

impl Process {
    /// Starts over the log of a system, as after any start: the rules run over the whole log again, and what the last
    /// run left open is taken up. `first` is the time of the log's first record, `kept` the state of alerting that an
    /// earlier run kept. The decisions in the log are taken for those of the decision point that revokes.
    pub(crate) async fn begin(
        log: Arc<dyn Log>,
        system: &str,
        first: Instant,
        kept: Option<&[u8]>,
    ) -> Result<Process, keywatch_alerting::Error> {
        Process::begin_at(log, system, point(first)?, kept).await
    }

    /// As [`Process::begin`], for a log that retells what happened before keywatch was there.
    pub(crate) async fn retell(
        log: Arc<dyn Log>,
        system: &str,
        first: Instant,
    ) -> Result<Process, keywatch_alerting::Error> {
        Process::begin_at(log, system, point(first)?.retelling(), None).await
    }

    async fn begin_at(
        log: Arc<dyn Log>,
        system: &str,
        point: EnforcementPoint,
        kept: Option<&[u8]>,
    ) -> Result<Process, keywatch_alerting::Error> {
        let saved = kept.map(Saved::read).transpose()?.unwrap_or_default();
        let executor = executor(saved, &log, system, point)?;
        executor.resume().await?;
        let known = conclusions(log.as_ref()).into_iter().filter(|event| event.kind() == "finding.created");
        let known = known.map(|event| event.detail().value()["id"].as_str().unwrap().to_owned()).collect();
        Ok(Process { log, engine: rules::engine(), executor, position: Position::default(), known })
    }

    /// Steps to the end of the log.
    pub(crate) async fn catch_up(&mut self) -> Result<(), keywatch_alerting::Error> {
        loop {
            let events = self.log.read(Topic::Events, self.position, RECORDS)?;
            if events.is_empty() {
                return Ok(());
            }
            let mut own = events.iter().filter(|event| event.kind().starts_with("response."));
            assert!(own.all(|event| event.source() == "keywatch"));
            self.executor.observe(self.position, &events);
            let found = rules::run(&mut self.engine, usize::try_from(self.position.0).unwrap(), &events);
            self.position = self.position.plus(events.len());
            for decided in found {
                if !self.known.contains(&decided.finding.id) {
                    self.executor.take(&decided.finding).await?;
                }
            }
            let last = events.last().expect("there are some");
            self.executor.page_due(last.system(), last.time()).await?;
        }
    }

    /// The heartbeat, with which keywatch also tells what it heard of its own revocations.
    pub(crate) async fn heartbeat(&self) -> Result<(), keywatch_alerting::Error> {
        self.executor.refresh().await
    }

    /// The state of alerting, to be kept.
    pub(crate) fn keep(&self) -> Vec<u8> {
        let mut kept = Vec::new();
        self.executor.save(&mut kept).unwrap();
        kept
    }

    /// Waits until everybody was told.
    pub(crate) async fn idle(&self) {
        let told = tokio::time::timeout(Duration::from_secs(30), self.executor.idle());
        told.await.expect("the pager takes every page");
    }

    /// What acts.
    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// What it has come to.
    pub(crate) fn came_to(&self) -> Outcome {
        let responses = self.executor.with_state(|state| {
            let all = state.responses().iter();
            all.map(|progress| (progress.response.clone(), progress.status())).collect::<Vec<_>>()
        });
        Outcome::new(&conclusions(self.log.as_ref()), responses)
    }
}

/// A decision point in this process.
fn point(first: Instant) -> Result<EnforcementPoint, keywatch_alerting::Error> {
    let pdp = Arc::new(EmbeddedPdp::new("incidents", &[])?);
    // A healthy session that has nothing to do with the incident; it stays allowed throughout.
    let control = json!({
        "session_id": "ses-4a1d07", "subject": "payout-service", "session_started_at": first.unix_seconds(),
        "device_id": "srv-payout-2", "ip": "192.0.2.77", "wallet": "petty-cash", "request_id": "pay-88213",
        "destination": "office-supplies", "amount_usd": 40, "destination_risk_score": 1, "signer": "ci-bot",
        "initiator": "payout-service", "human_approvals": [], "operation": 0,
    });
    Ok(EnforcementPoint::new(pdp, control))
}

fn executor(
    saved: Saved,
    log: &Arc<dyn Log>,
    system: &str,
    point: EnforcementPoint,
) -> Result<Executor, keywatch_alerting::Error> {
    let dependencies = Dependencies {
        log: Arc::clone(log),
        policy: Policy::default(),
        sites: BTreeMap::from([(system.to_owned(), point)]),
        sinks: vec![Arc::new(Pager)],
        deliveries: Schedule::pages(),
        revocations: Schedule::revocations(),
        clock: Arc::new(now),
    };
    Executor::open_from(saved, dependencies, |_, _| ())
}

fn conclusions(log: &dyn Log) -> Vec<Event> {
    let (mut all, mut position) = (Vec::new(), Position::default());
    loop {
        let events = log.read(Topic::Conclusions, position, RECORDS).unwrap();
        if events.is_empty() {
            return all;
        }
        position = position.plus(events.len());
        all.extend(events);
    }
}

/// What stands in the log in the end, apart from when it was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Every finding, in the order of the log.
    pub(crate) findings: Vec<Finding>,
    /// Kind of alert record and finding, each as often as it stands there.
    pub(crate) alerts: BTreeMap<(String, String), usize>,
    /// Keys under which somebody was told, each as often as it stands there.
    pub(crate) told: BTreeMap<String, usize>,
    /// Every response with where it stands, by id.
    pub(crate) responses: BTreeMap<String, (Response, String)>,
}

impl Outcome {
    fn new(conclusions: &[Event], responses: Vec<(Response, String)>) -> Outcome {
        let of_kind = |kind: &'static str| conclusions.iter().filter(move |event| event.kind() == kind);
        let mut alerts = BTreeMap::new();
        for event in conclusions
            .iter()
            .filter(|event| ["alert.opened", "alert.updated", "alert.suppressed"].contains(&event.kind()))
        {
            let finding = event.detail().value()["finding"]["id"].as_str().unwrap().to_owned();
            *alerts.entry((event.kind().to_owned(), finding)).or_default() += 1;
        }
        let mut told = BTreeMap::new();
        for event in of_kind("alert.notified") {
            *told.entry(event.detail().value()["key"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let findings = of_kind("finding.created").map(|event| Finding::deserialize(event.detail().value()).unwrap());
        let responses =
            responses.into_iter().map(|(response, status)| (response.id.clone(), (response, status))).collect();
        Outcome { findings: findings.collect(), alerts, told, responses }
    }

    /// What was revoked without a person, by `section name`.
    pub(crate) fn revoked(&self) -> BTreeSet<String> {
        let names = |response: &Response| -> Vec<String> {
            response.targets.iter().map(|(target, name)| format!("{} {name}", word(target))).collect()
        };
        let done = self.responses.values().filter(|(_, status)| !["proposed", "released"].contains(&status.as_str()));
        done.flat_map(|(response, _)| names(response)).collect()
    }

    /// Where the response to a finding stands, if it has one.
    pub(crate) fn response_to(&self, finding: &Finding) -> Option<&str> {
        let mut responses = self.responses.values().filter(|(response, _)| response.finding_id == finding.id);
        responses.next().map(|(_, status)| status.as_str())
    }
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// So fast that no heartbeat comes before the end.
    Fast,
    /// So slowly that a heartbeat comes after every record that is no tick.
    Slow,
}

/// The events through the whole pipeline on a log in memory, one by one from `begins` on: the conclusions.
pub(crate) fn conclude(events: &[Event], begins: Instant, pace: Pace) -> Vec<Event> {
    let (system, first) = (events[0].system().to_owned(), events[0].time());
    let (past, story) = events.split_at(events.partition_point(|event| event.time() < begins));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new());
        let mut process = Process::retell(Arc::clone(&log), &system, first).await.unwrap();
        for batch in past.chunks(RECORDS).chain(story.chunks(1)) {
            log.append(Topic::Events, batch.to_vec()).unwrap();
            process.catch_up().await.unwrap();
            if pace == Pace::Slow && batch.iter().any(|event| event.kind() != "tick") {
                process.heartbeat().await.unwrap();
            }
        }
        process.heartbeat().await.unwrap();
        process.idle().await;
        conclusions(log.as_ref())
    })
}

/// The events through the whole pipeline on a log in memory.
pub(crate) fn play(events: &[Event]) -> Outcome {
    let (system, first) = (events[0].system().to_owned(), events[0].time());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new());
        let mut process = Process::retell(Arc::clone(&log), &system, first).await.unwrap();
        for batch in events.chunks(RECORDS) {
            log.append(Topic::Events, batch.to_vec()).unwrap();
            process.catch_up().await.unwrap();
        }
        process.idle().await;
        process.came_to()
    })
}

/// A log whose process dies at an append: that one and all after it fail.
pub(crate) struct FailingLog<L> {
    inner: L,
    appends_left: AtomicUsize,
}

impl<L: Log> FailingLog<L> {
    /// Lives until it is told otherwise.
    pub(crate) fn new(inner: L) -> FailingLog<L> {
        FailingLog { inner, appends_left: usize::MAX.into() }
    }

    /// Fails from the append after the next `appends` on.
    pub(crate) fn dies_after(&self, appends: usize) {
        self.appends_left.store(appends, SeqCst);
    }
}

impl<L: Log> FaultyLog for FailingLog<L> {
    fn records(&self) -> &dyn Log {
        &self.inner
    }

    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error> {
        self.appends_left.try_update(SeqCst, SeqCst, |left| left.checked_sub(1)).map_err(|_| Error::Closed)?;
        self.inner.append(topic, events)
    }
}
