//! What people read: composed from the alert's record and from what the log says of its responses, never from what was
//! merely attempted. Session ids are shortened; control characters are taken out, since titles and facts quote what an
//! attacker may have written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use keywatch_store::{Finding, Instant, Severity};
use serde::Serialize;

use crate::delivery::occasion::{Occasion, PendingNotification, SentPage};
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::alert::Alert;
use crate::lifecycle::handling::Status;
use crate::lifecycle::incident::Incident;
use crate::lifecycle::state::AlertState;
use crate::limits::{NOTIFICATION_ITEMS_MAX, NOTIFICATION_STORY_MAX};
use crate::response::intent::{Degree, Progress, Step, Via};
use crate::response::wording::{describe_way, name_targets, short_session, strip};

/// A message to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// Idempotency key, the same at every attempt and every destination.
    pub key: String,
    /// `alert.opened`, `alert.updated`, `alert.escalated`, `alert.acknowledged`, `alert.resolved` or `response.verified`.
    #[serde(skip)]
    pub kind: &'static str,
    /// Where its incident stands with people.
    #[serde(skip)]
    pub status: Status,
    /// The pages of its incident, the last one last.
    #[serde(skip)]
    pub pages: Vec<SentPage>,
    /// The alert.
    pub alert_id: String,
    /// The incident it belongs to.
    pub incident: String,
    /// How bad it is.
    pub severity: Severity,
    /// The trusted environment.
    pub system: String,
    /// Log time of the event that it hangs on.
    pub when: Instant,
    /// What happened.
    pub title: String,
    /// Rule id.
    pub rule: String,
    /// What it is about.
    pub entity: String,
    /// Why it is told again, if it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
    /// Findings counted on the alert and not told.
    pub counted: u64,
    /// What the incident consists of by now: its alerts in words, worst first.
    pub story: Vec<String>,
    /// Why it matters.
    pub meaning: String,
    /// What to do.
    pub runbook: String,
    /// What keywatch did, and in which degree that is confirmed.
    pub did: Vec<String>,
    /// Who and what: actor, session (shortened), device, wallet, request, tx, amount, destination.
    pub about: BTreeMap<&'static str, String>,
    /// The rule's other columns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// Ids of the events that prove it, the anchor first.
    pub evidence: Vec<String>,
    /// Status of each response that `did` speaks of.
    #[serde(skip)]
    pub said: BTreeMap<String, String>,
    /// What stands below the headline in place of everything else, in the operator's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Composes what `pending` is to say now.
#[must_use]
pub fn compose(pending: &PendingNotification, state: &AlertState) -> Notification {
    let record = &pending.record;
    let finding = &record.finding;
    let clean = |text: &str| clean(text, finding);
    let responses: Vec<&Progress> = match &pending.occasion {
        Occasion::Answered(progress) => vec![progress],
        _ => state.responses_of(&record.incident).collect(),
    };
    let facts = finding.facts.iter().take(NOTIFICATION_ITEMS_MAX);
    Notification {
        key: pending.key.clone(),
        kind: kind(&pending.occasion),
        status: status(&pending.occasion, state.incidents().get(&record.incident)),
        pages: pending.pages.clone(),
        alert_id: record.alert_id.clone(),
        incident: state.incidents().resolve(&record.incident).to_owned(),
        severity: finding.severity,
        system: clean(&finding.system),
        when: finding.time,
        title: clean(&finding.title),
        rule: finding.rule.clone(),
        entity: clean(&finding.entity),
        again: again(pending),
        counted: state.suppressed(&record.alert_id),
        story: story(state, &record.incident).iter().map(|line| clean(line)).collect(),
        meaning: clean(&meaning(state, record)),
        runbook: clean(&finding.runbook),
        did: did(&responses, finding),
        about: about(finding),
        facts: facts.map(|(name, value)| (clean(name), clean(value))).collect(),
        evidence: finding.evidence.iter().take(NOTIFICATION_ITEMS_MAX).map(ToString::to_string).collect(),
        said: responses.iter().map(|progress| (progress.response.id.clone(), progress.status())).collect(),
        text: None,
    }
}

/// Why it matters; where what it saw was taken back, that first.
fn meaning(state: &AlertState, record: &AlertRecord) -> String {
    let alert = state.alert_by_id(&record.alert_id);
    match alert.and_then(|alert| alert.grounds.unconfirmed.as_ref()) {
        Some(unconfirmed) => format!("{} {}", unconfirmed.sentence(), record.finding.meaning),
        None => record.finding.meaning.clone(),
    }
}

