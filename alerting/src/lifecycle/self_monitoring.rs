//! Findings of keywatch's own, about keywatch itself: they are told like any other and ask for no response.

use std::collections::BTreeMap;

use keywatch_store::finding::Proof;
use keywatch_store::{EventId, Finding, Instant, Severity};

use crate::delivery::message::name_targets;
use crate::lifecycle::record::SOURCE;
use crate::lifecycle::silence::Silence;
use crate::response::intent::{Degree, Progress, Step};

const HOUR_NS: i64 = 3_600 * 1_000_000_000;

/// The finding that a revocation was published and is not shown to have an effect; `None` for any other progress.
#[must_use]
pub fn response_unconfirmed(progress: &Progress) -> Option<Finding> {
    let Step::Verified { degree: Degree::Unconfirmed, reason } = &progress.step else { return None };
    let response = &progress.response;
    let anchor = EventId::derive(&response.system, SOURCE, &format!("response/{}/verified", response.id));
    let mut finding = own("keywatch/response_unconfirmed", &response.system, &response.id, anchor, response.decided);
    finding.severity = Severity::Critical;
    finding.title = format!("A revocation is not shown to have an effect: {reason}");
    finding.meaning = format!(
        "Document {} with {} was published, but probes do not show that it stops anything. The decision point may ignore \
         it, be manipulated or deny everybody.",
        progress.sequence,
        name_targets(&response.targets)
    );
    finding.runbook = "Stop the session at the identity provider and the request at the signer by hand.\n\
                       Compare the policy and the document at the decision point with what was published.\n\
                       If the control session is denied too, look for a stale document or a stopped heartbeat."
        .to_owned();
    finding.wallet = response.targets.wallets.first().cloned();
    finding.request = response.targets.requests.first().cloned();
    finding.session = response.targets.sessions.first().cloned();
    Some(finding)
}

/// The finding that a decision point did not take the revocation document; the same one for an hour of log time.
#[must_use]
pub fn heartbeat_failed(system: &str, problem: &str, now: Instant) -> Finding {
    let hour = now.nanoseconds().div_euclid(HOUR_NS);
    let anchor = EventId::derive(system, SOURCE, &format!("heartbeat/{hour}"));
    let mut finding = own("keywatch/heartbeat_failed", system, system, anchor, now);
    finding.title = format!("The revocation document cannot be renewed: {problem}");
    finding.meaning = "The policy denies every request once the document is two minutes old. Nothing can be revoked \
                       meanwhile, and people will look for ways around the decision point."
        .to_owned();
    finding.runbook = "Bring the decision point back.\n\
                       Until then take every signature for one that no decision stands behind."
        .to_owned();
    finding
}

/// The finding that a destination of notifications says it is gone, as of log time `now`.
#[must_use]
pub fn destination_gone(system: &str, destination: &str, now: Instant) -> Finding {
    let anchor = EventId::derive(system, SOURCE, &format!("gone/{destination}"));
    let mut finding = own("keywatch/destination_gone", system, destination, anchor, now);
    finding.severity = Severity::High;
    finding.title = format!("Destination {destination} says that it is gone and gets no more notifications");
    finding.meaning = "Pages that only this destination would carry reach nobody.".to_owned();
    finding.runbook = "Correct or remove the destination in the configuration and start keywatch again.".to_owned();
    finding
}

/// The finding that somebody silenced findings, or that a second person agreed to it.
#[must_use]
pub fn silenced(silence: &Silence, approved_by: Option<&str>) -> Finding {
    let Silence { id, request, by, .. } = silence;
    let what = if approved_by.is_some() { "approved" } else { "silenced" };
    let anchor = EventId::derive(&request.system, SOURCE, &format!("{what}/{id}"));
    let mut finding = own("keywatch/silenced", &request.system, id, anchor, silence.at);
    let criticals = if request.criticals { ", criticals too" } else { "" };
    let (until, matcher) = (request.until, request.matcher.words());
    finding.severity = if request.criticals { Severity::High } else { Severity::Medium };
    finding.title = match approved_by {
        Some(second) => format!("{by} and {second} silenced {matcher} until {until}{criticals}"),
        None if request.criticals => format!("{by} asks to silence {matcher} until {until}{criticals}"),
        None => format!("{by} silenced {matcher} until {until}"),
    };
    finding.meaning = format!(
        "Findings that match are recorded and responded to, and nobody is told of them. The reason given: {}",
        request.reason
    );
    finding.runbook = "If nobody knows of it, end the silence and ask whose token was used.".to_owned();
    finding.actor = Some(by.clone());
    finding
}

fn own(rule: &str, system: &str, entity: &str, anchor: EventId, time: Instant) -> Finding {
    Finding {
        id: Finding::derive_id(rule, 1, system, entity, anchor),
        rule: rule.to_owned(),
        version: 1,
        severity: Severity::High,
        system: system.to_owned(),
        entity: entity.to_owned(),
        anchor,
        time,
        decided: time,
        title: String::new(),
        meaning: String::new(),
        runbook: String::new(),
        source: SOURCE.to_owned(),
        late: false,
        actor: None,
        session: None,
        device: None,
        wallet: None,
        request: None,
        tx: None,
        amount: None,
        to_address: None,
        evidence: vec![anchor],
        facts: BTreeMap::new(),
        response: Vec::new(),
        proof: Proof::Corroborated,
        suppress_ns: HOUR_NS,
    }
}
