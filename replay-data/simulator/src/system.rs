//! A trusted environment: what it has and what of it is under way. What never changes follows from numbers; what does
//! change is kept for each wallet and person.

use keywatch_store::EventId;
use keywatch_store::event::CanonicalJson;
use keywatch_store::inventory::{self, Destination, Library, Owner, Source, System as Declared};

use crate::calendar::{DAY_NS, Rhythm};
use crate::people::Person;
use crate::random::{habit, scatter};
use crate::settings::{DESK_PEOPLE, Settings, Sizes};
use crate::text::{address, bitcoin_address, hash, numbered};

pub(crate) const OWNERS: u64 = 4;
pub(crate) const DESTINATIONS: u64 = 6;
/// Weeks among which a desk has at most one person on holiday.
const HOLIDAY_WEEKS: u64 = 8;

/// Sources and what is declared of them: name, trust group, whether they send heartbeats.
pub(crate) const IDP: &str = "idp";
pub(crate) const OPA: &str = "opa";
pub(crate) const MDM: &str = "mdm";
pub(crate) const SAFE: &str = "safe-transaction-service";
pub(crate) const PLATFORM: &str = "custody-platform";
pub(crate) const ETHEREUM: &str = "ethereum-node";
pub(crate) const BITCOIN: &str = "bitcoin-node";
pub(crate) const HEARTBEATS: [&str; 3] = [IDP, OPA, MDM];

/// What a name or address is of; added to the salt of the system.
pub(crate) mod of {
    pub(crate) const WALLET: u64 = 0x100;
    pub(crate) const OWNER: u64 = 0x200;
    pub(crate) const DESTINATION: u64 = 0x300;
    pub(crate) const REQUEST: u64 = 0x400;
    pub(crate) const TX: u64 = 0x500;
    pub(crate) const STRANGER: u64 = 0x600;
    pub(crate) const DEPOSIT: u64 = 0x700;
    pub(crate) const CONTRACT: u64 = 0x800;
    pub(crate) const DECISION: u64 = 0x900;
    pub(crate) const STRANGE_HASH: u64 = 0xa00;
}

/// How a wallet signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Technology {
    Safe,
    Mpc,
    Bitcoin,
}

#[derive(Debug)]
pub(crate) struct System {
    pub(crate) id: String,
    pub(crate) salt: u64,
    /// Log time of the last event.
    pub(crate) last: i64,
    /// Events said.
    pub(crate) said: u64,
    pub(crate) wallets: Vec<Wallet>,
    pub(crate) desks: u64,
    pub(crate) clerks: Vec<Clerk>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) sessions: Rhythm,
    pub(crate) requests: Rhythm,
    pub(crate) noise: Rhythm,
    pub(crate) upkeep: Rhythm,
    pub(crate) sessions_begun: u64,
    /// Sessions begun out of rhythm; as many moments of the rhythm pass by.
    pub(crate) sessions_ahead: u64,
    pub(crate) requests_begun: u64,
    pub(crate) strangers: u64,
    /// Until when the device management is not heard.
    pub(crate) silent_until: i64,
    /// The last that it said.
    pub(crate) device_word: Option<(EventId, i64)>,
    /// The detail of a transfer of this block, kept since many are of one block.
    pub(crate) deposit: (i64, CanonicalJson),
}

/// What changes about a wallet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wallet {
    pub(crate) nonce: u64,
    /// When its last three transactions were mined.
    pub(crate) mined: [i64; 3],
    pub(crate) last_request: i64,
    /// Taken over: nobody uses it any more.
    pub(crate) lost: bool,
}

/// Whether somebody of a desk signs, in the order in which one would rather ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Presence {
    Here,
    OnHoliday,
    Careful,
}

/// Somebody of a desk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clerk {
    pub(crate) signed_on: Option<SignedOn>,
    /// Until when this person signs nothing, after a change of factor.
    pub(crate) careful_until: i64,
}

/// The open session of somebody of a desk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedOn {
    pub(crate) session: u64,
    pub(crate) ready: bool,
    pub(crate) until: i64,
}

/// Somebody else.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worker {
    pub(crate) open: u32,
    /// The device waits for an update.
    pub(crate) outdated: bool,
}