/// The alerts of an incident in words, worst first; nothing where it consists of the one alert that is told.
fn story(state: &AlertState, incident: &str) -> Vec<String> {
    let Some(incident) = state.incidents().get(incident) else { return Vec::new() };
    let mut alerts: Vec<&Alert> = state.alerts_of(incident).collect();
    if alerts.len() < 2 {
        return Vec::new();
    }
    alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.opened, &alert.alert_id));
    let line = |alert: &&Alert| {
        let more = if alert.suppressed > 0 { format!(" and {} more", alert.suppressed) } else { String::new() };
        let back = if alert.grounds.unconfirmed.is_some() { " (unconfirmed)" } else { "" };
        format!("{} {} {}: {}{more}{back}", alert.opened, alert.severity, alert.rule, alert.title)
    };
    alerts.iter().take(NOTIFICATION_STORY_MAX).map(line).collect()
}

/// The message in one line: how it stands, how bad it is, what happened.
#[must_use]
pub fn headline(notification: &Notification) -> String {
    let severity = notification.severity.to_string().to_uppercase();
    let title = notification.title.replace('\n', " ");
    match notification.status {
        Status::Open => format!("{severity} {title}"),
        Status::Acknowledged => format!("acknowledged: {severity} {title}"),
        Status::Resolved => format!("resolved: {severity} {title}"),
    }
}

/// A page says what it said when it was due, however late it is taken. The outcome of a response does not open again what
/// is over.
fn status(occasion: &Occasion, incident: Option<&Incident>) -> Status {
    match occasion {
        Occasion::Acknowledged { .. } => Status::Acknowledged,
        Occasion::Resolved { .. } => Status::Resolved,
        Occasion::Answered(_) => incident.map_or(Status::Open, |incident| incident.handling.status),
        Occasion::Opened | Occasion::Updated | Occasion::Escalated { .. } => Status::Open,
    }
}

fn kind(occasion: &Occasion) -> &'static str {
    match occasion {
        Occasion::Opened => "alert.opened",
        Occasion::Updated => "alert.updated",
        Occasion::Answered(_) => "response.verified",
        Occasion::Escalated { .. } => "alert.escalated",
        Occasion::Acknowledged { .. } => "alert.acknowledged",
        Occasion::Resolved { .. } => "alert.resolved",
    }
}

/// Why it is told again.
fn again(pending: &PendingNotification) -> Vec<String> {
    let causes = pending.record.causes.iter().map(ToString::to_string);
    match &pending.occasion {
        Occasion::Acknowledged { by } => vec![format!("acknowledged by {}", strip(by))],
        Occasion::Resolved { by, why } => vec![format!("resolved by {}: {}", strip(by), strip(why))],
        Occasion::Escalated { minutes } => {
            std::iter::once(format!("nobody acknowledged it within {minutes} minutes")).chain(causes).collect()
        }
        Occasion::Opened | Occasion::Updated | Occasion::Answered(_) => causes.collect(),
    }
}

/// The message as text, one thing a line. Of what somebody sees to, only what is new.
#[must_use]
pub fn render(notification: &Notification) -> String {
    let n = notification;
    if let Some(text) = &n.text {
        return format!("{}\n{}\n", headline(n), text.trim_end());
    }
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        for (index, part) in value.lines().filter(|part| !part.trim().is_empty()).enumerate() {
            let _ = writeln!(text, "  {:<9} {}", if index == 0 { label } else { "" }, part.trim_end());
        }
    };
    let is_answer = matches!(n.kind, "alert.acknowledged" | "alert.resolved");
    line("system", &n.system);
    line("when", &format!("{} (log time)", n.when));
    line("about", &n.entity);
    for (name, value) in n.about.iter().filter(|_| !is_answer) {
        line(name, value);
    }
    line("again", &n.again.join("; "));
    if n.counted > 0 {
        line("counted", &format!("{} further findings were not told", n.counted));
    }
    if !is_answer {
        line("story", &n.story.join("\n"));
        line("why", &n.meaning);
        line("do", &n.runbook);
    }
    line("did", &n.did.join("\n"));
    for (name, value) in n.facts.iter().filter(|_| !is_answer) {
        line("fact", &format!("{name} = {value}"));
    }
    if !is_answer {
        line("evidence", &n.evidence.join("\n"));
    }
    line("rule", &n.rule);
    line("alert", &format!("{} in incident {}", n.key, n.incident));
    format!("{}\n{text}", headline(n))
}

