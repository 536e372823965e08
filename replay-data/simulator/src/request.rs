//! How a movement goes on: asked for, filed, decided and approved by enough people, signed, broadcast, mined, moved,
//! closed. Cancellations, refusals and failures included. What is wrong in an attack is wrong here, at one place each.

use keywatch_store::Amount;
use keywatch_store::event::Builder;

use crate::record::{Recorded, by, with, with_outcome};
use crate::simulation::Simulation;
use crate::step::{Destination, Request, RequestStage, Step};
use crate::system::{DESTINATIONS, OPA, OWNERS, PLATFORM, Presence, Technology, signer, technology, threshold};
use crate::{Scenario, session, text};

mod chain;
mod details;

pub(crate) use chain::block;

/// One in so many requests is none of the rules' business and yet unlike the others.
const UNUSUAL_ONE_IN: u64 = 6_000;
const CANCELLED_ONE_IN: u64 = 60;
const REFUSED_ONE_IN: u64 = 40;

impl Simulation {
    /// A moment at which the business asks for something.
    pub(crate) fn ask(&mut self, system: usize, at: i64) {
        let wallet = self.wallet_in_use(system, at);
        if self.systems[system].wallets[usize::try_from(wallet).unwrap_or_default()].lost {
            return;
        }
        let mut request = self.new_request(system, wallet, at);
        match self.chance.below(UNUSUAL_ONE_IN) {
            0 => request.destination = Destination::Stranger(self.systems[system].new_stranger()),
            1 => request.amount *= 8,
            2 if self.systems[system].can_spare(wallet, at) => {
                self.change_factor(at, &request);
                request.first_must = true;
            }
            _ => {}
        }
        self.agenda.push(at, Step::Request(Box::new(request)));
    }

    /// A wallet whose desk works at that time, or the last of five.
    fn wallet_in_use(&mut self, system: usize, at: i64) -> u64 {
        let state = &self.systems[system];
        let mut wallet = 0;
        for _ in 0..5 {
            // Some wallets are used much more than others.
            let half = state.wallets.len() as u64;
            wallet = self.chance.below(half).min(self.chance.below(half));
            if self.chance.below(100) < state.person(state.clerk(wallet, 0)).busy(at) {
                break;
            }
        }
        wallet
    }

    /// A request that is not on the agenda yet.
    pub(crate) fn new_request(&mut self, system: usize, wallet: u64, at: i64) -> Request {
        let state = &mut self.systems[system];
        state.requests_begun += 1;
        state.state(wallet).last_request = at;
        let number = state.requests_begun;
        let mut in_turn: [u64; 4] = std::array::from_fn(|turn| (turn as u64 + number) % OWNERS);
        in_turn.sort_by_key(|place| state.presence(state.clerk(wallet, *place), at));
        let [first, second, third, _] = in_turn;
        Request {
            system,
            wallet,
            number,
            nonce: None,
            destination: Destination::Approved(self.chance.below(DESTINATIONS)),
            amount: self.systems[system].usual_amount(wallet) * u128::from(self.chance.between(1_000, 4_000)) / 1_000,
            fee_rate: 10 + self.chance.below(6) + crate::random::habit(9, at.unsigned_abs() >> 42, 10),
            stage: RequestStage::Ask,
            approvers: [first, second, third],
            first_must: false,
            analyst: OWNERS + self.chance.below(2),
            approved: 0,
            refused: false,
            play: None,
        }
    }

    /// The first approver gets a new telephone and then, after this request, signs nothing for a day.
    pub(crate) fn change_factor(&mut self, at: i64, request: &Request) -> Recorded {
        let clerk = self.systems[request.system].clerk(request.wallet, request.approvers[0]);
        let state = &mut self.systems[request.system];
        state.clerks[usize::try_from(clerk).unwrap_or_default()].careful_until = at + crate::calendar::DAY_NS * 26 / 24;
        let mut event = self.event(request.system, crate::system::IDP, "session.mfa_changed");
        event.actor(self.systems[request.system].person(clerk).name());
        self.say(request.system, at, with(event, &serde_json::json!({ "change": "create" })))
    }

    pub(crate) fn go_on_request(&mut self, at: i64, mut request: Box<Request>) {
        let next = match request.stage {
            RequestStage::Ask => Some(self.ask_for(at, &mut request)),
            RequestStage::File => self.file(at, &mut request),
            RequestStage::Decide => Some(self.decide(at, &mut request)),
            RequestStage::Approve => self.approve(at, &mut request),
            RequestStage::Sign => Some(self.sign(at, &mut request)),
            RequestStage::Broadcast => self.broadcast(at, &mut request),
            RequestStage::Mine => self.mine(at, &mut request),
            RequestStage::Move => Some(self.moved(at, &mut request)),
            RequestStage::Close => self.close(at, &mut request),
        };
        match (next, request.play) {
            (Some(after), _) => self.agenda.push(at + after, Step::Request(request)),
            (None, Some(play)) => self.finish(play, at),
            (None, None) => {}
        }
    }

