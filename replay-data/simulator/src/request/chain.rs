//! What the chain says of a request: broadcast, mined, moved; and what closes it.

use keywatch_store::event::TextColumn;

use crate::Scenario;
use crate::record::{Recorded, with, with_outcome};
use crate::simulation::Simulation;
use crate::step::{Destination, Request, RequestStage};
use crate::system::{PLATFORM, Technology, node, technology};

/// One in so many transactions fails.
const FAILED_ONE_IN: u64 = 80;

impl Simulation {
    pub(super) fn broadcast(&mut self, at: i64, request: &mut Request) -> Option<i64> {
        let said = self.transaction(at, request, "unconfirmed");
        self.mark_on_chain(request, said);
        request.stage = RequestStage::Mine;
        let stopped = [Scenario::AmountOutlier, Scenario::FeeOutlier, Scenario::SweptCoins, Scenario::UnknownExecutor];
        if stopped.iter().any(|scenario| request.is(*scenario)) {
            return None;
        }
        Some(if technology(request.wallet) == Technology::Bitcoin {
            self.chance.seconds(60, 3_000)
        } else {
            self.chance.seconds(12, 120)
        })
    }

    pub(super) fn mine(&mut self, at: i64, request: &mut Request) -> Option<i64> {
        let fails = request.play.is_none() && self.chance.once_in(FAILED_ONE_IN);
        let said = self.transaction(at, request, if fails { "failed" } else { "success" });
        self.mark_on_chain(request, said);
        if fails {
            return None;
        }
        let mined = &mut self.systems[request.system].state(request.wallet).mined;
        *mined = [mined[1], mined[2], at];
        if request.is(Scenario::WalletTakeover) {
            self.take_over(at, request);
            return None;
        }
        request.stage = RequestStage::Move;
        (request.destination != Destination::Itself).then_some(1_000_000_000)
    }

    pub(super) fn moved(&mut self, at: i64, request: &mut Request) -> i64 {
        let tx = self.systems[request.system].tx(request.wallet, request.number);
        let said = self.transfer_out(at, request, tx);
        self.mark_on_chain(request, said);
        request.stage = RequestStage::Close;
        self.chance.seconds(5, 60)
    }

    pub(super) fn close(&mut self, at: i64, request: &mut Request) -> Option<i64> {
        if !request.is_ordered() {
            return None;
        }
        let mut event = self.about(request, PLATFORM, "custody.request");
        event.tx(self.systems[request.system].tx(request.wallet, request.number));
        let said = self.say(request.system, at, with_outcome(event, "done"));
        self.mark_if(request, said, Scenario::LookalikeDestination);
        None
    }

    fn transaction(&mut self, at: i64, request: &Request, outcome: &str) -> Recorded {
        let mut event = self.about(request, node(request.wallet), "chain.tx");
        event.request(None::<&str>);
        event.tx(self.systems[request.system].tx(request.wallet, request.number));
        event.copy(TextColumn::Wallet, TextColumn::FromAddress);
        event.actor(self.executor(request));
        let event = with(event, &self.mined(request, at, outcome));
        self.say(request.system, at, with_outcome(event, outcome))
    }

    /// Value leaves the wallet in transaction `tx`.
    pub(crate) fn transfer_out(&mut self, at: i64, request: &Request, tx: String) -> Recorded {
        let mut event = self.about(request, node(request.wallet), "chain.transfer");
        event.request(None::<&str>);
        event.tx(tx);
        event.copy(TextColumn::Wallet, TextColumn::FromAddress);
        let detail = serde_json::json!({ "direction": "out", "block": block(request.wallet, at) });
        self.say(request.system, at, with_outcome(with(event, &detail), "success"))
    }

    /// Who sends a transaction: an owner, the wallet itself, or on Bitcoin nobody that one could see.
    fn executor(&self, request: &Request) -> Option<String> {
        let state = &self.systems[request.system];
        if request.is(Scenario::UnknownExecutor) || request.is(Scenario::WalletTakeover) {
            return Some(state.stranger(request.wallet, request.stranger()));
        }
        match technology(request.wallet) {
            Technology::Safe => Some(state.owner(request.wallet, request.approvers[0])),
            Technology::Mpc => Some(state.wallet(request.wallet)),
            Technology::Bitcoin => None,
        }
    }

    /// Marks a record of the chain where the attack shows there.
    fn mark_on_chain(&mut self, request: &Request, said: Recorded) {
        let shows = [
            Scenario::AmountOutlier,
            Scenario::FeeOutlier,
            Scenario::LookalikeDestination,
            Scenario::NewDestination,
            Scenario::RequestAltered,
            Scenario::SweptCoins,
            Scenario::UnknownExecutor,
            Scenario::WalletTakeover,
        ];
        shows.into_iter().for_each(|scenario| self.mark_if(request, said, scenario));
    }
}

/// The height of a wallet's chain at a time.
pub(crate) fn block(wallet: u64, at: i64) -> i64 {
    let seconds = at.div_euclid(1_000_000_000) - 1_700_000_000;
    if technology(wallet) == Technology::Bitcoin { 820_000 + seconds / 600 } else { 18_600_000 + seconds / 12 }
}
