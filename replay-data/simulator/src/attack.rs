//! How attacks are played. Most ride on an ordinary session or request in which one thing is wrong; the others are a few
//! records of their own. An attack waits until there is an occasion: a wallet with a history, a desk that can spare
//! somebody.

use keywatch_store::Instant;
use serde_json::json;

use crate::calendar::{DAY_NS, HOUR_NS};
use crate::campaign::Play;
use crate::label::Label;
use crate::record::with;
use crate::scenario::Scenario;
use crate::session::name;
use crate::simulation::Simulation;
use crate::step::{Destination, Request, Step};
use crate::system::{ETHEREUM, MDM, PLATFORM, Technology, batches, node, of, technology};
use crate::text::{address, numbered};

/// Attacks begin between these parts of the span, in hundredths: before, wallets have no history yet; after, the
/// simulation might end before them.
const FIRST_HUNDREDTH: i64 = 10;
const LAST_HUNDREDTH: i64 = 93;
/// How often an attack waits for an occasion before it is let go, and for which part of the span each time.
const PUT_OFF_MAX: u64 = 50;
const PUT_OFF_PART: i64 = 1_000;
/// Wallets that are looked at for an occasion.
const WALLETS_TRIED: u64 = 64;
/// How recent a wallet's history has to be.
const HISTORY_NS: i64 = 80 * DAY_NS;
const NONCE_NS: i64 = 20 * DAY_NS;
/// Uses of a session in an attack, at most.
const USES_MAX: u64 = 40;

impl Simulation {
    /// Puts the next attack down: they are evenly spread, scenario after scenario.
    pub(crate) fn put_down_attack(&mut self) {
        let (Ok(begun), Ok(planned)) = (i64::try_from(self.attacks.begun), i64::try_from(self.attacks.planned()))
        else {
            return;
        };
        if begun < planned {
            let part = self.sizes.span_ns / 100;
            let within = part * (LAST_HUNDREDTH - FIRST_HUNDREDTH) / planned * begun;
            self.agenda.push(self.settings.start.0 + part * FIRST_HUNDREDTH + within, Step::Attack(0));
        }
    }

    pub(crate) fn attack(&mut self, at: i64, put_off: u64) {
        let Some(play) = self.attacks.next() else { return };
        let system = usize::try_from(play.attack % self.systems.len() as u64).unwrap_or_default();
        let begun = self.begin_attack(system, at, play);
        if !begun && put_off < PUT_OFF_MAX {
            self.agenda.push(at + self.sizes.span_ns / PUT_OFF_PART, Step::Attack(put_off + 1));
            return;
        }
        if !begun {
            self.under_way.remove(&play.attack);
        }
        self.attacks.begun += 1;
        self.put_down_attack();
    }

    fn begin_attack(&mut self, system: usize, at: i64, play: Play) -> bool {
        let label = Label {
            id: numbered("attack-", play.attack + 1),
            scenario: play.scenario.name(),
            system: self.systems[system].id.clone(),
            from: Instant(at),
            to: Instant(at),
            entities: Vec::new(),
            events: Vec::new(),
            rules: play.scenario.rules().to_vec(),
        };
        self.under_way.insert(play.attack, label);
        match play.scenario {
            Scenario::StolenSession | Scenario::RevivedSession | Scenario::DisabledProtection => {
                self.attack_session(system, at, play)
            }
            Scenario::SourceSilenced => self.silence(system, at, play),
            Scenario::RewrittenRecord => self.rewrite(system, at, play),
            Scenario::CodeReplaced | Scenario::ControlChanged | Scenario::UnsignedOutflow => {
                self.attack_wallet(system, at, play)
            }
            _ => self.attack_request(system, at, play),
        }
    }

    /// The attack is over: what is true about it is known.
    pub(crate) fn finish(&mut self, play: Play, at: i64) {
        let Some(mut label) = self.under_way.remove(&play.attack) else { return };
        label.to = label.to.max(Instant(at));
        label.entities.sort_unstable();
        label.entities.dedup();
        self.labels.push(label);
        *self.attacks.finished.entry(play.scenario).or_default() += 1;
    }