    fn ask_for(&mut self, at: i64, request: &mut Request) -> i64 {
        let clerk = self.systems[request.system].clerk(request.wallet, request.analyst);
        let Some(session) = self.desk_session(request.system, clerk, at) else {
            return self.chance.seconds(20, 60);
        };
        if request.is_ordered() {
            let event = self.about(request, PLATFORM, "custody.request");
            let event = by(event, self.systems[request.system].person(clerk), session::name(session));
            let said = self.say(request.system, at, with_outcome(event, "open"));
            self.mark_if(request, said, Scenario::LookalikeDestination);
        }
        request.stage = RequestStage::File;
        self.chance.seconds(30, 600)
    }

    fn file(&mut self, at: i64, request: &mut Request) -> Option<i64> {
        let nonce = request.nonce.unwrap_or_else(|| {
            let wallet = self.systems[request.system].state(request.wallet);
            wallet.nonce += 1;
            wallet.nonce - 1
        });
        request.nonce = Some(nonce);
        let event = self.about(request, signer(request.wallet), "signing.requested");
        let mut event = with(event, &self.filed(request));
        let swapped = request.is(Scenario::SwappedProposal);
        if swapped {
            event.reason("the fields do not hash to what the request is filed under");
        }
        let said = self.say(request.system, at, with_outcome(event, if swapped { "mismatch" } else { "verified" }));
        let wrong = [Scenario::SwappedProposal, Scenario::NonceConflict, Scenario::Delegatecall];
        let told = [Scenario::LookalikeDestination, Scenario::WalletTakeover];
        wrong.into_iter().chain(told).for_each(|scenario| self.mark_if(request, said, scenario));
        if request.is(Scenario::SwappedProposal) || request.is(Scenario::NonceConflict) {
            return None;
        }
        if request.play.is_none() && request.destination != Destination::Itself && self.chance.once_in(CANCELLED_ONE_IN)
        {
            return self.cancel(at, request);
        }
        request.stage = if request.is(Scenario::BypassedPolicy) { RequestStage::Approve } else { RequestStage::Decide };
        Some(self.chance.seconds(60, 900))
    }

    /// Somebody rejects it; a multisig's nonce is then used up by an empty call to the wallet itself.
    fn cancel(&mut self, at: i64, request: &mut Request) -> Option<i64> {
        let mut event = self.about(request, signer(request.wallet), "signing.rejected");
        event.actor(self.systems[request.system].owner(request.wallet, request.approvers[0]));
        self.say(request.system, at + 1_000_000, event);
        if technology(request.wallet) != Technology::Safe {
            return None;
        }
        let mut empty = self.new_request(request.system, request.wallet, at);
        (empty.nonce, empty.amount, empty.destination) = (request.nonce, 0, Destination::Itself);
        empty.stage = RequestStage::File;
        *request = empty;
        Some(self.chance.seconds(60, 600))
    }

    fn decide(&mut self, at: i64, request: &mut Request) -> i64 {
        self.replace_who_is_away(at, request);
        let clerk = self.systems[request.system].clerk(request.wallet, request.approvers[at_place(request)]);
        let Some(session) = self.desk_session(request.system, clerk, at) else {
            return self.chance.seconds(20, 60);
        };
        let refused = request.play.is_none() && !request.refused && self.chance.once_in(REFUSED_ONE_IN);
        let mut event = self.about(request, OPA, "decision");
        event.decision(self.decision_id(request));
        event.asset(None::<&str>).amount(None);
        event.amount_usd_cents(dollars(request) * 100);
        let person = self.systems[request.system].person(clerk);
        let event = with(by(event, person, session::name(session)), &self.asked(request, refused));
        let said = self.say(request.system, at, with_outcome(event, if refused { "deny" } else { "allow" }));
        for scenario in [Scenario::SelfApproval, Scenario::DoubledApprover, Scenario::MalformedInput] {
            self.mark_if(request, said, scenario);
        }
        if request.approved == 0 {
            self.mark_if(request, said, Scenario::FactorReset);
        }
        if refused {
            request.refused = true;
            return self.chance.seconds(120, 900);
        }
        request.stage = RequestStage::Approve;
        self.chance.seconds(5, 60)
    }

    /// Somebody else of the desk takes over from an approver who would rather not be asked by now.
    fn replace_who_is_away(&self, at: i64, request: &mut Request) {
        let place = at_place(request);
        let state = &self.systems[request.system];
        let presence = |place: u64| state.presence(state.clerk(request.wallet, place), at);
        let now = presence(request.approvers[place]);
        if (place == 0 && request.first_must) || now == Presence::Here {
            return;
        }
        let others = (0..OWNERS).filter(|other| !request.approvers.contains(other));
        let rather = others.min_by_key(|other| presence(*other)).filter(|other| presence(*other) < now);
        request.approvers[place] = rather.unwrap_or(request.approvers[place]);
    }

