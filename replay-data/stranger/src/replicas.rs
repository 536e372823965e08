//! What the replicas of the decision point hold, and when: releases, refreshed data, restarts, a failure that the other one bears.
//!
//! How often, by the habits of those who run such machines:
//! * a release of policies each week, which reaches one replica after the other within a quarter of an hour, each once its
//!   expected hashes are written; the deployment gate records each turn;
//! * one release in eight is rolled back within the hour, one rollback in ten by hand, without the pipeline;
//! * one release in twelve does not reach the second replica for one to four hours, since its download fails (a bundle that
//!   fails keeps its old revision and goes on deciding);
//! * lists of limits and sanctions are data, which a job refreshes in three nights of seven and no pipeline records;
//! * both machines are patched and restarted in the night to Wednesday, one after the other, and one such night in three
//!   brings another version, whose configuration is another;
//! * one replica fails for two to eight minutes every ten days, and the other answers alone.

use crate::calendar::{DAY, HOUR, MINUTE, SECOND, weekday};
use crate::chance::Chance;
use crate::digest::sha256;
use crate::event::{Column, Event};
use crate::firm::{Firm, GATE, REPLICAS, SOURCES, Stop, TICKETS};
use crate::names;
use crate::people::Role;
use crate::season::Season;

/// What is looked at of a replica.
pub(crate) const PARTS: [&str; 3] = ["policies", "data", "config"];
const POLICIES: usize = 0;
const DATA: usize = 1;
const CONFIG: usize = 2;

const FILES: [&str; 4] =
    ["policy/wallet_signing.rego", "policy/console_view.rego", "policy/limits.rego", "policy/approvals.rego"];

/// A state of a part, from an instant on.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// From when on.
    pub(crate) at: i64,
    /// Its hash.
    pub(crate) sha256: String,
    /// Policies that are others than before.
    pub(crate) changed: String,
}

/// One replica through a history.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    /// States of each of [`PARTS`], in the order of time.
    held: [Vec<Held>; 3],
    /// What each should be, likewise; nothing where nobody says.
    expected: [Vec<(i64, String)>; 3],
    /// When it came up, the first time long before.
    pub(crate) started: Vec<i64>,
}

impl Replica {
    /// What it holds of a part.
    pub(crate) fn holds(&self, part: usize, at: i64) -> Option<&Held> {
        self.held[part].iter().rev().find(|held| held.at <= at)
    }

    /// What it should hold of it.
    pub(crate) fn should_hold(&self, part: usize, at: i64) -> Option<&str> {
        self.expected[part].iter().rev().find(|(from, _)| *from <= at).map(|(_, hash)| hash.as_str())
    }

    /// A part became another less than so long ago.
    pub(crate) fn changed_within(&self, at: i64, span: i64) -> bool {
        self.held.iter().flatten().any(|held| (held.at..held.at + span).contains(&at))
    }

    /// When it came up last.
    pub(crate) fn up_since(&self, at: i64) -> i64 {
        self.started.iter().rev().find(|from| **from <= at).copied().unwrap_or(i64::MIN)
    }
}

/// The hash of no policies at all.
pub(crate) fn nothing() -> String {
    sha256("no policies")
}

/// When each replica of a firm is down.
pub(crate) fn stops(season: &Season, chance: &mut Chance) -> Vec<Stop> {
    let mut stops = Vec::new();
    for day in season.all().filter(|day| weekday(*day) == 2) {
        let mut from = day * DAY + 2 * HOUR + chance.between(0, 90) * MINUTE;
        for replica in 0..REPLICAS.len() {
            let to = from + chance.between(20, 90) * SECOND;
            stops.push(Stop { replica, from, to, is_planned: true });
            from = to + chance.between(3, 10) * MINUTE;
        }
    }
    for _ in 0..(season.days + 5) / 10 {
        let replica = usize::from(chance.thousandths(500));
        let from = season.first * DAY + chance.between(DAY / 2, (season.days * DAY - HOUR).max(DAY / 2));
        stops.push(Stop { replica, from, to: from + chance.between(120, 480) * SECOND, is_planned: false });
    }
    stops
}

/// How a release goes.
struct Release {
    at: i64,
    part: usize,
    version: u64,
    changed: String,
    trigger: &'static str,
    is_recorded: bool,
}

/// The replicas of a firm, and what is told beside them.
pub(crate) struct Replicas {
    /// By their index in [`REPLICAS`].
    pub(crate) all: [Replica; 2],
    /// Records of pipelines and people.
    pub(crate) records: Vec<(Event, i64)>,
}

