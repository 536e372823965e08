//! Plays the records: what is before the story at once, the story at its own pace times the speed.

use std::path::Path;
use std::time::{Duration, Instant};

use keywatch_store::{Event, Lane, Log};

use super::stage::{self, Stage};
use super::summary::{Denied, Ledger};
use super::{summary, teller};
use crate::incident::Incident;
use crate::limits::REFRESH_SECONDS;
use crate::pipeline::Taken;

/// The longest pause between two records of the story.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Records of the past that are fed in at once.
const PAST_RECORDS: usize = 2048;

/// Plays an incident to its end.
///
/// # Errors
/// A file of the incident is wrong, a part of the pipeline fails.
pub(crate) async fn play(incident: &Incident, data: &Path, speed: f64) -> anyhow::Result<()> {
    let (story, events) = (incident.story()?, incident.events()?);
    let mut stage = stage::set(data, &events)?;
    let mut ledger = Ledger::new(story.clone());
    let past = events.partition_point(|event| event.time < story.begins);
    teller::opening(&story)?;

    let begun = Instant::now();
    let found = run_past(&mut stage, &events[..past]).await?;
    teller::past(&events[..past], &found, begun.elapsed())?;
    ledger.note(&found);

    let mut refreshed = Instant::now();
    let mut clock = story.begins;
    for event in &events[past..] {
        let gap = u64::try_from(event.time.0.saturating_sub(clock.0)).unwrap_or(0);
        let pause = Duration::from_nanos(gap).div_f64(speed).min(PAUSE_MAX);
        if event.kind != "tick" {
            teller::gap(clock, event.time)?;
            clock = event.time;
            tokio::time::sleep(pause).await;
        }
        if refreshed.elapsed() > Duration::from_secs(REFRESH_SECONDS) {
            stage.pipeline.executor().refresh().await?;
            refreshed = Instant::now();
        }
        happen(&mut stage, event, &mut ledger).await?;
    }
    stage.pipeline.executor().idle().await;
    summary::tell(&stage, &ledger)
}

/// The past: whatever it holds runs through without a pause.
async fn run_past(stage: &mut Stage, events: &[Event]) -> anyhow::Result<Vec<Taken>> {
    stage.pipeline.executor().resume().await?;
    let mut found = Vec::new();
    for batch in events.chunks(PAST_RECORDS) {
        stage.log.append(Lane::Events, batch.to_vec())?;
        found.extend(stage.pipeline.catch_up().await?);
    }
    Ok(found)
}

async fn happen(stage: &mut Stage, event: &Event, ledger: &mut Ledger) -> anyhow::Result<()> {
    let asked = ask(stage, event)?;
    stage.log.append(Lane::Events, vec![event.clone()])?;
    teller::happened(event, asked)?;
    if asked == Some(false) {
        ledger.denied.push(Denied { time: event.time, session: event.session.clone(), request: event.request.clone() });
    }
    let found = stage.pipeline.catch_up().await?;
    stage.pipeline.executor().idle().await;
    for taken in &found {
        teller::found(taken, &ledger.story)?;
    }
    for page in stage.pages.take() {
        teller::told(&page, event.time)?;
        ledger.pages += 1;
    }
    ledger.note(&found);
    Ok(())
}

/// What the decision point says now to the input of a decision that it allowed when it happened.
fn ask(stage: &Stage, event: &Event) -> anyhow::Result<Option<bool>> {
    if event.kind != "decision" || event.outcome.as_deref() != Some("allow") {
        return Ok(None);
    }
    let input = &event.detail.value()["input"];
    Ok(if input.is_object() { Some(stage.pdp.decide(input)?.allow) } else { None })
}
