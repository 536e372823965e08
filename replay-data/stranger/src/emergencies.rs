//! Access in an emergency: practised once a quarter, needed in one month of sixteen.
//!
//! Two people open it together, with a case, get a role at the identity provider for it, and close it within the hour or two.
//! In every second real emergency the closing is written down in the morning only, by whoever comes first and reads the case
//! (the log of an emergency is what people write last).

use crate::calendar::{DAY, HOUR, MINUTE};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, TICKETS};
use crate::infrastructure::is_workday;
use crate::journal::Journal;
use crate::people::Role;
use crate::people::roster::Span;
use crate::season::Season;

/// Tells a history's drill and emergency, where a register of them is heard.
pub(crate) fn tell(firm: &Firm, season: &Season, journal: &mut Journal, chance: &mut Chance) {
    if firm.module.is_some() {
        return;
    }
    let is_month = |thousandths: i64| (thousandths * season.days / 30).cast_unsigned();
    if chance.thousandths(is_month(333)) {
        let day = season.first + chance.between(0, season.days - 1);
        let day = (day..day + 4).find(|day| is_workday(season, *day)).unwrap_or(day);
        let at = day * DAY + chance.between(9 * 60, 15 * 60) * MINUTE;
        if let Some(closed) = open(firm, "drill: signing while the decision point is down", at, false, journal, chance)
        {
            let event = Event::new(TICKETS, "custody.drill").say(Column::Outcome, "passed");
            let event = event.with("act", "drill.passed").with("about", "access in an emergency");
            journal.tell_late(firm.system, event, closed, closed + chance.between(20, 180) * MINUTE);
        }
    }
    if chance.thousandths(is_month(62)) {
        let day = season.first + chance.between(0, season.days - 1);
        let at = day * DAY + chance.between(60, 5 * 60) * MINUTE;
        let is_late = chance.thousandths(500);
        open(firm, "administrators locked out of the cluster", at, is_late, journal, chance);
    }
}

/// Opens a case and closes it; when it was closed.
fn open(
    firm: &Firm,
    about: &str,
    at: i64,
    is_written_late: bool,
    journal: &mut Journal,
    chance: &mut Chance,
) -> Option<i64> {
    let (at, first) = firm.roster.next(at, |one| firm.people[one].role == Role::Administrator)?;
    let (at, second) = firm.roster.next(at, |one| one != first.person && firm.people[one].role != Role::Analyst)?;
    let case = format!("BG-{}", chance.between(100, 999));
    let closed = at + chance.between(25, 100) * MINUTE;
    let written = if is_written_late { closed + chance.between(4, 9) * HOUR } else { closed };
    let says = |outcome: &str, act: &str, with: &Span| {
        let event = Event::new(TICKETS, "custody.break_glass").say(Column::Actor, &first.subject);
        let event = event.say(Column::Request, &case).say(Column::Outcome, outcome).with("act", act);
        event.with("with", with.subject.as_str()).with("two_people", true).with("about", about)
    };
    let role = |action: &str, at: i64| {
        let event = second.say(Event::new(firm.sources.idp, "control.iam"), at).say(Column::Outcome, "success");
        let event = event.with("action", action).with("role", "operator in an emergency");
        event.with("for", first.subject.as_str()).with("ticket", case.as_str())
    };
    journal.tell(firm.system, says("open", "break_glass.opened", second), at);
    let granted = at + 2 * MINUTE;
    journal.tell(firm.system, role("grant", granted), granted);
    journal.tell(firm.system, role("revoke", closed), closed);
    journal.tell_late(firm.system, says("closed", "break_glass.closed", second), closed, written);
    Some(closed)
}