impl Replicas {
    /// Plans what they hold, given when bundles were published.
    pub(crate) fn plan(firm: &Firm, season: &Season, published: &[i64], chance: &mut Chance) -> Replicas {
        let mut plan = Replicas { all: [Replica::default(), Replica::default()], records: Vec::new() };
        for replica in &mut plan.all {
            replica.started.push(i64::MIN);
            for part in [POLICIES, DATA, CONFIG] {
                let hash = hash(firm, part, 1);
                let expected = hash.clone();
                replica.held[part].push(Held { at: i64::MIN, sha256: hash, changed: String::new() });
                if is_expected(firm, part) {
                    replica.expected[part].push((i64::MIN, expected));
                }
            }
        }
        plan.releases(firm, published, chance);
        plan.refreshes(firm, season, chance);
        plan.restarts(firm, chance);
        for replica in &mut plan.all {
            replica.held.iter_mut().for_each(|held| held.sort_by_key(|held| held.at));
            replica.expected.iter_mut().for_each(|expected| expected.sort_by_key(|(from, _)| *from));
            replica.started.sort_unstable();
        }
        plan
    }

    fn releases(&mut self, firm: &Firm, published: &[i64], chance: &mut Chance) {
        let (mut current, mut newest) = (1, 1);
        for at in published {
            newest += 1;
            let first = chance.below(FILES.len() as u64);
            let mut files: Vec<&str> = FILES.iter().copied().skip(usize::try_from(first).unwrap_or_default()).collect();
            files.truncate(usize::from(chance.thousandths(300)) + 1);
            let changed = files.join(", ");
            let release = Release {
                at: *at,
                part: POLICIES,
                version: newest,
                changed: changed.clone(),
                trigger: "push",
                is_recorded: true,
            };
            let late = chance.thousandths(80);
            self.roll_out(firm, &release, late, chance);
            if !late && chance.thousandths(120) {
                let back = at + 16 * MINUTE + chance.between(0, 50) * MINUTE;
                let is_recorded = !chance.thousandths(100);
                let trigger = "workflow_dispatch";
                let release = Release { at: back, version: current, changed, trigger, is_recorded, ..release };
                self.roll_out(firm, &release, false, chance);
                if !is_recorded {
                    self.note_by_hand(firm, back, chance);
                }
            } else {
                current = newest;
            }
        }
    }

    /// One replica after the other: what is expected of it is written, the pipeline says so, the replica takes it.
    fn roll_out(&mut self, firm: &Firm, release: &Release, is_last_late: bool, chance: &mut Chance) {
        let sha256 = hash(firm, release.part, release.version);
        let who = somebody(firm, release.at).unwrap_or_else(|| "policy-pipeline".to_owned());
        let run = names::digits(chance, 10);
        let mut order = [0, 1];
        chance.shuffle(&mut order);
        let mut turn = release.at + chance.between(20, 90) * SECOND;
        for (nth, replica) in order.into_iter().enumerate() {
            let mut taken = turn + chance.between(3, 40) * SECOND;
            if nth == 1 && is_last_late {
                taken += chance.between(60, 240) * MINUTE;
                self.say_late(replica, turn, taken, chance);
            }
            let held = Held { at: taken, sha256: sha256.clone(), changed: release.changed.clone() };
            self.all[replica].held[release.part].push(held);
            if is_expected(firm, release.part) {
                self.all[replica].expected[release.part].push((turn, sha256.clone()));
            }
            if release.is_recorded {
                self.records.push((deploy(release, &sha256, REPLICAS[replica], &who, &run), turn));
            }
            turn += chance.between(1, 12) * MINUTE;
        }
    }

    /// The decision point says that a download fails, in two of three cases; in the others nobody had asked it to.
    fn say_late(&mut self, replica: usize, from: i64, to: i64, chance: &mut Chance) {
        if !chance.thousandths(667) {
            return;
        }
        for (outcome, reason, at) in
            [("degraded", "bundle policy: download failed", from + MINUTE), ("ok", "bundle policy: activated", to)]
        {
            let event =
                Event::new(SOURCES.pdp, "source.status").say(Column::Outcome, outcome).say(Column::Reason, reason);
            self.records.push((event.with("replica", REPLICAS[replica]), at));
        }
    }

    /// A rollback that somebody made by hand has a ticket, where tickets are heard, written once it was over.
    fn note_by_hand(&mut self, firm: &Firm, at: i64, chance: &mut Chance) {
        if let Some(who) = somebody(firm, at).filter(|_| firm.module.is_none()) {
            let ticket = format!("CHG-{}", chance.between(1000, 9999));
            let event = Event::new(TICKETS, "custody.change").say(Column::Actor, who).say(Column::Request, &ticket);
            let event = event.say(Column::Outcome, "done").with("act", "change.closed").with("ticket", ticket);
            let event = event.with("about", "policies rolled back by hand");
            self.records.push((event, at + chance.between(40, 200) * MINUTE));
        }
    }

