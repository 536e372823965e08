//! One session as the identity provider tells it: the start with its slips, the second factor, the state of the device,
//! what is opened, the end, and what still speaks after it.
//!
//! Where it comes from: a mistyped password and a push that is declined by mistake stand in every tenant's log; a page that
//! refreshes itself in another tab speaks for some seconds after the log-out (the application's session outlives the
//! provider's, okta/okta-developer-docs#2096); one session is seen under several addresses, since clients switch networks
//! (elastic/detection-rules#3506, panther-labs/panther-analysis#1086).

use serde_json::Value;

use crate::calendar::{HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::Firm;
use crate::journal::Journal;
use crate::people::roster::Span;

/// What is opened in a session.
const APPLICATIONS: [&str; 9] =
    ["wallet-console", "withdrawal-desk", "mail", "chat", "tickets", "wiki", "dashboards", "code", "payroll"];

/// How a session goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Minutes from one page to the next, about.
    pub(crate) pace_minutes: i64,
    /// Which factor is used.
    pub(crate) factor: &'static str,
    /// Whether the device is asked for its state.
    pub(crate) is_managed: bool,
}

/// Tells a session from its start to its end.
pub(crate) fn tell(firm: &Firm, span: &Span, course: Course, journal: &mut Journal, chance: &mut Chance) {
    let mut idp = |kind: &'static str, at: i64, fill: &dyn Fn(Event) -> Event| {
        let event = fill(span.say(Event::new(firm.sources.idp, kind), at));
        journal.tell(firm.system, event, at);
    };
    let outcome = |word: &'static str| move |event: Event| event.say(Column::Outcome, word);
    start(span, course, &mut idp, chance);
    if course.is_managed {
        let at = span.from + 3 * SECOND;
        let check = *chance.pick(&["disk_encryption", "os_version", "edr_running", "screen_lock"]);
        let event = span.say(Event::new(firm.sources.edr, "session.posture"), at);
        journal.tell(firm.system, event.say(Column::Outcome, "compliant").with("check", check), at);
    }
    let mut idp = |kind: &'static str, at: i64, fill: &dyn Fn(Event) -> Event| {
        let event = fill(span.say(Event::new(firm.sources.idp, kind), at));
        journal.tell(firm.system, event, at);
    };
    let mut at = span.from + chance.between(5, 90) * SECOND;
    while at < span.to {
        let application = *chance.pick(&APPLICATIONS);
        let opened = |event: Event| outcome("success")(event).with("app", application);
        // Some pages open others in the same second.
        idp("session.presented", at, &opened);
        at += chance.around(course.pace_minutes * MINUTE);
    }
    // What changed the network reconnects at once.
    for (moved, _) in span.moves.iter().skip(1).filter(|(moved, _)| *moved < span.to) {
        let at = moved + chance.between(1, 40) * SECOND;
        idp("session.presented", at, &|event| outcome("success")(event).with("app", "chat"));
    }
    end(span, &mut idp, chance);
}

/// Tells a record of the identity provider: its kind, when, and what it says beside what all of them do.
type Telling<'a> = &'a mut dyn FnMut(&'static str, i64, &dyn Fn(Event) -> Event);

fn start(span: &Span, course: Course, idp: Telling<'_>, chance: &mut Chance) {
    let outcome = |word: &'static str| move |event: Event| event.say(Column::Outcome, word);
    if chance.thousandths(70) {
        let mistyped = |event: Event| {
            outcome("failure")(event.say(Column::Session, "")).say(Column::Reason, "INVALID_CREDENTIALS")
        };
        for again in 0..=chance.below(2).cast_signed() {
            idp("session.started", span.from - (25 - 9 * again) * SECOND, &mistyped);
        }
    }
    idp("session.started", span.from, &outcome("success"));
    let factor = Value::from(course.factor);
    let mut at = span.from + chance.between(2, 14) * SECOND;
    if chance.thousandths(25) {
        // Timed out in a pocket, or declined by a thumb.
        idp("session.mfa", at, &|event| outcome("failure")(event).with("factor", factor.clone()));
        at += chance.between(8, 45) * SECOND;
    }
    idp("session.mfa", at, &|event| outcome("success")(event).with("factor", factor.clone()));
}

fn end(span: &Span, idp: Telling<'_>, chance: &mut Chance) {
    if chance.thousandths(620) {
        idp("session.ended", span.to, &|event| event.say(Column::Reason, "logout"));
        if chance.thousandths(60) {
            let after = span.to + chance.between(300, 9_000);
            idp("session.presented", after, &|event| event.say(Column::Outcome, "success").with("app", "chat"));
        }
    } else {
        // The lid is closed; the provider notices hours later.
        let expires = span.to + chance.between(1, 3) * HOUR;
        idp("session.ended", expires, &|event| event.say(Column::Reason, "expired"));
    }
}