    fn name_entity(&mut self, play: Play, entity: String) {
        if let Some(label) = self.under_way.get_mut(&play.attack) {
            label.entities.push(entity);
        }
    }

    /// Names what is the request's alone.
    pub(crate) fn name_entities(&mut self, request: &Request) {
        let Some(play) = request.play else { return };
        self.name_entity(play, self.request_id(request));
        self.name_entity(play, self.systems[request.system].tx(request.wallet, request.number));
        if matches!(request.destination, Destination::Stranger(_) | Destination::Lookalike(..)) {
            self.name_entity(play, self.destination_of(request));
        }
    }

    fn attack_session(&mut self, system: usize, at: i64, play: Play) -> bool {
        let worker = self.somebody_at_work(system, at);
        let state = &self.systems[system];
        let idle = state.workers[worker].open == 0 && !state.workers[worker].outdated;
        if !idle || at < state.silent_until + HOUR_NS {
            return false;
        }
        let person = state.worker_person(worker);
        let mut session = self.new_session(system, person, at, at + HOUR_NS);
        session.uses = session.uses.clamp(4, USES_MAX);
        session.turn = if play.scenario == Scenario::RevivedSession { u64::MAX } else { session.uses / 2 };
        session.play = Some(play);
        self.systems[system].sessions_ahead += 1;
        self.name_entity(play, name(session.number));
        self.agenda.push(at, Step::Session(session));
        true
    }

    fn attack_request(&mut self, system: usize, at: i64, play: Play) -> bool {
        let Some(wallet) = self.wallet_for(system, at, play.scenario) else { return false };
        let mut request = self.new_request(system, wallet, at);
        request.play = Some(play);
        let stranger = self.systems[system].new_stranger();
        match play.scenario {
            Scenario::AmountOutlier => request.amount *= 1_000,
            Scenario::FeeOutlier => {
                request.fee_rate *= 20;
                request.destination = Destination::Stranger(stranger);
            }
            Scenario::NewDestination | Scenario::SweptCoins => request.destination = Destination::Stranger(stranger),
            Scenario::LookalikeDestination => request.destination = Destination::Lookalike(0, stranger),
            Scenario::NonceConflict => {
                request.nonce = self.systems[system].state(wallet).nonce.checked_sub(1);
            }
            Scenario::FactorReset => {
                let said = self.change_factor(at, &request);
                self.mark(play, said);
                request.first_must = true;
            }
            Scenario::WalletTakeover => {
                request.amount = 0;
                self.systems[system].state(wallet).lost = true;
            }
            _ => {}
        }
        self.name_entities(&request);
        self.agenda.push(at, Step::Request(Box::new(request)));
        true
    }

    /// A wallet with a recent history on which a scenario can be played.
    fn wallet_for(&mut self, system: usize, at: i64, scenario: Scenario) -> Option<u64> {
        let wallets = self.sizes.wallets;
        let fits = |chosen: u64| match scenario {
            Scenario::SweptCoins => technology(chosen) == Technology::Bitcoin,
            Scenario::ForgedConfirmation
            | Scenario::SwappedProposal
            | Scenario::NonceConflict
            | Scenario::UnknownExecutor
            | Scenario::Delegatecall
            | Scenario::CodeReplaced
            | Scenario::ControlChanged
            | Scenario::WalletTakeover => technology(chosen) == Technology::Safe && !batches(chosen),
            _ => technology(chosen) != Technology::Bitcoin,
        };
        for _ in 0..WALLETS_TRIED {
            // Those that are used most come first, as elsewhere.
            let wallet = self.chance.below(wallets).min(self.chance.below(wallets));
            let state = &self.systems[system];
            let used = &state.wallets[usize::try_from(wallet).unwrap_or_default()];
            let history = used.mined[0] > at - HISTORY_NS && used.last_request > at - NONCE_NS && used.nonce > 0;
            let spares = scenario != Scenario::FactorReset || state.can_spare(wallet, at);
            if fits(wallet) && history && !used.lost && spares && self.may_lose(system, scenario) {
                return Some(wallet);
            }
        }
        None
    }

