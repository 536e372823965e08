//! What keywatch's looks at the replicas find: hashes of what they hold, and answers to questions whose answer is known.
//!
//! It looks every two minutes, and tells what a replica holds when that changed and every ten minutes. Answers come in some
//! milliseconds; one in a hundred takes twenty to a hundred and fifty, while memory is tidied up or the network repeats itself,
//! and one in a thousand up to a second and a half. In the three minutes after a restart nothing is compiled yet; in the minute
//! of a release one answer in five is slow and one in fifty does not come; every ten days a neighbour on the same machine makes
//! everything slow for ten to forty minutes. One answer in twenty thousand is lost for no reason that anybody finds.

use serde_json::{Value, json};

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::event::{Column, Event, dollars};
use crate::firm::{Firm, LOOKS, REPLICAS, SOURCES};
use crate::infrastructure::{Infrastructure, Stretches};
use crate::journal::Journal;
use crate::names;
use crate::networks;
use crate::replicas::{PARTS, Replica, Replicas, nothing};
use crate::season::Season;

const EVERY: i64 = 120 * SECOND;
const TOLD_EVERY: i64 = 10 * MINUTE;
const PATIENCE_MS: i64 = 10_000;
const PATH: &str = "wallet/signing/allow";

/// A question whose answer is known.
struct Canary {
    name: &'static str,
    answer: bool,
    cents: u64,
    to: String,
    device: &'static str,
    risk: u64,
}

