//! Everything besides sessions and movements: chains on which strangers act, heartbeats and ticks, releases of system
//! software, and the upkeep of an organisation.

use keywatch_store::event::{CanonicalJson, TextColumn};
use keywatch_store::{Amount, Instant};
use serde_json::json;

use crate::calendar::DAY_NS;
use crate::record::{with, with_outcome};
use crate::request::block;
use crate::session::checked;
use crate::settings::RELEASE_DAYS;
use crate::simulation::Simulation;
use crate::step::{Release, Step, Upkeep};
use crate::system::{HEARTBEATS, IDP, MDM, PLATFORM, Technology, node, of, technology, threshold};
use crate::text::{address, hash, lookalike, numbered};

/// From the first device that a release reaches to the last.
const WAVE_NS: i64 = DAY_NS * 22 / 24;

impl Simulation {
    pub(crate) fn begin_regular(&mut self, system: usize) {
        let start = self.settings.start.0;
        self.agenda.push(start + self.sizes.tick_ns, Step::Regular(system, Upkeep::Tick));
        for (index, _) in HEARTBEATS.iter().enumerate() {
            let first = start + self.chance.seconds(1, 30);
            self.agenda.push(first, Step::Regular(system, Upkeep::Heartbeat(index)));
        }
    }

    pub(crate) fn go_on_regular(&mut self, at: i64, system: usize, upkeep: Upkeep) {
        let (source, kind, after) = match upkeep {
            Upkeep::Tick => ("keywatch", "tick", self.sizes.tick_ns),
            Upkeep::Heartbeat(index) => (HEARTBEATS[index], "source.heartbeat", self.sizes.heartbeat_ns),
        };
        let event = self.event(system, source, kind);
        self.say(system, at, event);
        self.agenda.push(at + after, Step::Regular(system, upkeep));
    }

    pub(crate) fn begin_releases(&mut self, system: usize) {
        let left = self.sizes.wave_people;
        if left > 0 {
            let first = self.settings.start.0 + 2 * DAY_NS;
            self.agenda.push(first, Step::Release(system, Release::Wave { left }));
        }
    }

    pub(crate) fn go_on_release(&mut self, at: i64, system: usize, release: Release) {
        match release {
            Release::Wave { left } => self.reach_device(at, system, left),
            Release::Updated { worker } => {
                self.systems[system].workers[worker].outdated = false;
                self.report_device(at, system, worker, "compliant");
            }
        }
    }

    /// A device nobody is signed on from is found outdated, and takes the update within hours.
    fn reach_device(&mut self, at: i64, system: usize, left: u64) {
        let devices = self.systems[system].workers.len() as u64;
        let reached = self.sizes.wave_people.min(devices);
        let worker = usize::try_from((left - 1) * devices / reached).unwrap_or_default();
        let state = self.systems[system].workers[worker];
        let heard = self.systems[system].silent_until <= at;
        if state.open == 0 && !state.outdated && heard {
            self.systems[system].workers[worker].outdated = true;
            self.report_device(at, system, worker, "not_compliant");
            let updated = at + self.chance.seconds(2 * 3_600, 8 * 3_600);
            self.agenda.push(updated, Step::Release(system, Release::Updated { worker }));
        }
        let step = WAVE_NS / i64::try_from(reached).unwrap_or(i64::MAX);
        let days = i64::try_from(RELEASE_DAYS).unwrap_or(i64::MAX) * DAY_NS;
        let (after, left) = if left == 1 { (days - WAVE_NS, reached) } else { (step, left - 1) };
        self.agenda.push(at + after, Step::Release(system, Release::Wave { left }));
    }

    fn report_device(&mut self, at: i64, system: usize, worker: usize, outcome: &str) {
        let person = self.systems[system].person(self.systems[system].worker_person(worker));
        let mut event = with_outcome(self.event(system, MDM, "session.posture"), outcome);
        event.device(person.device());
        event.canonical_detail(&checked("os_version"));
        self.say(system, at, event);
    }

    /// Something happens on a chain that nobody here has a part in.
    pub(crate) fn make_noise(&mut self, system: usize, at: i64) {
        match self.chance.below(100) {
            0..=84 => self.deposit(system, at),
            85..=93 => self.plant(system, at),
            _ => self.try_in_vain(system, at),
        }
    }

