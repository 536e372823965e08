//! Changes that administrators and pipelines make all the time, people who come, go and stand in for each other, and the day on
//! which an auditor reads everything.
//!
//! Where it comes from: infrastructure as code changes rules of networks and grants several times a day; its noise is what rule
//! packs exclude by name. Approvers on vacation hand over, which is a grant and a revocation. Policies serve other
//! questions than payments: a console asks whether somebody may look.

use serde_json::json;

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, SOURCES};
use crate::infrastructure::is_workday;
use crate::journal::Journal;
use crate::names;
use crate::networks;
use crate::people::Role;
use crate::people::roster::Span;
use crate::people::travel::Absences;
use crate::season::Season;

/// Tells them all; when bundles of policies were published.
pub(crate) fn tell(
    firm: &Firm,
    season: &Season,
    absences: &Absences,
    journal: &mut Journal,
    chance: &mut Chance,
) -> Vec<i64> {
    let mut published = Vec::new();
    for day in season.all().filter(|day| is_workday(season, *day)) {
        published.extend(pipelines(firm, day, journal, chance));
        looks(firm, day, journal, chance);
    }
    hand_overs(firm, season, absences, journal);
    staff_changes(firm, season, journal, chance);
    audit(firm, season, journal, chance);
    published
}

fn pipelines(firm: &Firm, day: i64, journal: &mut Journal, chance: &mut Chance) -> Option<i64> {
    const USUAL: [(&str, &str, u64); 6] = [
        ("control.network", "AuthorizeSecurityGroupIngress", 900),
        ("control.network", "RevokeSecurityGroupIngress", 700),
        ("control.iam", "AttachRolePolicy", 600),
        ("control.iam", "CreatePolicyVersion", 500),
        ("control.logging", "PutBucketLifecycle", 70),
        ("control.key", "EnableKeyRotation", 40),
    ];
    let seen = networks::datacentre(7);
    for (kind, action, of_thousand) in USUAL {
        if chance.thousandths(of_thousand) {
            let at = day * DAY + chance.between(8 * 60, 18 * 60) * MINUTE;
            let event = seen.say(Event::new(SOURCES.cloud, kind).say(Column::Actor, "terraform"));
            let run = format!("run-{}", names::digits(chance, 8));
            journal.tell(
                firm.system,
                event.say(Column::Outcome, "success").with("action", action).with("run", run),
                at,
            );
        }
    }
    if day % 7 != 5 {
        return None;
    }
    let at = day * DAY + 11 * HOUR + chance.between(0, 90) * MINUTE;
    let event = seen.say(Event::new(SOURCES.cloud, "control.policy").say(Column::Actor, "policy-pipeline"));
    let revision = names::digits(chance, 12);
    journal.tell(firm.system, event.with("action", "bundle published").with("revision", revision), at);
    Some(at)
}

/// Consoles ask whether somebody may look at a wallet.
fn looks(firm: &Firm, day: i64, journal: &mut Journal, chance: &mut Chance) {
    for _ in 0..chance.count(if firm.module.is_some() { 4 } else { 24 }) {
        let at = day * DAY + chance.between(0, DAY - 1);
        let Some((at, span)) = firm.roster.next(at, |_| true) else { continue };
        look(firm, span, at, journal, chance);
    }
}

fn look(firm: &Firm, span: &Span, at: i64, journal: &mut Journal, chance: &mut Chance) {
    let wallet = chance.pick(&firm.wallets);
    let event = Event::new(SOURCES.pdp, "decision").say(Column::Actor, &span.subject);
    let event = event.say(Column::Session, &span.session).say(Column::Device, &span.device);
    let event = event.say(Column::Ip, span.egress(at).map(networks::Egress::ip).unwrap_or_default());
    let event = event.say(Column::Wallet, &wallet.address).say(Column::Chain, wallet.chain.name());
    let event = event.say(Column::Decision, names::uuid(chance)).say(Column::Outcome, "allow");
    let input =
        json!({ "subject": span.subject, "session_id": span.session, "wallet": wallet.address, "action": "view" });
    let event = event
        .with("input", input)
        .with("path", "console/view/allow")
        .with("labels", json!({ "id": firm.answering("opa-a", at) }));
    let event = event.with("amount_type", "absent").with("amount_positive", false).with("risk_type", "absent");
    journal.tell(firm.system, event.with("approvals_type", "absent").with("self_approved", false), at);
}

fn hand_overs(firm: &Firm, season: &Season, absences: &Absences, journal: &mut Journal) {
    for (away, first, back) in &absences.vacations {
        if firm.people[*away].role == Role::Analyst {
            continue;
        }
        for (day, action) in [(*first, "grant"), (*back, "revoke")] {
            if !season.all().any(|one| one == day) {
                continue;
            }
            let of_shift = |one: usize| firm.people[one].role == Role::Administrator && one != *away;
            let Some((at, span)) = firm.roster.next(day * DAY - 14 * HOUR, of_shift) else { continue };
            let event = span.say(Event::new(firm.sources.idp, "control.iam"), at).say(Column::Outcome, "success");
            let event = event.with("action", action).with("role", "approver, standing in");
            journal.tell(firm.system, event.with("for", firm.people[*away].subject.as_str()), at);
        }
    }
}

/// Somebody starts, somebody leaves.
fn staff_changes(firm: &Firm, season: &Season, journal: &mut Journal, chance: &mut Chance) {
    for (action, who) in [("user.create", "new.joiner"), ("user.deactivate", "old.hand")] {
        let day = season.first + chance.between(1, season.days.max(2) - 1);
        let helper = |one: usize| firm.people[one].role == Role::Administrator;
        let Some((at, span)) = firm.roster.next(day * DAY + 9 * HOUR, helper) else { continue };
        let event = span.say(Event::new(firm.sources.idp, "control.iam"), at).say(Column::Outcome, "success");
        journal.tell(firm.system, event.with("action", action).with("target", who), at);
    }
}

/// One person opens everything there is, within a working day.
fn audit(firm: &Firm, season: &Season, journal: &mut Journal, chance: &mut Chance) {
    let Some((begin, span)) =
        firm.roster.next(season.audit * DAY + 9 * HOUR, |one| firm.people[one].role == Role::Analyst)
    else {
        return;
    };
    let mut at = begin;
    while at < span.to.min(begin + 7 * HOUR) {
        let event = span.say(Event::new(firm.sources.idp, "session.presented"), at).say(Column::Outcome, "success");
        journal.tell(firm.system, event.with("app", "audit-export"), at);
        if chance.thousandths(250) {
            look(firm, span, at, journal, chance);
        }
        at += chance.around(45 * SECOND);
    }
}
