//! The summary at the end: the first finding and how long before the loss, what was revoked and in which degree that is
//! confirmed, what revocation could not have stopped, and the proof.

use keywatch_store::{Finding, Instant, Log, Severity, Topic};

use super::environment::Environment;
use super::storyline::Storyline;
use super::transcript;
use crate::incident::Story;
use crate::service::evaluation::pipeline::Handled;
use crate::wording;

/// A decision that was allowed when it happened and is denied now.
pub(crate) struct Denied {
    pub(crate) time: Instant,
    pub(crate) session: Option<String>,
    pub(crate) request: Option<String>,
}

/// What is observed while the incident plays.
pub(crate) struct Observations {
    pub(crate) story: Story,
    pub(crate) denied: Vec<Denied>,
    pub(crate) pages: usize,
    findings: Vec<Finding>,
}

impl Observations {
    pub(crate) fn new(story: Story) -> Observations {
        Observations { story, denied: Vec::new(), pages: 0, findings: Vec::new() }
    }

    pub(crate) fn note(&mut self, handled: &[Handled]) {
        self.findings.extend(handled.iter().map(|handled| handled.finding.clone()));
    }
}

/// Writes the summary.
///
/// # Errors
/// Standard output is closed, the log does not verify.
pub(crate) fn write(
    environment: &Environment,
    observations: &Observations,
    storyline: &Storyline,
) -> anyhow::Result<()> {
    transcript::heading("\nWhat came of it")?;
    row("lost", &format!("{}, at {}", observations.story.lost, observations.story.lost_at))?;
    findings(observations)?;
    left_out(storyline)?;
    responses(environment)?;
    for denied in &observations.denied {
        let session = denied.session.as_deref().unwrap_or("a session");
        let request = denied.request.as_deref().map(wording::short).unwrap_or_default();
        row("denied", &format!("{} to {session} for {request}: allowed then, refused by the policy now", denied.time))?;
    }
    transcript::heading("\nWhat it could not have done")?;
    for sentence in &observations.story.beyond {
        row("", sentence)?;
    }
    transcript::heading("\nProof")?;
    proof(environment)
}

fn findings(observations: &Observations) -> anyhow::Result<()> {
    let before = |finding: &&Finding| finding.decided < observations.story.lost_at;
    let critical = observations.findings.iter().filter(|finding| finding.severity == Severity::Critical).count();
    let early = observations.findings.iter().filter(before).count();
    let lead = |finding: &Finding| wording::span(observations.story.lost_at.0.saturating_sub(finding.decided.0).max(0));
    let first = observations.findings.first();
    if let Some(first) = first {
        row("warned", &format!("{} by {}: {} before the loss", first.time, first.rule, lead(first)))?;
    }
    let worst = observations.findings.iter().find(|finding| finding.severity == Severity::Critical);
    if let Some(worst) = worst.filter(|worst| first.is_none_or(|first| first.id != worst.id)) {
        row("", &format!("{} by {}, critical: {} before the loss", worst.time, worst.rule, lead(worst)))?;
    }
    row(
        "found",
        &format!(
            "{} findings, {critical} of them critical, {early} before the loss; people told {} times",
            observations.findings.len(),
            observations.pages
        ),
    )
}

/// What the story did not show.
fn left_out(storyline: &Storyline) -> anyhow::Result<()> {
    let (repeated, late) = storyline.left_out();
    if repeated > 0 {
        row("", &format!("{repeated} before the loss repeat what is shown above; --all shows them"))?;
    }
    let late: Vec<String> = late.iter().map(|(rule, count)| format!("{rule} ({count})")).collect();
    if !late.is_empty() {
        row("", &format!("after the loss also {}", late.join(", ")))?;
    }
    Ok(())
}

fn responses(environment: &Environment) -> anyhow::Result<()> {
    let mut revoked: Vec<(Instant, Vec<String>, String)> = environment.pipeline.executor().with_state(|state| {
        let targets = |response: &keywatch_alerting::Response| {
            response
                .targets
                .iter()
                .map(|(target, name)| {
                    format!("{} {}", keywatch_alerting::response::intent::word(target), wording::short(name))
                })
                .collect()
        };
        state
            .responses()
            .iter()
            .map(|progress| (progress.response.decided, targets(&progress.response), progress.status()))
            .collect()
    });
    if revoked.is_empty() {
        row("response", "none: no finding proved itself or was agreed on by two independent sources")?;
    }
    revoked.sort();
    for (_, targets, status) in revoked {
        row("response", &format!("{}: {status}", targets.join(", ")))?;
    }
    Ok(())
}

fn proof(environment: &Environment) -> anyhow::Result<()> {
    for topic in Topic::ALL {
        let verified = environment.log.verify(topic, |_| {})?;
        let head = environment.log.head(topic);
        let text = format!(
            "{} records of the {} log in {} batches, each sealed with the one before it and all verified; seal {}",
            head.position.0,
            topic.name(),
            verified.batches,
            hex::encode(&head.hash[..8])
        );
        row("proof", &text)?;
    }
    Ok(())
}

fn row(label: &str, text: &str) -> anyhow::Result<()> {
    transcript::plain(&format!("  {label:<9} {text}"))
}