    /// A customer pays in.
    fn deposit(&mut self, system: usize, at: i64) {
        let depositors = self.sizes.sessions;
        let number = self.chance.below(depositors);
        let stranger = self.chance.below(u64::MAX);
        let amount = Amount::from_u128(u128::from(self.chance.between(1_000, 9_000_000)) * 1_000_000_000_000);
        let height = block(0, at);
        let state = &mut self.systems[system];
        if state.deposit.0 != height {
            state.deposit = (height, CanonicalJson::from(&json!({ "direction": "in", "block": height })));
        }
        let (salt, detail) = (state.salt, state.deposit.1.clone());
        let mut event = with_outcome(self.event(system, node(0), "chain.transfer"), "success");
        event.wallet(address(salt + of::DEPOSIT, number));
        event.copy(TextColumn::Wallet, TextColumn::ToAddress);
        event.from_address(address(salt + of::STRANGER, stranger));
        event.tx(hash("0x", salt + of::STRANGE_HASH, stranger));
        event.chain("ethereum");
        event.asset("ETH");
        event.amount(amount);
        event.canonical_detail(&detail);
        self.say(system, at, event);
    }

    /// A token reports that a wallet sent nothing to an address that looks like one it pays.
    fn plant(&mut self, system: usize, at: i64) {
        let wallet = self.chance.below(self.sizes.wallets) / 4 * 4;
        let stranger = self.chance.below(u64::MAX);
        let state = &self.systems[system];
        let mut event = with_outcome(self.event(system, node(wallet), "chain.transfer"), "success");
        event.wallet(state.wallet(wallet));
        event.copy(TextColumn::Wallet, TextColumn::FromAddress);
        event.to_address(lookalike(&state.destination(wallet, 0), state.salt + of::STRANGER, stranger));
        event.tx(hash("0x", state.salt + of::STRANGE_HASH, stranger));
        event.chain("ethereum");
        event.asset(address(state.salt + of::CONTRACT, 2));
        event.amount(Amount::from_u128(0));
        let detail = json!({ "direction": "out", "block": block(wallet, at) });
        self.say(system, at, with(event, &detail));
    }

    /// A stranger sends a multisig's transaction, which fails.
    fn try_in_vain(&mut self, system: usize, at: i64) {
        let wallet = self.chance.below(self.sizes.wallets) / 4 * 4;
        let stranger = self.chance.below(u64::MAX);
        let state = &self.systems[system];
        let mut event = with_outcome(self.event(system, node(wallet), "chain.tx"), "failed");
        event.actor(address(state.salt + of::STRANGER, stranger));
        event.wallet(state.wallet(wallet));
        event.tx(hash("0x", state.salt + of::STRANGE_HASH, stranger));
        event.chain("ethereum");
        event.copy(TextColumn::Actor, TextColumn::FromAddress);
        event.copy(TextColumn::Wallet, TextColumn::ToAddress);
        let detail = json!({ "fee_rate": 10_000_000_000_i64, "block": block(wallet, at) });
        self.say(system, at, with(event, &detail));
    }

    /// The upkeep of an organisation: nothing of it touches a wallet without being approved.
    pub(crate) fn keep_up(&mut self, system: usize, at: i64) {
        let worker = self.somebody_at_work(system, at);
        let person = self.systems[system].person(self.systems[system].worker_person(worker));
        let kinds = [
            ("session.risk", IDP, Some("low")),
            ("session.mfa_changed", IDP, None),
            ("control.iam", IDP, None),
            ("control.policy", PLATFORM, None),
            ("control.network", PLATFORM, None),
            ("custody.access", PLATFORM, None),
            ("source.status", PLATFORM, Some("ok")),
            ("chain.contract", "ethereum-node", None),
        ];
        let chosen = self.chance.below(kinds.len() as u64);
        let (kind, source, outcome) = kinds[usize::try_from(chosen).unwrap_or_default()];
        let mut event = self.event(system, source, kind);
        event.outcome(outcome);
        event.event_time(Instant(at));
        match kind {
            "chain.contract" => {
                let wallet = self.chance.below(self.sizes.wallets) / 4 * 4;
                debug_assert_eq!(technology(wallet), Technology::Safe, "only contracts have a threshold");
                event.wallet(self.systems[system].wallet(wallet));
                event.chain("ethereum");
                let after = threshold(wallet).to_string();
                event = with(event, &json!({ "change": "threshold", "before": after, "after": after }));
            }
            "session.mfa_changed" => {
                event.actor(person.name());
                event = with(event, &json!({ "change": "update" }));
            }
            _ => {
                event.actor(person.name());
                event.reason(numbered("ticket ", self.chance.below(90_000)));
            }
        }
        self.say(system, at, event);
    }
}
