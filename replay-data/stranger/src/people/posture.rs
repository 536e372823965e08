//! Devices that fail a check for minutes: an update that is installed, an agent that restarts, an agent that forgets to.
//!
//! Where it comes from: sensors stop after an operating system's update until they are started again
//! (osquery/osquery#6148), restart when they update themselves (fleetdm/fleet#464), or are killed over and over by their own
//! watchdog (fleetdm/fleet#17827); hosts flap between online and offline every two or three minutes (fleetdm/fleet#37097).

use crate::calendar::{DAY, HOUR, MINUTE};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::Firm;
use crate::journal::Journal;
use crate::people::roster::Span;
use crate::season::is_patch_day;

/// Tells the checks that fail and pass again within the sessions of the roster.
pub(crate) fn tell(firm: &Firm, journal: &mut Journal, chance: &mut Chance) {
    // The vendor of the sensor rolls out a version on one day; everybody's restarts within some hours.
    let rollout = firm.roster.all().get(chance.favourite(firm.roster.all().len().max(1))).map(|span| span.from / DAY);
    for span in firm.roster.all().iter().filter(|span| span.is_at_work) {
        let at = span.from + chance.below((span.to - span.from).max(1).cast_unsigned()).cast_signed();
        let mut check =
            |outcome: &'static str, check: &'static str, at: i64| state(firm, span, outcome, check, at, journal);
        if is_patch_day(span.from / DAY) && chance.thousandths(600) {
            check("not_compliant", "os_version", at);
            check("compliant", "os_version", at + chance.between(9, 70) * MINUTE);
        } else if rollout == Some(span.from / DAY) && chance.thousandths(700) {
            check("not_compliant", "edr_running", at);
            check("compliant", "edr_running", at + chance.between(1, 6) * MINUTE);
        } else if chance.thousandths(14) {
            let name = *chance.pick(&["edr_running", "screen_lock", "firewall"]);
            check("not_compliant", name, at);
            check("compliant", name, at + chance.between(2, 15) * MINUTE);
        } else if chance.thousandths(8) {
            // The sensor says nothing until the next start of the machine.
            check("unknown", "edr_running", at);
            check("compliant", "edr_running", at + chance.between(1, 5) * HOUR);
        } else if chance.thousandths(3) {
            for flap in 0..chance.between(3, 9) {
                check("unknown", "edr_running", at + flap * 5 * MINUTE);
                check("compliant", "edr_running", at + (flap * 5 + 2) * MINUTE);
            }
        }
    }
}

fn state(firm: &Firm, span: &Span, outcome: &str, check: &str, at: i64, journal: &mut Journal) {
    let event = Event::new(firm.sources.edr, "session.posture").say(Column::Actor, &span.subject);
    let event = event.say(Column::Device, &span.device).say(Column::Outcome, outcome).with("check", check);
    // The sensor knows a session only while one is open on the device.
    let event = if at < span.to { event.say(Column::Session, &span.session) } else { event };
    let event = match span.egress(at) {
        Some(egress) => egress.say(event),
        None => event,
    };
    journal.tell(firm.system, event, at);
}