impl System {
    pub(crate) fn new(settings: &Settings, sizes: &Sizes, index: u64) -> System {
        let (start, span) = (settings.start.0, sizes.span_ns);
        let entries = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        System {
            id: numbered("custody-", index + 1),
            salt: scatter(scatter(settings.seed) ^ (index + 1)) << 16,
            last: start - 1,
            said: 0,
            wallets: vec![Wallet::default(); entries(sizes.wallets)],
            desks: sizes.desks,
            clerks: vec![Clerk::default(); entries(sizes.desks * DESK_PEOPLE)],
            workers: vec![Worker::default(); entries(sizes.people)],
            sessions: Rhythm::of_people(start, span, sizes.sessions),
            requests: Rhythm::of_people(start, span, sizes.requests),
            noise: Rhythm::even(start, span, sizes.noise),
            upkeep: Rhythm::of_people(start, span, sizes.upkeep),
            sessions_begun: 0,
            sessions_ahead: 0,
            requests_begun: 0,
            strangers: 0,
            silent_until: i64::MIN,
            device_word: None,
            deposit: (0, CanonicalJson::from(&serde_json::json!({}))),
        }
    }

    pub(crate) fn person(&self, number: u64) -> Person {
        Person { salt: self.salt, number }
    }

    /// The number of a worker as a person.
    pub(crate) fn worker_person(&self, worker: usize) -> u64 {
        (self.clerks.len() + worker) as u64
    }

    /// The worker that a person is, if none of a desk.
    pub(crate) fn worker(&self, person: u64) -> Option<usize> {
        usize::try_from(person).ok()?.checked_sub(self.clerks.len())
    }

    /// A custodian (0 to 3) or analyst (4, 5) of the desk of a wallet.
    pub(crate) fn clerk(&self, wallet: u64, place: u64) -> u64 {
        wallet % self.desks * DESK_PEOPLE + place
    }

    /// Whether a custodian signs at a moment.
    pub(crate) fn presence(&self, clerk: u64, at: i64) -> Presence {
        let careful = at < self.clerks[usize::try_from(clerk).unwrap_or_default()].careful_until;
        let week = at.div_euclid(7 * DAY_NS).unsigned_abs();
        let (desk, place) = (clerk / DESK_PEOPLE, clerk % DESK_PEOPLE);
        if careful {
            return Presence::Careful;
        }
        let on_holiday = habit(self.salt ^ 7 ^ (week << 20), desk, HOLIDAY_WEEKS) == place;
        if on_holiday { Presence::OnHoliday } else { Presence::Here }
    }

    /// Whether a desk can do without one more custodian for a day; somebody on holiday may have to help out.
    pub(crate) fn can_spare(&self, wallet: u64, at: i64) -> bool {
        (0..OWNERS).all(|place| self.presence(self.clerk(wallet, place), at) != Presence::Careful)
    }

    pub(crate) fn state(&mut self, wallet: u64) -> &mut Wallet {
        let index = usize::try_from(wallet).unwrap_or_default();
        &mut self.wallets[index]
    }

    pub(crate) fn wallet(&self, wallet: u64) -> String {
        match technology(wallet) {
            Technology::Bitcoin => bitcoin_address(self.salt + of::WALLET, wallet),
            _ => address(self.salt + of::WALLET, wallet),
        }
    }

    pub(crate) fn owner(&self, wallet: u64, place: u64) -> String {
        address(self.salt + of::OWNER, wallet * OWNERS + place)
    }

    pub(crate) fn destination(&self, wallet: u64, place: u64) -> String {
        let number = wallet * DESTINATIONS + place;
        match technology(wallet) {
            Technology::Bitcoin => bitcoin_address(self.salt + of::DESTINATION, number),
            _ => address(self.salt + of::DESTINATION, number),
        }
    }

    pub(crate) fn stranger(&self, wallet: u64, number: u64) -> String {
        match technology(wallet) {
            Technology::Bitcoin => bitcoin_address(self.salt + of::STRANGER, number),
            _ => address(self.salt + of::STRANGER, number),
        }
    }

    pub(crate) fn tx(&self, wallet: u64, number: u64) -> String {
        let prefix = if technology(wallet) == Technology::Bitcoin { "" } else { "0x" };
        hash(prefix, self.salt + of::TX, number)
    }

    /// A number that no stranger had before.
    pub(crate) fn new_stranger(&mut self) -> u64 {
        self.strangers += 1;
        self.strangers
    }

    /// The largest base of amounts is this wallet's.
    pub(crate) fn usual_amount(&self, wallet: u64) -> u128 {
        let units = u128::from(1 + habit(self.salt ^ 8, wallet, 200));
        units * if technology(wallet) == Technology::Bitcoin { 1_000_000 } else { 1_000_000_000_000_000_000 }
    }

