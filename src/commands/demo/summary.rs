//! The summary at the end: the first finding and how long before the loss, what was revoked and in which degree that is
//! confirmed, what revocation could not have stopped, and the proof.

use keywatch_store::{Finding, Instant, Log, Severity, Topic};

use super::environment::Environment;
use super::{narration, transcript};
use crate::incident::Story;
use crate::service::evaluation::pipeline::Handled;

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
pub(crate) fn write(environment: &Environment, observations: &Observations) -> anyhow::Result<()> {
    transcript::heading("\nSummary")?;
    row("lost", &format!("{}, at {}", observations.story.lost, observations.story.lost_at))?;
    findings(observations)?;
    responses(environment)?;
    for denied in &observations.denied {
        let session = denied.session.as_deref().unwrap_or("a session");
        let request = denied.request.as_deref().map(narration::short).unwrap_or_default();
        row(
            "denied",
            &format!(
                "{} to {session} for request {request}: allowed then, denied by the decision point now",
                denied.time
            ),
        )?;
    }
    for sentence in &observations.story.beyond {
        row("beyond", sentence)?;
    }
    proof(environment)?;
    Ok(())
}

fn findings(observations: &Observations) -> anyhow::Result<()> {
    let lead =
        |finding: &Finding| transcript::span(observations.story.lost_at.0.saturating_sub(finding.decided.0).max(0));
    let before = |finding: &&Finding| finding.decided < observations.story.lost_at;
    let critical = observations.findings.iter().filter(|finding| finding.severity == Severity::Critical).count();
    let early = observations.findings.iter().filter(before).count();
    row(
        "found",
        &format!(
            "{} findings, {critical} of them critical, {early} before the loss; people told {} times",
            observations.findings.len(),
            observations.pages
        ),
    )?;
    if let Some(first) = observations.findings.first() {
        row("first", &format!("{} {} {}: {} before the loss", first.time, first.severity, first.rule, lead(first)))?;
    }
    if let Some(first) = observations.findings.iter().find(|finding| finding.severity == Severity::Critical) {
        row("critical", &format!("{} {}: {} before the loss", first.time, first.rule, lead(first)))?;
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
                    format!("{} {}", keywatch_alerting::response::intent::word(target), narration::short(name))
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
        row("revoked", "nothing: no finding proved itself or was agreed on by two independent sources")?;
    }
    revoked.sort();
    for (_, targets, status) in revoked {
        row("revoked", &format!("{}: {status}", targets.join(", ")))?;
    }
    Ok(())
}

fn proof(environment: &Environment) -> anyhow::Result<()> {
    for topic in Topic::ALL {
        let verified = environment.log.verify(topic, |_| {})?;
        let head = environment.log.head(topic);
        let text = format!(
            "{} log: {} records in {} hash-chained batches, hashes, links and MACs verified; head {}",
            topic.name(),
            head.position.0,
            verified.batches,
            hex::encode(head.hash)
        );
        row("proof", &text)?;
    }
    let waiting = environment.pipeline.waiting();
    row(
        "open",
        &format!(
            "{waiting} rows wait for records that did not come; {} records in all",
            environment.log.end(Topic::Events).0
        ),
    )
}

fn row(label: &str, text: &str) -> anyhow::Result<()> {
    transcript::plain(&format!("  {label:<9} {text}"))
}