/// Looks at one replica.
struct Look<'a> {
    firm: &'a Firm,
    replica: &'a Replica,
    number: usize,
    undecided: &'a [(i64, i64)],
    slow: &'a [(i64, i64)],
    canaries: &'a [Canary],
    /// When each part was told last, as what, and how it was judged.
    told: [Option<(i64, String, &'static str)>; 3],
    is_missing: bool,
}

/// Tells every look of a history.
pub(crate) fn tell(
    firm: &Firm,
    season: &Season,
    replicas: &Replicas,
    infrastructure: &Infrastructure,
    (from, to): (i64, i64),
    journal: &mut Journal,
    chance: &mut Chance,
) {
    let canaries = canaries(firm, chance);
    for (number, replica) in replicas.all.iter().enumerate() {
        let slow: Stretches = (0..(season.days + 5) / 10)
            .map(|_| {
                let begins = from + chance.between(0, (season.days * DAY - HOUR).max(1));
                (begins, begins + chance.between(10, 40) * MINUTE)
            })
            .collect();
        let (undecided, told) = (infrastructure.undecided.as_slice(), [None, None, None]);
        let (slow, canaries, is_missing) = (slow.as_slice(), canaries.as_slice(), false);
        let mut look = Look { firm, replica, number, undecided, slow, canaries, told, is_missing };
        let mut at = from + chance.between(1, 119) * SECOND;
        while at < to {
            look.take(at, journal, chance);
            at += EVERY;
        }
    }
}

/// One that has to be allowed and one that has to be denied.
fn canaries(firm: &Firm, chance: &mut Chance) -> [Canary; 2] {
    let wallet = &firm.wallets[0];
    let partner = firm.partners.iter().find(|(address, _)| address.len() == wallet.address.len());
    let to = partner.map_or_else(|| wallet.address.clone(), |(address, _)| address.clone());
    let stranger = wallet.chain.address(chance);
    [
        Canary { name: "healthy", answer: true, cents: 15_000, to, device: "control-device", risk: 1 },
        Canary { name: "thief", answer: false, cents: 41_250_000, to: stranger, device: "unknown", risk: 8 },
    ]
}

impl Look<'_> {
    fn take(&mut self, at: i64, journal: &mut Journal, chance: &mut Chance) {
        let mut stops = self.firm.stops.iter().filter(|stop| stop.replica == self.number);
        let is_down = stops.any(|stop| (stop.from..stop.to).contains(&at)) || within(self.undecided, at);
        if is_down != self.is_missing {
            self.is_missing = is_down;
            let (outcome, reason) = if is_down { ("degraded", "connection refused") } else { ("ok", "") };
            let event = Event::new(LOOKS[self.number], "source.status").say(Column::Outcome, outcome);
            journal.note(self.firm.system, event.say(Column::Reason, reason), at);
        }
        if !is_down {
            for part in 0..PARTS.len() {
                self.state(part, at, journal);
            }
        }
        for canary in self.canaries {
            let latency = if is_down { None } else { self.latency(at, chance) };
            self.ask(canary, latency, is_down, at, journal, chance);
        }
    }

    fn state(&mut self, part: usize, at: i64, journal: &mut Journal) {
        let Some(held) = self.replica.holds(part, at) else { return };
        let before = self.told[part].as_ref().map(|(_, hash, _)| hash.clone());
        let is_other = before.as_ref().is_some_and(|before| *before != held.sha256);
        let outcome = match self.replica.should_hold(part, at) {
            Some(expected) if expected == held.sha256 => "expected",
            Some(_) => "unexpected",
            None if is_other => "changed",
            None => "seen",
        };
        if let Some((told_at, hash, judged)) = &self.told[part]
            && at < told_at + TOLD_EVERY
            && *hash == held.sha256
            && (*judged == outcome || *judged == "changed")
        {
            return;
        }
        let event = Event::new(LOOKS[self.number], "pdp.state").say(Column::Outcome, outcome);
        let mut event = event.with("part", PARTS[part]).with("sha256", held.sha256.as_str());
        event = event.with("replica", self.process(at));
        if let Some(before) = before.filter(|_| is_other) {
            event = event.with("before", before);
            if !held.changed.is_empty() {
                event = event.with("policies", held.changed.as_str());
            }
        }
        journal.note(self.firm.system, event, at);
        self.told[part] = Some((at, held.sha256.clone(), outcome));
    }

    /// The id of the process, which is another one after each restart.
    fn process(&self, at: i64) -> String {
        let starts = self.replica.started.iter().filter(|from| **from <= at).count();
        names::uuid(&mut Chance::of(starts as u64, &format!("{}/{}", self.firm.id, REPLICAS[self.number])))
    }

    /// Milliseconds until the answer; nothing where none comes.
    fn latency(&self, at: i64, chance: &mut Chance) -> Option<i64> {
        let mut latency = match chance.below(1000) {
            0 => chance.between(200, 1_500),
            1..=10 => chance.between(20, 150),
            _ => chance.around(6),
        };
        if chance.below(20_000) == 0 {
            return None;
        }
        if self.replica.up_since(at) > at - 3 * MINUTE {
            latency += chance.between(100, 900);
        }
        if within(self.slow, at) {
            latency += chance.around(90);
        }
        if self.replica.changed_within(at, MINUTE) {
            if chance.thousandths(20) {
                return None;
            }
            if chance.thousandths(200) {
                latency += chance.between(50, 600);
            }
        }
        Some(latency)
    }

    fn ask(
        &self,
        canary: &Canary,
        latency: Option<i64>,
        is_down: bool,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) {
        let held = self.replica.holds(0, at);
        let is_empty = held.is_some_and(|held| held.sha256 == nothing());
        let decision = names::uuid(chance);
        let event = Event::new(LOOKS[self.number], "pdp.canary").with("canary", canary.name).with("path", PATH);
        let event = event.with("expected", canary.answer).with("latency_ms", latency.unwrap_or(PATIENCE_MS));
        let Some(latency) = latency else {
            journal.note(self.firm.system, event.say(Column::Outcome, "unanswered"), at + PATIENCE_MS);
            // It decided all the same in half of the cases, and only the answer did not come.
            if !is_down && chance.thousandths(500) {
                let outcome = if canary.answer { "allow" } else { "deny" };
                journal.tell(self.firm.system, self.decision(canary, &decision, outcome, at), at + 2 * SECOND);
            }
            return;
        };
        let event = event.say(Column::Decision, &decision);
        let (outcome, event) = if is_empty {
            ("undefined", event.say(Column::Outcome, "different"))
        } else {
            let revision = held.map(|held| held.sha256[..12].to_owned()).unwrap_or_default();
            let event = event.with("answered", canary.answer).with("policy_revision", revision);
            (if canary.answer { "allow" } else { "deny" }, event.say(Column::Outcome, "as_expected"))
        };
        journal.note(self.firm.system, event, at + latency);
        journal.tell(self.firm.system, self.decision(canary, &decision, outcome, at), at + latency);
    }

    /// The question as it stands in the decision log, where nothing marks it.
    fn decision(&self, canary: &Canary, decision: &str, outcome: &str, at: i64) -> Event {
        let wallet = &self.firm.wallets[0];
        let (subject, session) = ("control.account", "control-session");
        let request = format!("wd-{}-{}", self.firm.id, if canary.answer { "000001" } else { "000002" });
        let address = networks::datacentre(3).ip().to_owned();
        let event = Event::new(SOURCES.pdp, "decision").say(Column::Decision, decision).say(Column::Actor, subject);
        let event = event.say(Column::Session, session).say(Column::Device, canary.device).say(Column::Ip, &address);
        let event = event.say(Column::Wallet, &wallet.address).say(Column::Request, &request);
        let event = event.say(Column::Chain, wallet.chain.name()).say(Column::ToAddress, &canary.to);
        let event = event.say(Column::AmountUsd, dollars(canary.cents)).say(Column::Outcome, outcome);
        let amount = serde_json::from_str::<Value>(&dollars(canary.cents)).expect("dollars are a number");
        let input = json!({
            "amount_usd": amount, "destination": canary.to, "destination_risk_score": canary.risk,
            "device_id": canary.device, "human_approvals": [], "initiator": subject, "ip": address,
            "request_id": request, "session_id": session, "session_started_at": at.div_euclid(DAY) * 86_400,
            "signer": "ci-bot", "subject": subject, "wallet": wallet.address,
        });
        let event = event.with("amount_positive", true).with("amount_type", "number").with("risk_type", "number");
        let event = event.with("approvals", 0).with("approvals_type", "array");
        let event = event.with("approvers_distinct", 0).with("self_approved", false);
        let labels = json!({ "id": REPLICAS[self.number], "app": "wallet-signing" });
        event.with("input", input).with("labels", labels).with("path", PATH)
    }
}