    pub(crate) fn declared(&self, sizes: &Sizes) -> Declared {
        let wallets = 0..self.wallets.len() as u64;
        let places = |each: u64| wallets.clone().flat_map(move |wallet| (0..each).map(move |place| (wallet, place)));
        Declared {
            id: self.id.clone(),
            name: format!("Simulated {}", self.id),
            designation: "full_system".to_owned(),
            ccss_level: 2,
            wallets: wallets.clone().map(|wallet| self.declared_wallet(wallet)).collect(),
            owners: places(OWNERS).map(|(wallet, place)| self.declared_owner(wallet, place)).collect(),
            destinations: places(DESTINATIONS)
                .map(|(wallet, place)| Destination {
                    address: self.destination(wallet, place),
                    label: numbered("client ", wallet * DESTINATIONS + place),
                })
                .collect(),
            people: (0..self.clerks.len() as u64).map(|clerk| self.declared_person(clerk)).collect(),
            sources: sources(sizes.heartbeat_seconds()),
            libraries: vec![Library {
                address: address(self.salt + of::CONTRACT, 1),
                label: "batch contract".to_owned(),
            }],
            ..inventory::System::default()
        }
    }

    fn declared_wallet(&self, wallet: u64) -> inventory::Wallet {
        let (chain, named, code) = match technology(wallet) {
            Technology::Safe => ("ethereum", "safe", address(self.salt + of::CONTRACT, 0)),
            Technology::Mpc => ("ethereum", "mpc", String::new()),
            Technology::Bitcoin => ("bitcoin", "p2wsh", String::new()),
        };
        let temperature = ["hot", "warm", "cold"][usize::try_from(wallet / 4 % 3).unwrap_or_default()];
        inventory::Wallet {
            wallet: self.wallet(wallet),
            chain: chain.to_owned(),
            temperature: temperature.to_owned(),
            technology: named.to_owned(),
            threshold: i64::try_from(threshold(wallet)).unwrap_or_default(),
            implementation: code,
            contract_version: if named == "safe" { "1.4.1".to_owned() } else { String::new() },
            purpose: "treasury".to_owned(),
            signer: signer(wallet).to_owned(),
            node: node(wallet).to_owned(),
            ledger: PLATFORM.to_owned(),
            decision_point: OPA.to_owned(),
            first_block: 0,
            descriptor: String::new(),
            gap_limit: 0,
        }
    }

    fn declared_owner(&self, wallet: u64, place: u64) -> Owner {
        let person = self.person(self.clerk(wallet, place)).name();
        Owner { wallet: self.wallet(wallet), owner: self.owner(wallet, place), person }
    }

    fn declared_person(&self, clerk: u64) -> inventory::Person {
        let role = if clerk % DESK_PEOPLE < OWNERS { "custodian" } else { "analyst" };
        inventory::Person { subject: self.person(clerk).name(), role: role.to_owned() }
    }
}

fn sources(heartbeat_seconds: i64) -> Vec<Source> {
    let source = |source: &str, trust_group: &str| Source {
        source: source.to_owned(),
        feed: "events".to_owned(),
        trust_group: trust_group.to_owned(),
        max_delay_seconds: 30,
        heartbeat_seconds: if HEARTBEATS.contains(&source) { heartbeat_seconds } else { 0 },
        ..Source::default()
    };
    vec![
        source(IDP, "identity"),
        source(OPA, "pdp"),
        source(MDM, "devices"),
        source(SAFE, "signer"),
        source(PLATFORM, "signer"),
        source(ETHEREUM, "chain"),
        source(BITCOIN, "chain"),
    ]
}

/// Two of four wallets are multisigs on Ethereum, one is MPC there, one is on Bitcoin.
pub(crate) fn technology(wallet: u64) -> Technology {
    match wallet % 4 {
        0 | 1 => Technology::Safe,
        2 => Technology::Mpc,
        _ => Technology::Bitcoin,
    }
}

/// Approvals that a request needs.
pub(crate) fn threshold(wallet: u64) -> u64 {
    if (wallet / 2).is_multiple_of(3) { 2 } else { 3 }
}

/// Some multisigs always pay by a batch contract that they call with their own powers.
pub(crate) fn batches(wallet: u64) -> bool {
    wallet % 16 == 5
}

/// Who speaks for a wallet's signers.
pub(crate) fn signer(wallet: u64) -> &'static str {
    if technology(wallet) == Technology::Safe { SAFE } else { PLATFORM }
}

/// Who speaks for a wallet's chain.
pub(crate) fn node(wallet: u64) -> &'static str {
    if technology(wallet) == Technology::Bitcoin { BITCOIN } else { ETHEREUM }
}
