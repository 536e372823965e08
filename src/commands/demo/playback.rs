//! Plays the records back: the history before the story at once, the story at its own pace times the speed.

use std::path::Path;
use std::time::{Duration, Instant};

use keywatch_store::{Event, Log, Topic};

use super::environment::{self, Environment};
use super::served_page::ServedPage;
use super::storyline::Storyline;
use super::summary::{Denied, Observations};
use super::{summary, transcript};
use crate::incident::Incident;
use crate::limits::REFRESH_SECONDS;
use crate::service::evaluation::pipeline::Handled;

/// The longest pause between two records of the story.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Records of the history that are fed in at once.
const HISTORY_RECORDS: usize = 2048;

/// Plays an incident to its end; where it is `served` on the page too, it stays there until ctrl-c.
///
/// # Errors
/// A file of the incident is wrong, a part of the pipeline fails.
pub(crate) async fn play(
    incident: &Incident,
    data: &Path,
    speed: f64,
    everything: bool,
    served: bool,
) -> anyhow::Result<()> {
    let (story, events) = (incident.story()?, incident.events()?);
    let mut environment = environment::build(data, &events)?;
    let mut observations = Observations::new(story.clone());
    let inventory = incident.inventory()?.unwrap_or_default();
    let stage = if served { Some(ServedPage::open(&mut environment, inventory.clone()).await?) } else { None };
    let storyline = Storyline::new(everything, inventory, story.begins, story.lost_at);
    let past = events.partition_point(|event| event.time() < story.begins);
    transcript::opening(&story)?;

    let begun = Instant::now();
    let found = run_history(&mut environment, &events[..past]).await?;
    transcript::history(&events[..past], &found, begun.elapsed())?;
    observations.note(&found);

    let looked_at = match &stage {
        Some(stage) => stage.somebody_looks().await?,
        None => true,
    };
    let mut story = Played { environment, observations, storyline, stage };
    if looked_at && story.play(&events[past..], speed).await? {
        story.environment.pipeline.executor().idle().await;
        summary::write(&story.environment, &story.observations, &story.storyline)?;
        if let Some(stage) = &story.stage {
            stage.stay(&mut story.environment).await?;
        }
    }
    match story.stage {
        Some(stage) => stage.close().await,
        None => Ok(()),
    }
}

/// A story while it is played.
struct Played {
    environment: Environment,
    observations: Observations,
    storyline: Storyline,
    stage: Option<ServedPage>,
}

impl Played {
    /// Plays its records; `false` where ctrl-c came before the end.
    async fn play(&mut self, events: &[Event], speed: f64) -> anyhow::Result<bool> {
        let mut refreshed = Instant::now();
        let mut clock = self.observations.story.begins;
        for event in events {
            let gap = u64::try_from(event.time().0.saturating_sub(clock.0)).unwrap_or(0);
            let pause = Duration::from_nanos(gap).div_f64(speed).min(PAUSE_MAX);
            if event.kind() != "tick" {
                clock = event.time();
                if !self.pause(pause).await {
                    return Ok(false);
                }
            }
            if refreshed.elapsed() > Duration::from_secs(REFRESH_SECONDS) {
                self.environment.pipeline.executor().refresh().await?;
                refreshed = Instant::now();
            }
            play_event(&mut self.environment, event, &mut self.observations, &mut self.storyline).await?;
        }
        Ok(true)
    }

    async fn pause(&self, span: Duration) -> bool {
        if let Some(stage) = &self.stage {
            return stage.pause(span).await;
        }
        tokio::time::sleep(span).await;
        true
    }
}

/// The history before the story runs through without a pause.
async fn run_history(environment: &mut Environment, events: &[Event]) -> anyhow::Result<Vec<Handled>> {
    environment.pipeline.executor().resume().await?;
    let mut found = Vec::new();
    for batch in events.chunks(HISTORY_RECORDS) {
        environment.log.append(Topic::Events, batch.to_vec())?;
        found.extend(environment.pipeline.run_to_end().await?);
    }
    Ok(found)
}

async fn play_event(
    environment: &mut Environment,
    event: &Event,
    observations: &mut Observations,
    storyline: &mut Storyline,
) -> anyhow::Result<()> {
    let decision_now = decide_again(environment, event)?;
    environment.log.append(Topic::Events, vec![event.clone()])?;
    if decision_now == Some(false) {
        observations.denied.push(Denied {
            time: event.time(),
            session: event.session().map(str::to_owned),
            request: event.request().map(str::to_owned),
        });
    }
    let found = environment.pipeline.run_to_end().await?;
    environment.pipeline.executor().idle().await;
    for (before, decided) in storyline.suspect(found.iter().map(|handled| &handled.finding)) {
        show(storyline, &before, decided)?;
    }
    let told: Vec<&Handled> = found.iter().filter(|handled| storyline.tells(&handled.finding)).collect();
    if event.kind() != "tick" && storyline.shows(event, decision_now, !told.is_empty()) {
        show(storyline, event, decision_now)?;
    }
    for handled in &told {
        transcript::finding(handled, &observations.story)?;
    }
    for page in environment.pages.take() {
        let shown = told.iter().any(|handled| handled.finding.rule == page.rule);
        transcript::notification(&page, shown, storyline)?;
        observations.pages += 1;
    }
    observations.note(&found);
    Ok(())
}

/// A record, after the time in which nothing was shown.
fn show(storyline: &mut Storyline, event: &Event, decision_now: Option<bool>) -> anyhow::Result<()> {
    transcript::pause(storyline.since(event.time()), event.time())?;
    transcript::event(event, storyline.inventory(), decision_now)
}

/// What the decision point says now to the input of a decision that it allowed when it happened.
fn decide_again(environment: &Environment, event: &Event) -> anyhow::Result<Option<bool>> {
    if event.kind() != "decision" || event.outcome() != Some("allow") {
        return Ok(None);
    }
    let detail = event.detail().value();
    let input = &detail["input"];
    Ok(if input.is_object() { Some(environment.pdp.decide(input)?.allow) } else { None })
}
