//! Recorded events through the whole pipeline, for the page of the incidents that they make: rules, alerting, and a decision
//! point in this process. Nothing outside is touched; knows nothing of how a page looks.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use keywatch_alerting::{AlertState, EmbeddedPdp};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, Inventory, Log, Topic};
use serde_json::Value;

use crate::clock;
use crate::commands::demo::environment;
use crate::limits::{REPLAYED_INCIDENTS_MAX, REPLAYED_STEPS_MAX};
use crate::service::http::api::incidents::incident_of;
use crate::service::http::page::standalone;
use crate::service::metrics::Metrics;

/// Where what the page shows is from.
const NOTE: &str =
    "Recorded events, replayed: what was stopped was stopped at a policy decision point inside keywatch.";

/// Writes the incidents of recorded events as one file, the worst first; how many there are in it.
///
/// # Errors
/// A part of the pipeline fails, the file cannot be written.
pub(crate) fn write(file: &Path, events: &[Event]) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let incidents = runtime.block_on(incidents(events))?;
    let page = standalone::file(&incidents, NOTE, clock::now());
    std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(incidents.len())
}

async fn incidents(events: &[Event]) -> anyhow::Result<Vec<Value>> {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::new());
    let pdp = Arc::new(EmbeddedPdp::new("replay", &[])?);
    let mut pipeline = environment::pipeline(Arc::clone(&log), events, &pdp, Vec::new(), Metrics::new())?;
    pipeline.executor().resume().await?;
    // What keywatch does has the log time of the last record, so the steps are as short as the length allows.
    for step in events.chunks(events.len().div_ceil(REPLAYED_STEPS_MAX).max(1)) {
        log.append(Topic::Events, step.to_vec())?;
        pipeline.run_to_end().await?;
    }
    let executor = pipeline.executor();
    executor.idle().await;
    let ids = executor.with_state(worst);
    let inventory = declared(events);
    let found = ids.iter().map(|id| incident_of(executor, log.as_ref(), &inventory, id));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What was declared last of each system.
fn declared(events: &[Event]) -> Inventory {
    let mut declared = Inventory::default();
    let activated = events.iter().filter(|event| event.kind() == "inventory.activated");
    for system in activated.filter_map(Inventory::from_activation).flat_map(|inventory| inventory.systems) {
        declared.systems.retain(|other| other.id != system.id);
        declared.systems.push(system);
    }
    declared
}

/// The incidents that are shown, the worst first.
fn worst(state: &AlertState) -> Vec<String> {
    let mut all: Vec<_> = state.incidents().iter().collect();
    all.sort_by_key(|incident| (Reverse((incident.severity, incident.findings)), incident.opened, &incident.id));
    all.iter().take(REPLAYED_INCIDENTS_MAX).map(|incident| incident.id.clone()).collect()
}
