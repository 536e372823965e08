//! The pipeline on embedded parts: log, rules, policy decision point, all in this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use keywatch_alerting::delivery::sink::Attempt;
use keywatch_alerting::{Dependencies, EmbeddedPdp, EnforcementPoint, Executor, Notification, Policy, Schedule, Sink};
use keywatch_detectors::{Engine, Settings, rule};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Topic};
use serde_json::{Value, json};

use crate::clock;
use crate::service::evaluation::pipeline::Pipeline;
use crate::service::metrics::Metrics;

/// The parts of the demo.
pub(crate) struct Environment {
    /// The log on disk.
    pub(crate) log: Arc<EmbeddedLog>,
    /// The pipeline over it.
    pub(crate) pipeline: Pipeline,
    /// The decision point, to be asked what it would say now.
    pub(crate) pdp: Arc<EmbeddedPdp>,
    /// The notifications that people would have got.
    pub(crate) pages: Arc<Pages>,
    /// What is counted meanwhile.
    pub(crate) metrics: Arc<Metrics>,
}

/// Collects notifications, for the transcript to show in its own time.
#[derive(Default)]
pub(crate) struct Pages(Mutex<Vec<Notification>>);

impl Pages {
    /// Takes what has come in.
    pub(crate) fn take(&self) -> Vec<Notification> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Pages {
    #[expect(clippy::unnecessary_literal_bound, reason = "the signature is the trait's")]
    fn name(&self) -> &str {
        "demo"
    }

    fn deliveries_max(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(async move {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notification.clone());
            Ok(())
        })
    }
}

/// Builds the environment for the systems that `events` speak of.
///
/// # Errors
/// The directory holds a log already, a part cannot be made.
pub(crate) fn build(data: &Path, events: &[Event]) -> anyhow::Result<Environment> {
    let log = Arc::new(EmbeddedLog::open(data, Options::new(Clock::Recorded))?);
    ensure!(
        log.end(Topic::Events).0 == 0,
        "{} holds a log already; the demo begins with an empty one, name another directory",
        data.display()
    );
    let pdp = Arc::new(EmbeddedPdp::new("demo", &[])?);
    let pages = Arc::new(Pages::default());
    let metrics = Metrics::new();
    let pipeline = pipeline(log.clone(), events, &pdp, vec![pages.clone()], Arc::clone(&metrics))?;
    Ok(Environment { log, pipeline, pdp, pages, metrics })
}

/// The pipeline over a log, with a decision point in this process for the systems that `events` speak of.
///
/// # Errors
/// A part cannot be made.
pub(crate) fn pipeline(
    log: Arc<dyn Log>,
    events: &[Event],
    pdp: &Arc<EmbeddedPdp>,
    sinks: Vec<Arc<dyn Sink>>,
    metrics: Arc<Metrics>,
) -> anyhow::Result<Pipeline> {
    let systems: std::collections::BTreeSet<&str> = events.iter().map(keywatch_store::Event::system).collect();
    let point = || EnforcementPoint::new(pdp.clone(), control(events)).retelling();
    let site = |system: &&str| ((*system).to_owned(), point());
    let sites: BTreeMap<String, EnforcementPoint> = systems.iter().map(site).collect();
    let executor = Executor::open(Dependencies {
        log: log.clone(),
        policy: Policy::default(),
        sites,
        sinks,
        deliveries: Schedule::pages(),
        revocations: Schedule::revocations(),
        clock: Arc::new(clock::now),
    })?;
    let engine = Engine::new(&rule::shipped()?, &Settings::default())?;
    Ok(Pipeline::open(log, engine, executor, metrics))
}

/// The input of a healthy session that has nothing to do with the incident: a small payment by a service account, begun
/// before the first record. It has to stay allowed throughout.
fn control(events: &[Event]) -> Value {
    let began = events.iter().map(keywatch_store::Event::time).min().unwrap_or_default().unix_seconds();
    json!({
        "session_id": "ses-4a1d07", "subject": "payout-service", "session_started_at": began,
        "device_id": "srv-payout-2", "ip": "192.0.2.77", "wallet": "petty-cash", "request_id": "pay-88213",
        "destination": "office-supplies", "amount_usd": 40, "destination_risk_score": 1, "signer": "ci-bot",
        "initiator": "payout-service", "human_approvals": [], "operation": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Incident;

    /// Records of the history that are fed in at once.
    const RECORDS: usize = 512;

    /// The rules of which people are told in the theft from Bybit, one a page, with a heartbeat after every record that is no
    /// tick, or with one at the end.
    async fn told(slowly: bool) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let incident = Incident::find("2025-02-bybit").unwrap();
        let (begins, events) = (incident.story().unwrap().begins, incident.events().unwrap());
        let mut environment = build(directory.path(), &events).unwrap();
        environment.pipeline.executor().resume().await.unwrap();
        let (past, story) = events.split_at(events.partition_point(|event| event.time() < begins));
        for batch in past.chunks(RECORDS).chain(story.chunks(1)) {
            environment.log.append(Topic::Events, batch.to_vec()).unwrap();
            environment.pipeline.run_to_end().await.unwrap();
            if slowly && batch.iter().any(|event| event.kind() != "tick") {
                environment.pipeline.executor().refresh().await.unwrap();
            }
        }
        environment.pipeline.executor().refresh().await.unwrap();
        environment.pipeline.executor().idle().await;
        environment.pages.take().into_iter().map(|page| page.rule).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn people_are_told_four_times_at_most_at_every_pace() {
        let (fast, slow) = (told(false).await, told(true).await);
        assert_eq!(fast, slow);
        assert!(slow.len() <= 4, "{slow:?}");
        assert_eq!(slow.first().map(String::as_str), Some("signing/confirmation_mismatch"));
    }
}
