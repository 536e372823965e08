//! Machines: heartbeats, ticks, planned stops, restarts, deliveries that are held up, sessions of services.
//!
//! Where it comes from:
//! * logs of an identity provider that come hours late: elastic/beats#40949 (two hours are its own default, because reports
//!   may lag for days), wazuh/wazuh#24323, splunk/splunk-add-on-microsoft-azure#90;
//! * decision logs that are uploaded again after a failed upload and so come late and twice: open-policy-agent/opa#4486,
//!   #4493, open-policy-agent/java-opa-sdk#77;
//! * nodes that are stopped for an upgrade and catch up afterwards; planned, and said beforehand by `source.status`.

use crate::calendar::{DAY, HOUR, MINUTE, SECOND, is_weekend};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, SOURCES};
use crate::journal::{Delivery, Journal};
use crate::names;
use crate::networks;
use crate::season::Season;

/// Stretches of time, first and last instant.
pub(crate) type Stretches = Vec<(i64, i64)>;

/// What stands still when.
#[derive(Debug, Default)]
pub(crate) struct Infrastructure {
    /// No decision is made.
    pub(crate) undecided: Stretches,
    /// Decisions are made; their log cannot be uploaded.
    pub(crate) not_uploaded: Stretches,
    /// Nothing is signed.
    pub(crate) unsigned: Stretches,
    /// A source says nothing at all.
    silent: Vec<(&'static str, i64, i64)>,
}

/// The end of the stretch that an instant falls into, or the instant.
pub(crate) fn after(stretches: &[(i64, i64)], at: i64) -> i64 {
    stretches.iter().find(|(from, to)| (*from..*to).contains(&at)).map_or(at, |(_, to)| *to)
}

impl Infrastructure {
    /// Plans the stops of a firm and tells the journal how sources deliver.
    pub(crate) fn plan(firm: &Firm, season: &Season, journal: &mut Journal, chance: &mut Chance) -> Infrastructure {
        let mut plan = Infrastructure::default();
        for source in &firm.feeds {
            journal.set_delivery(firm.system, source.name, Delivery { usual: source.usual, held_up: Vec::new() });
        }
        let some = |each_days: i64, minutes: (i64, i64), chance: &mut Chance| -> Stretches {
            let times = (season.days / each_days).max(i64::from(season.days > 4));
            let one = |_| {
                let from =
                    (season.first + chance.between(1, season.days.max(2) - 1)) * DAY + chance.between(0, DAY - HOUR);
                (from, from + chance.between(minutes.0 * MINUTE, minutes.1 * MINUTE))
            };
            (0..times).map(one).collect()
        };
        plan.undecided = some(6, (0, 1), chance).into_iter().map(|(from, to)| (from, to + 20 * SECOND)).collect();
        plan.not_uploaded = some(10, (2, 9), chance);
        plan.unsigned = some(15, (4, 12), chance);
        for (source, each_days, minutes) in [
            (SOURCES.idp, 15, (95, 150)),
            (SOURCES.edr, 15, (20, 80)),
            (SOURCES.cloud, 15, (20, 60)),
            (SOURCES.ledger, 12, (1, 4)),
        ] {
            journal.delivery(firm.system, source).held_up = some(each_days, minutes, chance);
        }
        journal.delivery(firm.system, SOURCES.pdp).held_up.clone_from(&plan.not_uploaded);
        for source in firm.feeds.iter().filter(|source| source.name.ends_with("-node")) {
            for (from, to) in some(20, (5, 25), chance) {
                journal.delivery(firm.system, source.name).held_up.push((from, to));
                plan.silent.push((source.name, from, to));
            }
            // And it falls behind without stopping.
            journal.delivery(firm.system, source.name).held_up.extend(some(20, (2, 7), chance));
        }
        plan.silent.extend(plan.unsigned.iter().map(|(from, to)| (SOURCES.signer, *from, *to)));
        plan
    }

