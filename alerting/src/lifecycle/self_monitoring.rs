//! Findings of keywatch's own, about keywatch itself: they are told like any other and ask for no response.

use std::collections::BTreeSet;

use keywatch_store::log::kafka::PassedBy;
use keywatch_store::{EventId, Finding, Instant, Severity};

use crate::delivery::failing_receiver::FailingReceiver;
use crate::error::Error;
use crate::lifecycle::action::SOURCE;
use crate::lifecycle::silence::{Allowed, Silence};
use crate::policy::routes::{
    FAILED_RULE, GONE_RULE, PASSED_BY_RULE, REFUSED_DECIDED, REFUSED_ID, REFUSED_RULE, SILENCED_RULE,
};
use crate::response::intent::{Degree, Progress, Response, Ruled, Step};
use crate::response::replicas::{Drift, Found};
use crate::response::wording::name_targets;

/// The entity of what is refused of systems that are not declared.
const UNDECLARED: &str = "systems that are not declared";

const HOUR_NS: i64 = 3_600 * 1_000_000_000;

/// The finding that a revocation was published and is not shown to have an effect; `None` for any other progress.
#[must_use]
pub fn response_unconfirmed(progress: &Progress) -> Option<Finding> {
    let Step::Verified { degree: Degree::Unconfirmed, reason } = &progress.step else { return None };
    let response = &progress.response;
    let anchor = EventId::derive(&response.system, SOURCE, &format!("response/{}/verified", response.id));
    let mut finding =
        about_keywatch("keywatch/response_unconfirmed", &response.system, &response.id, anchor, response.since());
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

/// The finding that something revoked was allowed after probes had been denied; `None` where nothing was.
#[must_use]
pub fn allowed_after_revocation(progress: &Progress) -> Option<Finding> {
    let (event, time) = progress.aftermath.allowed?;
    let response = &progress.response;
    let anchor = EventId::derive(&response.system, SOURCE, &format!("response/{}/allowed", response.id));
    let mut finding = about_keywatch("keywatch/allowed_after_revocation", &response.system, &response.id, anchor, time);
    finding.severity = Severity::Critical;
    finding.evidence.push(event);
    let named = name_targets(&response.targets);
    finding.title = format!("The decision point allowed what is revoked: {named}");
    finding.meaning =
        "Probes for it were denied before. A replica holds another list, the policy tells probes from others, \
                       or a decision point that keywatch does not know decides."
            .to_owned();
    finding.runbook = "Stop signing of the wallet at the signer.\n\
                       See which replica decided and by which revision: the labels and bundles of the decision.\n\
                       Compare the policy there with the one that was reviewed."
        .to_owned();
    finding.session = response.targets.sessions.first().cloned();
    finding.request = response.targets.requests.first().cloned();
    finding.wallet = response.targets.wallets.first().cloned();
    Some(finding)
}

/// The finding that what another process has found is not acted upon, since it says that it was decided later than anything can
/// have been `at` that time. Whoever can write one can write any number, of as many systems as come to mind: all of one of the
/// `declared` systems within the hour are one alert, which pages once and counts the others, and so are all of other systems
/// together, under the first one that is declared. Each is a finding in the log. Where none is declared, every system is.
#[must_use]
pub fn finding_refused(refused: &Finding, at: Instant, declared: &BTreeSet<String>) -> Finding {
    let Finding { id, rule, system, decided, .. } = refused;
    let (under, entity) = match declared.first() {
        Some(first) if !declared.contains(system) => (first.as_str(), UNDECLARED),
        _ => (system.as_str(), system.as_str()),
    };
    // Another one may have the same id.
    let anchor = EventId::derive(system, SOURCE, &format!("refused/{id}/{decided}"));
    let mut finding = about_keywatch(REFUSED_RULE, under, entity, anchor, at);
    finding.severity = Severity::Critical;
    let decided_at = decided.to_string();
    let facts = [(REFUSED_ID, id), (REFUSED_DECIDED, &decided_at), ("rule", rule), ("system", system)];
    finding.facts = facts.map(|(name, fact)| (name.to_owned(), fact.clone())).into();
    finding.title =
        format!("A finding of {rule} is not evaluated: it is of {at} and says that it was decided at {decided}");
    finding.meaning =
        "No rule decides anything before it has happened. Somebody writes findings with the key of the process that finds, or \
         that process or a broker has a wrong clock. Nothing is done about the finding; those behind it are acted upon. Further ones \
         within the hour are counted on this alert and paged no more: each of them may be of another rule."
            .to_owned();
    finding.runbook = "Look at each in the conclusions (finding.created of keywatch/finding_refused; `refused` of its facts is the \
                       id), and at the event that it names, if there is one.\n\
                       Compare the clocks of the brokers.\n\
                       Where the clocks are right, take the machine that finds for taken over: give its role another key."
        .to_owned();
    finding
}

/// The finding that messages of a partition of a topic are passed by, which a role has signed and the process that is `role`
/// cannot read; the same one for an hour of log time of `system`. Whoever has the key of a role can write any number: all of a
/// partition within the hour are one finding, and the metric counts them.
#[must_use]
pub fn messages_passed_by(system: &str, role: &str, passed: &PassedBy, now: Instant) -> Finding {
    let PassedBy { topic, partition, first_offset, messages } = passed;
    let hour = now.nanoseconds().div_euclid(HOUR_NS);
    let entity = format!("{topic}/{partition}");
    let anchor = EventId::derive(system, SOURCE, &format!("passed by/{entity}/{role}/{hour}"));
    let mut finding = about_keywatch(PASSED_BY_RULE, system, &entity, anchor, now);
    finding.severity = Severity::Critical;
    finding.title = format!("Nothing is known of what a later version writes to {topic}, partition {partition}");
    finding.meaning = format!(
        "Messages from offset {first_offset} on carry the MAC of a role of keywatch and cannot be read here; {messages} were counted \
         so far. The rules see nothing of what they say, in every system of the partition, and the copy of the process with the role \
         {role} lacks them. Either another process is of a later version, or somebody has the key of a role. Further ones within the \
         hour are counted in keywatch_log_later_messages and not told."
    );
    finding.runbook = "See of which version each process is, and upgrade those that read before those that write.\n\
                       Have the copy made anew then: docs/kafka.md says how under Upgrading.\n\
                       Where no later version runs, take the key of the role for stolen, and give every role another one."
        .to_owned();
    finding
}

/// The finding that somebody signs with the identity of a control, with which nobody works.
#[must_use]
pub fn control_signed(system: &str, event: EventId, time: Instant) -> Finding {
    let anchor = EventId::derive(system, SOURCE, &format!("control/{event}"));
    let mut finding = about_keywatch("keywatch/control_signed", system, system, anchor, time);
    finding.severity = Severity::Critical;
    finding.evidence.push(event);
    finding.title = "Something was signed with the identity of the control session".to_owned();
    finding.meaning =
        "Nobody works with it: it exists so that probes show that the decision point still allows. It is never \
                       revoked, so whoever has learned it signs past every revocation."
            .to_owned();
    finding.runbook = "Stop signing at the signer.\n\
                       Make another control identity, and find out who could read the old one."
        .to_owned();
    finding
}

/// The finding that a limit keeps keywatch from revoking alone; the same one for an hour of log time. `None` for a response
/// that waits for another reason.
#[must_use]
pub fn limit_reached(response: &Response) -> Option<Finding> {
    if !response.over_limit {
        return None;
    }
    let Response { system, decided, why, severity, .. } = response;
    let hour = decided.nanoseconds().div_euclid(HOUR_NS);
    let anchor = EventId::derive(system, SOURCE, &format!("limit/{hour}/{severity}"));
    let mut finding = about_keywatch("keywatch/response_limit", system, system, anchor, *decided);
    finding.severity = (*severity).max(Severity::High);
    finding.title = format!("keywatch revokes no more alone: {why}");
    finding.meaning =
        "Either many sessions are under attack, or somebody makes it look so: to cut everybody off, or to use \
                       up what keywatch may do before the real attack. What it would have revoked waits for a person."
            .to_owned();
    finding.runbook = "Go through the proposals, the worst first, and approve or reject each.\n\
                       If one source or rule stands behind most of them, check it before anything else.\n\
                       Hold signing of the wallets concerned meanwhile."
        .to_owned();
    Some(finding)
}

/// The finding that a decision point did not take the revocation document; the same one for an hour of log time, as long as
/// the same replicas, `at`, fail.
#[must_use]
pub fn heartbeat_failed(system: &str, at: Option<&str>, problem: &str, now: Instant) -> Finding {
    let hour = now.nanoseconds().div_euclid(HOUR_NS);
    let at = at.unwrap_or(system);
    let anchor = EventId::derive(system, SOURCE, &format!("heartbeat/{hour}/{at}"));
    let mut finding = about_keywatch("keywatch/heartbeat_failed", system, at, anchor, now);
    finding.title = format!("The revocation document cannot be renewed: {problem}");
    finding.meaning = "The policy denies every request once the document is two minutes old. Nothing can be revoked \
                       meanwhile, and people will look for ways around the decision point."
        .to_owned();
    finding.runbook = "Bring the decision point back.\n\
                       Until then take every signature for one that no decision stands behind."
        .to_owned();
    finding
}

/// The finding that a later revocation document of this same keywatch is in force, so that this process does nothing at the
/// decision point; the same one for an hour of log time. `None` for any other error.
#[must_use]
pub fn superseded(system: &str, error: &Error, now: Instant) -> Option<Finding> {
    let Error::Superseded { endpoint, sequence, successor } = error else { return None };
    let hour = now.nanoseconds().div_euclid(HOUR_NS);
    let anchor = EventId::derive(system, SOURCE, &format!("superseded/{hour}/{endpoint}"));
    let mut finding = about_keywatch("keywatch/superseded", system, endpoint, anchor, now);
    finding.severity = Severity::Critical;
    finding.title = format!(
        "Another keywatch has put document {successor} in force at {endpoint}, this one has got to {sequence} and does \
         nothing there"
    );
    finding.meaning =
        "The document carries the seal of this keywatch's own key. Another process has taken the place of this \
                       one, or a copy of its data acts elsewhere; or the log of this one has lost its end, and with it \
                       revocations. An older list is put over a later one by nobody."
            .to_owned();
    finding.runbook = "See which processes run with this key and this system, and end the one that is not meant to respond.\n\
                       If this is the only one, its log is not whole: compare its end with `meta.log_head` at the decision \
                       point, and bring back what is missing.\n\
                       If that is lost for good, note what the document there holds, revoke it anew by hand, and delete \
                       the document there: this process goes on with its own."
        .to_owned();
    Some(finding)
}

/// The finding that a replica of a decision point held something else than was put there.
#[must_use]
pub fn replica_drifted(system: &str, drift: &Drift, now: Instant) -> Finding {
    let Drift { replica, found, sequence } = drift;
    let anchor = EventId::derive(system, SOURCE, &format!("drift/{replica}/{}/{found}", now.nanoseconds()));
    let mut finding = about_keywatch("keywatch/replica_drifted", system, replica, anchor, now);
    let restarted = *found == Found::Nothing;
    finding.severity = if restarted { Severity::Medium } else { Severity::Critical };
    finding.title = format!("Replica {replica} held {found} in place of document {sequence}");
    finding.meaning = if restarted {
        "It was restarted or wiped. It denied everything until now, and has the document again.".to_owned()
    } else {
        "Somebody has put another list of revocations there, or gives it an old one: what was revoked since may have been \
         allowed. The document was put in force again."
            .to_owned()
    };
    finding.runbook = "Look in the decision log of the replica for what it allowed since the last heartbeat.\n\
                       Find out who can write there: its API needs a token, bundles need `signing` with a scope."
        .to_owned();
    finding
}

/// The finding that a destination of notifications says it is gone, as of log time `now`.
#[must_use]
pub fn destination_gone(system: &str, destination: &str, now: Instant) -> Finding {
    let anchor = EventId::derive(system, SOURCE, &format!("gone/{destination}"));
    let mut finding = about_keywatch(GONE_RULE, system, destination, anchor, now);
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
    let mut finding = about_keywatch(SILENCED_RULE, &request.system, id, anchor, silence.at);
    let criticals = if request.criticals { ", criticals too" } else { "" };
    let (until, matcher) = (request.until, request.matcher.words());
    let on_list = "put on the allow-list";
    let (silence_it, silenced_it) = if silence.allows.is_some() { (on_list, on_list) } else { ("silence", "silenced") };
    // That a second person agrees within the hour is news.
    finding.suppress_ns = 0;
    finding.severity = if silence.needs_two() { Severity::High } else { Severity::Medium };
    finding.title = match approved_by {
        Some(second) => format!("{by} and {second} {silenced_it} {matcher} until {until}{criticals}"),
        None if silence.needs_two() => format!("{by} asks to {silence_it} {matcher} until {until}{criticals}"),
        None => format!("{by} {silenced_it} {matcher} until {until}"),
    };
    finding.meaning = format!(
        "Findings that match are recorded and responded to, and nobody is told of them. The reason given: {}",
        request.reason
    );
    if let Some(allowed) = &silence.allows {
        let Allowed { alert, verdict, severity, .. } = allowed;
        let wider = allowed.wider(&request.matcher);
        let wider = if wider.is_empty() { String::new() } else { format!(" It is wider: {}.", wider.join(", ")) };
        finding.meaning = format!(
            "{} It was made from the verdict {verdict} on alert {alert}; what is worse than {severity} is told.{wider}",
            finding.meaning
        );
    }
    finding.runbook = "If nobody knows of it, end the silence and ask whose token was used.".to_owned();
    finding.actor = Some(by.clone());
    finding
}

/// The finding that a person took a revocation back; `None` for any other progress. It names none of the targets, so that it
/// joins no incident and pages by itself.
#[must_use]
pub fn response_undone(progress: &Progress) -> Option<Finding> {
    let Step::Undone { by, reason } = &progress.step else { return None };
    let response = &progress.response;
    let ruling = progress.rulings.iter().find(|ruling| ruling.ruled == Ruled::Undone);
    // What ended with the response that it goes along with is told with that one.
    if response.via.is_some() && ruling.is_none() {
        return None;
    }
    let anchor = EventId::derive(&response.system, SOURCE, &format!("response/{}/undone", response.id));
    let at = ruling.map_or(response.decided, |ruling| ruling.at);
    let mut finding = about_keywatch("keywatch/response_undone", &response.system, &response.id, anchor, at);
    finding.title = format!("{by} took a revocation back: {}", name_targets(&response.targets));
    finding.meaning = format!(
        "What it named is let in again, unless another revocation names it too. It answered incident {}. The reason given: \
         {reason}",
        response.incident
    );
    finding.runbook = "If nobody knows of it, revoke at the identity provider and ask whose token was used.".to_owned();
    finding.actor = Some(by.clone());
    Some(finding)
}

/// The finding that a receiver takes nothing, or that something was put aside for good; the same one for an hour of log
/// time. The other receivers are told, with what it keeps from people.
#[must_use]
pub(crate) fn delivery_failed(receiver: &FailingReceiver, now: Instant) -> Finding {
    let worst = &receiver.worst.finding;
    let destination = &receiver.destination;
    let hour = now.nanoseconds().div_euclid(HOUR_NS);
    let anchor = EventId::derive(&worst.system, SOURCE, &format!("delivery/{destination}/{hour}"));
    let mut finding = about_keywatch(FAILED_RULE, &worst.system, destination, anchor, now);
    finding.severity = worst.severity.max(Severity::High);
    finding.title = format!(
        "Receiver {destination} does not take notifications: {} wait, {} were put aside since the start; among them: {} {}",
        receiver.waiting, receiver.dead, worst.severity, worst.title
    );
    finding.meaning = format!(
        "People whom only this receiver would reach do not know. It said: {}. What waits is delivered when it returns.",
        receiver.problem
    );
    finding.runbook = "Look at the alert yourself, and reach those on call in another way.\n\
                       Bring the receiver back, or correct its configuration.\n\
                       Redrive what was put aside: keywatch deliveries redrive."
        .to_owned();
    finding
}

pub(crate) fn about_keywatch(rule: &str, system: &str, entity: &str, anchor: EventId, time: Instant) -> Finding {
    let about = Finding::about(rule, Severity::High, system, entity, anchor, time);
    Finding { source: SOURCE.to_owned(), suppress_ns: HOUR_NS, ..about }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_messages_are_passed_by_they_are_one_finding_an_hour_for_each_partition_of_a_topic() {
        let passed = |topic: &str, partition, first_offset, messages| PassedBy {
            topic: topic.to_owned(),
            partition,
            first_offset,
            messages,
        };
        let found = |role: &str, passed: &PassedBy, at| messages_passed_by("cold", role, passed, Instant(at));
        let one = found("all", &passed("k.events", 0, 7, 1), HOUR_NS);
        assert_eq!((one.severity, one.entity.as_str()), (Severity::Critical, "k.events/0"));
        assert_eq!(found("all", &passed("k.events", 0, 9, 80), 2 * HOUR_NS - 1).id, one.id);
        let others = [
            found("all", &passed("k.events", 0, 7, 1), 2 * HOUR_NS),
            found("all", &passed("k.events", 1, 7, 1), HOUR_NS),
            found("all", &passed("k.conclusions", 0, 7, 1), HOUR_NS),
            // Written by another process: the same id with other words would be a conflict.
            found("detect", &passed("k.events", 0, 7, 1), HOUR_NS),
        ];
        assert!(others.iter().all(|other| other.id != one.id));
    }

    #[test]
    fn what_is_refused_of_invented_systems_is_one_alert_and_of_each_declared_one_another() {
        let declared = BTreeSet::from(["cold", "warm"].map(str::to_owned));
        let told = |system: &str, decided: i64| {
            let anchor = EventId::derive(system, "idp", "1");
            let refused = Finding::about("own/seen", Severity::High, system, "ann", anchor, Instant(decided));
            let finding = finding_refused(&refused, Instant(1), &declared);
            assert_eq!(finding.facts["system"], system);
            finding
        };
        let alert = |finding: Finding| (finding.system, finding.entity);
        assert_eq!(alert(told("cold", 9)), ("cold".to_owned(), "cold".to_owned()));
        assert_eq!(alert(told("warm", 9)), ("warm".to_owned(), "warm".to_owned()));
        let invented = ["one", "two", "three"].map(|system| alert(told(system, 9)));
        assert!(invented.iter().all(|alert| *alert == ("cold".to_owned(), UNDECLARED.to_owned())), "{invented:?}");
        assert_ne!(told("cold", 9).id, told("cold", 10).id, "another one of the same id is refused too");
    }
}