fn within(stretches: &[(i64, i64)], at: i64) -> bool {
    stretches.iter().any(|(from, to)| (*from..*to).contains(&at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firm;
    use crate::replicas::stops;

    #[test]
    fn every_answer_stands_in_the_decision_log_and_states_are_told_every_ten_minutes() {
        let season = Season::new(2, 20_148, 3);
        let mut firm = firm::exchange(0, 2);
        firm.stops = stops(&season, &mut Chance::of(2, "stops"));
        let replicas = Replicas::plan(&firm, &season, &[], &mut Chance::of(2, "replicas"));
        let mut journal = Journal::new(2, vec![firm.id]);
        let span = (20_148 * DAY, 20_149 * DAY);
        let chance = &mut Chance::of(2, "looks");
        tell(&firm, &season, &replicas, &Infrastructure::default(), span, &mut journal, chance);
        let mut text = Vec::new();
        journal.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<&Value>>();
        let (canaries, decisions, states) = (of("pdp.canary"), of("decision"), of("pdp.state"));
        assert_eq!(canaries.len(), 2 * 2 * 720, "two questions to two replicas every two minutes");
        for answered in canaries.iter().filter(|canary| !canary["decision"].is_null()) {
            assert!(decisions.iter().any(|decision| decision["decision"] == answered["decision"]), "{answered}");
        }
        assert!((2 * 3 * 130..2 * 3 * 160).contains(&states.len()), "{} states in a day", states.len());
    }
}