    /// Data come at night, to both replicas within the half minute of their polling.
    fn refreshes(&mut self, firm: &Firm, season: &Season, chance: &mut Chance) {
        let mut version = 1;
        for day in season.all() {
            if !chance.thousandths(430) {
                continue;
            }
            version += 1;
            let at = day * DAY + 4 * HOUR + 10 * MINUTE;
            for replica in &mut self.all {
                let held = Held {
                    at: at + chance.between(5, 30) * SECOND,
                    sha256: hash(firm, DATA, version),
                    changed: String::new(),
                };
                replica.held[DATA].push(held);
            }
        }
    }

    /// Who restarts is another process, without policies for seconds in one case of twenty, and of another version at times.
    fn restarts(&mut self, firm: &Firm, chance: &mut Chance) {
        let mut version = 1;
        let mut is_upgrade = false;
        let before: [Vec<Held>; 2] = [0, 1].map(|replica: usize| self.all[replica].held[POLICIES].clone());
        for stop in &firm.stops {
            let replica = &mut self.all[stop.replica];
            replica.started.push(stop.to);
            let held = before[stop.replica].iter().filter(|held| held.at <= stop.to).max_by_key(|held| held.at);
            if let Some(held) = held.filter(|_| chance.thousandths(50)) {
                let again = stop.to + chance.between(5, 25) * SECOND;
                let all = FILES.join(", ");
                replica.held[POLICIES].push(Held { at: stop.to, sha256: nothing(), changed: all.clone() });
                replica.held[POLICIES].push(Held { at: again, sha256: held.sha256.clone(), changed: all });
            }
            if !stop.is_planned {
                continue;
            }
            if stop.replica == 0 {
                is_upgrade = chance.thousandths(330);
                version += u64::from(is_upgrade);
            }
            if is_upgrade {
                let sha256 = hash(firm, CONFIG, version);
                replica.held[CONFIG].push(Held { at: stop.to, sha256: sha256.clone(), changed: String::new() });
                if is_expected(firm, CONFIG) {
                    replica.expected[CONFIG].push((stop.from, sha256.clone()));
                }
                let release = Release {
                    at: stop.from,
                    part: CONFIG,
                    version,
                    changed: String::new(),
                    trigger: "schedule",
                    is_recorded: true,
                };
                let run = format!("patch-{}", stop.from.div_euclid(DAY));
                let deployed = deploy(&release, &sha256, REPLICAS[stop.replica], "policy-pipeline", &run);
                self.records.push((deployed, stop.from - 30 * SECOND));
            }
        }
    }
}

/// The exchange writes down what its replicas should hold, but for data, which change every other night.
fn is_expected(firm: &Firm, part: usize) -> bool {
    firm.module.is_none() && part != DATA
}

fn hash(firm: &Firm, part: usize, version: u64) -> String {
    sha256(&format!("{} {} {version}", firm.id, PARTS[part]))
}

/// Who runs machines and is there, or comes first.
fn somebody(firm: &Firm, at: i64) -> Option<String> {
    let (_, span) = firm.roster.next(at, |one| firm.people[one].role == Role::Administrator)?;
    Some(span.subject.clone())
}

/// What the gate says of one turn.
fn deploy(release: &Release, sha256: &str, target: &str, who: &str, run: &str) -> Event {
    let event = Event::new(GATE, "control.deploy").say(Column::Actor, who).say(Column::Request, run);
    let event = event.say(Column::Outcome, "success").with("act", "deploy").with("target", target);
    let event = event.with("artifact", format!("sha256:{sha256}")).with("repository", "exchange/policies");
    let event = event.with("ref", "refs/heads/main").with("ref_protected", "yes").with("environment", "production");
    let workflow = "exchange/policies/.github/workflows/release.yml@refs/heads/main";
    event.with("workflow", workflow).with("trigger", release.trigger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firm;

    #[test]
    fn both_replicas_hold_the_same_in_the_end_and_a_stop_ends() {
        let season = Season::new(3, 20_148, 30);
        let mut firm = firm::exchange(0, 3);
        firm.stops = stops(&season, &mut Chance::of(3, "stops"));
        assert!(firm.stops.iter().all(|stop| stop.from < stop.to && stop.to - stop.from <= 8 * MINUTE));
        let published: Vec<i64> = (0..4).map(|week| (20_150 + week * 7) * DAY).collect();
        let plan = Replicas::plan(&firm, &season, &published, &mut Chance::of(3, "replicas"));
        let end = 20_200 * DAY;
        for (part, name) in PARTS.iter().enumerate() {
            let [one, other] = [0, 1].map(|replica: usize| plan.all[replica].holds(part, end).unwrap().sha256.clone());
            assert_eq!(one, other, "{name}");
            let expected = plan.all[0].should_hold(part, end);
            assert!(expected.is_none_or(|expected| expected == one), "{name} is another than expected");
        }
        assert!(plan.all[0].held[POLICIES].len() > 4 && !plan.records.is_empty());
    }
}