    /// A business that lost half of its wallets is none any more.
    fn may_lose(&self, system: usize, scenario: Scenario) -> bool {
        let wallets = &self.systems[system].wallets;
        scenario != Scenario::WalletTakeover || wallets.iter().filter(|wallet| wallet.lost).count() * 2 < wallets.len()
    }

    /// A few records about a wallet and nothing else.
    fn attack_wallet(&mut self, system: usize, at: i64, play: Play) -> bool {
        let Some(wallet) = self.wallet_for(system, at, play.scenario) else { return false };
        match play.scenario {
            Scenario::UnsignedOutflow => self.leave(system, at, wallet, 1, play),
            _ => self.change_contract(system, at, wallet, play),
        }
        self.finish(play, at);
        true
    }

    /// Value leaves by a transaction that no signer knows.
    fn leave(&mut self, system: usize, at: i64, wallet: u64, times: u128, play: Play) {
        let mut request = self.new_request(system, wallet, at);
        let stranger = self.systems[system].new_stranger();
        (request.play, request.destination) = (Some(play), Destination::Stranger(stranger));
        request.amount *= times;
        self.name_entities(&request);
        let tx = self.systems[system].tx(wallet, request.number);
        let said = self.transfer_out(at, &request, tx);
        self.mark(play, said);
    }

    fn change_contract(&mut self, system: usize, at: i64, wallet: u64, play: Play) {
        let stranger = self.systems[system].new_stranger();
        let salt = self.systems[system].salt;
        let foreign = address(salt + of::CONTRACT, 1_000 + stranger);
        let detail = if play.scenario == Scenario::ControlChanged {
            json!({ "change": "owner_added", "after": foreign })
        } else {
            json!({ "change": "implementation", "slot": "0x0", "after": foreign,
                    "before": address(salt + of::CONTRACT, 0) })
        };
        let mut event = with(self.event(system, ETHEREUM, "chain.contract"), &detail);
        event.wallet(self.systems[system].wallet(wallet));
        event.chain("ethereum");
        let said = self.say(system, at, event);
        self.mark(play, said);
        self.name_entity(play, foreign);
    }

    /// What follows when the transaction that takes a wallet over is mined.
    pub(crate) fn take_over(&mut self, at: i64, request: &Request) {
        let Some(play) = request.play else { return };
        debug_assert_eq!(node(request.wallet), ETHEREUM, "only contracts can be taken over");
        self.change_contract(request.system, at, request.wallet, play);
        for _ in 0..3 {
            self.leave(request.system, at, request.wallet, 1_000, play);
        }
    }

    fn silence(&mut self, system: usize, at: i64, play: Play) -> bool {
        let after = self.chance.seconds(20 * 60, 40 * 60);
        let state = &mut self.systems[system];
        let Some((id, time)) = state.device_word.filter(|_| state.silent_until < at - HOUR_NS) else { return false };
        state.silent_until = at + after;
        self.mark(play, crate::record::Recorded { id, time });
        self.name_entity(play, MDM.to_owned());
        self.agenda.push(at + after, Step::Heard(system, play.attack));
        true
    }

    pub(crate) fn end_silence(&mut self, at: i64, system: usize, attack: u64) {
        let event = self.event(system, MDM, "source.heartbeat");
        self.say(system, at, event);
        self.finish(Play { attack, scenario: Scenario::SourceSilenced }, at);
    }

    /// As the log records it when a source says something else under an id that it used.
    fn rewrite(&mut self, system: usize, at: i64, play: Play) -> bool {
        let Some(wallet) = self.wallet_for(system, at, play.scenario) else { return false };
        let kept = self.systems[system].device_word;
        let mut request = self.new_request(system, wallet, at);
        request.destination = Destination::Stranger(self.systems[system].new_stranger());
        let said = self.about(&request, PLATFORM, "custody.request").build_own();
        let mut event = self.event(system, PLATFORM, "source.conflict");
        event.reason("custody.request was said again with other content");
        let kept = kept.map(|(id, _)| id.to_string()).unwrap_or_default();
        let event = with(event, &json!({ "conflicting_event": kept, "line": keywatch_store::line::write(&said) }));
        let said = self.say(system, at, event);
        self.mark(play, said);
        self.finish(play, at);
        true
    }
}