    /// Tells heartbeats and ticks to the very end, and what the machines say of their stops.
    pub(crate) fn tell(&self, firm: &Firm, span: (i64, i64), journal: &mut Journal, chance: &mut Chance) {
        let (from, to) = span;
        let mut minute = from;
        while minute <= to {
            journal.note(firm.system, Event::new("keywatch", "tick"), minute);
            minute += MINUTE;
        }
        for source in firm.feeds.iter().filter(|source| source.beat_seconds > 0) {
            let mut at = from + chance.between(0, source.beat_seconds * SECOND);
            while at < to {
                // One in some hundred is lost on the way.
                let is_lost = chance.thousandths(2);
                if !is_lost
                    && !self.silent.iter().any(|(name, from, to)| *name == source.name && (*from..*to).contains(&at))
                {
                    journal.note(firm.system, Event::new(source.name, "source.heartbeat"), at);
                }
                at += source.beat_seconds * SECOND + chance.between(-400, 400);
            }
        }
        self.tell_stops(firm, journal, chance);
        tell_services(firm, span, journal, chance);
    }

    fn tell_stops(&self, firm: &Firm, journal: &mut Journal, chance: &mut Chance) {
        let mut status = |source: &'static str, outcome: &str, reason: &str, at: i64| {
            let event = Event::new(source, "source.status").say(Column::Outcome, outcome).say(Column::Reason, reason);
            journal.note(firm.system, event, at);
        };
        for (source, from, to) in &self.silent {
            let change = format!("planned maintenance, CHG-{}", chance.between(1000, 9999));
            status(source, "down", &change, from - 2 * SECOND);
            status(source, "ok", &format!("{change} done"), to + 3 * SECOND);
        }
        for (from, to) in &self.undecided {
            status(SOURCES.pdp, "degraded", "replicas restart one after the other", *from);
            status(SOURCES.pdp, "ok", "replicas are up", to + SECOND);
        }
        for (from, to) in &self.not_uploaded {
            status(SOURCES.pdp, "degraded", "decision logs: upload failed, will be retried", from + 5 * SECOND);
            status(SOURCES.pdp, "ok", "decision logs: uploaded", to + 60 * SECOND);
        }
    }
}

/// The session of the service that asks for payouts, which is opened anew every day.
pub(crate) fn payout_session(firm: &Firm, at: i64) -> String {
    format!("svc-payout-{}-{}", firm.id, (at - 5 * MINUTE).div_euclid(DAY))
}

fn tell_services(firm: &Firm, (from, to): (i64, i64), journal: &mut Journal, chance: &mut Chance) {
    for day in from.div_euclid(DAY) - 1..to.div_euclid(DAY) {
        let begins = day * DAY + 5 * MINUTE;
        if begins < from - DAY {
            continue;
        }
        let fill = |kind: &'static str| {
            let event = Event::new(firm.sources.idp, kind).say(Column::Actor, "payout-engine");
            networks::datacentre(2).say(event.say(Column::Session, payout_session(firm, begins)))
        };
        let started = fill("session.started").say(Column::Outcome, "success").with("grant", "client_credentials");
        journal.tell(firm.system, started, begins.max(from + SECOND));
        for hour in 0..24 {
            // Its token is refreshed every hour, and presented in doing so.
            let at = begins + hour * HOUR + chance.between(0, 30 * SECOND) + MINUTE;
            if (from..to).contains(&at) {
                let event = fill("session.presented").say(Column::Outcome, "success").with("app", "token");
                journal.tell(firm.system, event.with("request_id", names::digits(chance, 12)), at);
            }
        }
        let ended = fill("session.ended").say(Column::Reason, "expired");
        journal.tell(firm.system, ended, begins + DAY + 2 * MINUTE);
    }
}

/// Whether work that can wait is done that day.
pub(crate) fn is_workday(season: &Season, day: i64) -> bool {
    !is_weekend(day) && day != season.holiday
}