    fn approve(&mut self, at: i64, request: &mut Request) -> Option<i64> {
        let forges = request.is(Scenario::ForgedConfirmation) || request.is(Scenario::WalletTakeover);
        let forged = forges && request.approved == 0;
        let mut event = self.about(request, signer(request.wallet), "signing.approved");
        event.actor(self.systems[request.system].owner(request.wallet, request.approvers[at_place(request)]));
        if forged {
            event.reason("the signature recovers to somebody else than it is filed under");
        }
        let event = with(event, &self.confirmed(request, forged));
        let said = self.say(request.system, at, with_outcome(event, if forged { "mismatch" } else { "verified" }));
        self.mark_if(request, said, Scenario::BypassedPolicy);
        if forged {
            self.mark_if(request, said, Scenario::ForgedConfirmation);
            self.mark_if(request, said, Scenario::WalletTakeover);
        }
        request.approved += 1;
        if request.is(Scenario::ForgedConfirmation) {
            return None;
        }
        let enough = request.approved == threshold(request.wallet);
        if enough && request.is(Scenario::Delegatecall) {
            return None;
        }
        let next = if request.is(Scenario::BypassedPolicy) { RequestStage::Approve } else { RequestStage::Decide };
        request.stage = if enough { RequestStage::Sign } else { next };
        Some(if enough { self.chance.seconds(10, 120) } else { self.chance.seconds(30, 900) })
    }

    fn sign(&mut self, at: i64, request: &mut Request) -> i64 {
        if request.is(Scenario::RequestAltered) {
            request.destination = Destination::Stranger(self.systems[request.system].new_stranger());
            self.name_entities(request);
        }
        let mut event = self.about(request, signer(request.wallet), "signing.signed");
        event.tx(self.systems[request.system].tx(request.wallet, request.number));
        event.actor(self.systems[request.system].owner(request.wallet, request.approvers[0]));
        let event = with(event, &self.filed(request));
        let said = self.say(request.system, at, with_outcome(event, "success"));
        self.mark_if(request, said, Scenario::RequestAltered);
        self.mark_if(request, said, Scenario::BypassedPolicy);
        request.stage = RequestStage::Broadcast;
        self.chance.seconds(2, 20)
    }

    /// An event about the movement: wallet, request, chain, asset, amount, destination.
    pub(crate) fn about(&self, request: &Request, source: &str, kind: &str) -> Builder {
        let mut event = self.event(request.system, source, kind);
        let (chain, asset) = match technology(request.wallet) {
            Technology::Bitcoin => ("bitcoin", "BTC"),
            _ => ("ethereum", "ETH"),
        };
        event.wallet(self.systems[request.system].wallet(request.wallet));
        event.request(self.request_id(request));
        event.chain(chain);
        event.asset(asset);
        event.to_address(self.destination_of(request));
        event.amount(Amount::from_u128(request.amount));
        event
    }

    pub(crate) fn request_id(&self, request: &Request) -> String {
        match technology(request.wallet) {
            Technology::Safe => {
                text::hash("0x", self.systems[request.system].salt + crate::system::of::REQUEST, request.number)
            }
            _ => text::numbered("request-", request.number),
        }
    }

    pub(crate) fn destination_of(&self, request: &Request) -> String {
        let state = &self.systems[request.system];
        match request.destination {
            Destination::Approved(place) => state.destination(request.wallet, place),
            Destination::Stranger(number) => state.stranger(request.wallet, number),
            Destination::Lookalike(place, number) => {
                let genuine = state.destination(request.wallet, place);
                text::lookalike(&genuine, state.salt + crate::system::of::STRANGER, number)
            }
            Destination::Itself => state.wallet(request.wallet),
        }
    }

    fn mark_if(&mut self, request: &Request, said: Recorded, scenario: Scenario) {
        if let Some(play) = request.play.filter(|play| play.scenario == scenario) {
            self.mark(play, said);
        }
    }
}

/// Which approval is next.
fn at_place(request: &Request) -> usize {
    usize::try_from(request.approved).unwrap_or_default().min(2)
}

/// Whole US dollars, at prices that never change; the empty call counts as one.
pub(crate) fn dollars(request: &Request) -> i64 {
    let dollars = match technology(request.wallet) {
        Technology::Bitcoin => request.amount * 80_000 / 100_000_000,
        _ => request.amount * 2_500 / 1_000_000_000_000_000_000,
    };
    i64::try_from(dollars).unwrap_or(i64::MAX / 100).max(1)
}