fn about(finding: &Finding) -> BTreeMap<&'static str, String> {
    let named = [
        ("actor", &finding.actor),
        ("device", &finding.device),
        ("wallet", &finding.wallet),
        ("request", &finding.request),
        ("tx", &finding.tx),
        ("amount", &finding.amount),
        ("to", &finding.to_address),
        ("session", &finding.session),
    ];
    let present = named.into_iter().filter_map(|(name, value)| Some((name, clean(value.as_deref()?, finding))));
    present.collect()
}

fn did(responses: &[&Progress], finding: &Finding) -> Vec<String> {
    if responses.is_empty() {
        let asked = !finding.response.is_empty();
        let said =
            if asked { "nothing new: what the rule asks for is stopped or proposed already" } else { "told you" };
        return vec![said.to_owned()];
    }
    let mut lines: Vec<String> = responses.iter().map(|progress| did_one(progress)).collect();
    if responses.iter().any(|progress| progress.is_decided()) {
        lines.push(
            "signatures and approvals given before stay valid: a decision point cannot take them back".to_owned(),
        );
    }
    lines
}

fn did_one(progress: &Progress) -> String {
    let response = &progress.response;
    if let Some(via) = &response.via {
        return did_another_way(progress, via);
    }
    let targets = name_targets(&response.targets);
    let why = &response.why;
    match &progress.step {
        Step::Proposed => {
            format!("proposes to stop {targets}; waits for a person ({why}); response {}", response.id)
        }
        Step::Released => format!("the proposal to stop {targets} was taken over by another response"),
        Step::Rejected { by, reason } => {
            format!("the proposal to stop {targets} was rejected by {}: {}", strip(by), strip(reason))
        }
        Step::Undone { by, reason } => format!("{targets} let in again by {}: {}", strip(by), strip(reason)),
        Step::Requested | Step::Published => match &progress.failed_because {
            None => format!("is stopping {targets} ({why}); not confirmed yet"),
            Some(problem) => format!("could NOT yet stop {targets}: {}; goes on trying", strip(problem)),
        },
        Step::GivenUp { reason } => format!("could NOT stop {targets}: {}; it is not tried any more", strip(reason)),
        Step::Verified { degree, reason } => {
            let sequence = progress.sequence;
            let reason = strip(reason);
            match degree {
                Degree::DeniedAtPdp => format!(
                    "stopped {targets} ({why}); denied_at_pdp: probes of document {sequence} are denied, a healthy \
                     control session is still allowed"
                ),
                Degree::ClosedAtPep | Degree::NoSignatureSince => {
                    format!("stopped {targets} ({why}); {degree}: {reason}")
                }
                Degree::AlreadyDenied => format!("{targets}: already_denied, document {sequence}: {reason}"),
                Degree::AcceptedByIdentityProvider | Degree::AcceptedBySigner => {
                    format!("{targets}: {degree}: {reason}")
                }
                Degree::Unconfirmed => {
                    format!("published document {sequence} against {targets}; the effect is UNCONFIRMED: {reason}")
                }
            }
        }
    }
}

/// What was done on a way besides the decision point.
fn did_another_way(progress: &Progress, via: &Via) -> String {
    let asked = strip(&describe_way(via, &progress.response));
    let (why, id) = (strip(&progress.response.why), &progress.response.id);
    match &progress.step {
        Step::Proposed => format!("proposes to {asked}; waits for a person ({why}); response {id}"),
        Step::Released => format!("the proposal to {asked} was taken over by another response"),
        Step::Rejected { by, reason } => {
            format!("the proposal to {asked} was rejected by {}: {}", strip(by), strip(reason))
        }
        Step::Undone { by, reason } => {
            format!("does not go on trying to {asked}: {} said so: {}", strip(by), strip(reason))
        }
        Step::Requested | Step::Published => match &progress.failed_because {
            None => format!("is about to {asked} ({why}); not accepted yet"),
            Some(problem) => format!("could NOT yet {asked}: {}; goes on trying", strip(problem)),
        },
        Step::Verified { degree, reason } => format!("asked to {asked} ({why}); {degree}: {}", strip(reason)),
        Step::GivenUp { reason } => format!("could NOT {asked}: {}; it is not tried any more", strip(reason)),
    }
}

fn clean(text: &str, finding: &Finding) -> String {
    let text = match &finding.session {
        Some(session) if session.chars().count() > 3 => text.replace(session.as_str(), &short_session(session)),
        _ => text.to_owned(),
    };
    strip(&text)
}
