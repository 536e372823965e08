//! Findings about rules that people put into shadow or switch off while keywatch runs: that somebody asks for it, and that a
//! second person agrees. No silence covers them.

use keywatch_store::{EventId, Finding, Instant, Severity};

use crate::lifecycle::action::SOURCE;
use crate::lifecycle::self_monitoring::about_keywatch;
use crate::lifecycle::switch::{Mode, Switch, SwitchRequest};
use crate::policy::routes::LOWERED_RULE;

/// What is to be told of it as it stands: one finding for each step.
pub(crate) fn about(switch: &Switch) -> impl Iterator<Item = Finding> {
    let approved = switch.approved.as_ref().map(|(second, at)| {
        let title = format!("{} and {second} switched", switch.by);
        told(switch, "approved", (second.as_str(), *at), &title)
    });
    let asked = told(switch, "asked", (switch.by.as_str(), switch.at), &format!("{} asks to switch", switch.by));
    std::iter::once(asked).chain(approved)
}

fn told(switch: &Switch, step: &str, (by, at): (&str, Instant), who: &str) -> Finding {
    let Switch { id, request, .. } = switch;
    let SwitchRequest { system, rule, to, reason, until } = request;
    let anchor = EventId::derive(system, SOURCE, &format!("switch/{id}/{step}"));
    let mut finding = about_keywatch(LOWERED_RULE, system, id, anchor, at);
    finding.severity = Severity::High;
    // That a second person agrees within the hour is news.
    finding.suppress_ns = 0;
    finding.actor = Some(by.to_owned());
    finding.title = format!("{who} {rule} {to} until {until}");
    let effect = match to {
        Mode::Shadow => "It finds and pages as before, and what it would revoke waits for a person.",
        Mode::Off => "What it finds is recorded; nobody is told, and nothing is revoked or proposed for it.",
    };
    finding.meaning = format!("{effect} The reason given: {reason}");
    finding.runbook = format!(
        "If nobody knows of it, switch the rule on again and ask whose token was used: keywatch detectors on {rule} \
         --system {system} --reason unknown\n\
         See what it found since: the records finding.created of the rule."
    );
    finding
}
