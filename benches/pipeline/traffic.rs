//! Ordinary traffic of a custody system, made without chance: the same call gives the same events.
//!
//! In 9 000 seconds there are, about evenly spread,
//!
//! | events | what |
//! |---|---|
//! | 10 000 × 18 | a session of half an hour: started, second factor, two postures, a decision, presented 12 times, ended |
//! | 1 000 × 11 | a request of one of 8 wallets to one of 40 approved destinations: asked for, filed, three decisions and three approvals, signed, transaction, transfer |
//! | 9 000 | ticks |
//! | 3 | the inventory and the two sources that are expected to speak |
//!
//! which are 200 003 events and about 22 a second. Nothing in it is wrong, so no shipped rule may find anything.

use keywatch_store::event::{Detail, Origin};
use keywatch_store::inventory::{Destination, Owner, Person, Source, System, Wallet};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Amount, Event, Instant, Inventory};
use serde_json::{Value, json};

pub(crate) const SYSTEM: &str = "treasury";
/// The signer's source; its records are those that a marker imitates.
pub(crate) const SIGNER: &str = "custody-platform";

const SPAN_SECONDS: u64 = 9_000;
const SESSIONS: u64 = 10_000;
const SESSION_EVERY_MS: u64 = 720;
const REQUESTS: u64 = 1_000;
const REQUEST_EVERY_MS: u64 = 5_400;
const REQUESTS_FROM_MS: u64 = 1_800_000;
const PEOPLE: u64 = 200;
const WALLETS: u64 = 8;
const OWNERS: u64 = 3;
const DESTINATIONS: u64 = 40;

/// What the system declares.
pub(crate) fn inventory() -> Inventory {
    let wallet = |number| Wallet {
        wallet: address("wallet", number),
        chain: "ethereum".to_owned(),
        temperature: "warm".to_owned(),
        technology: "safe".to_owned(),
        threshold: 3,
        ..Wallet::default()
    };
    let owner = |number| Owner {
        wallet: address("wallet", number / OWNERS),
        owner: address("owner", number),
        person: format!("person-{}", number % OWNERS),
    };
    let destination =
        |number| Destination { address: address("destination", number), label: format!("client {number}") };
    let person = |number| Person { subject: format!("person-{number}"), role: "custodian".to_owned() };
    let source = |(source, trust_group, heartbeat_seconds): (&str, &str, i64)| Source {
        source: source.to_owned(),
        feed: "events".to_owned(),
        trust_group: trust_group.to_owned(),
        max_delay_seconds: 30,
        heartbeat_seconds,
    };
    let sources = [("idp", "identity", 300), ("opa", "pdp", 300), (SIGNER, "signer", 0), ("ethereum-node", "chain", 0)];
    let system = System {
        id: SYSTEM.to_owned(),
        name: "Treasury".to_owned(),
        designation: "self_custody".to_owned(),
        ccss_level: 2,
        wallets: (0..WALLETS).map(wallet).collect(),
        owners: (0..WALLETS * OWNERS).map(owner).collect(),
        destinations: (0..DESTINATIONS).map(destination).collect(),
        people: (0..PEOPLE).map(person).collect(),
        sources: sources.into_iter().map(source).collect(),
    };
    Inventory { systems: vec![system] }
}

/// The traffic from `start` on in the order of its time; `name` keeps the names of two such stretches apart.
pub(crate) fn ordinary(start: Instant, name: &str) -> Vec<Event> {
    let mut day = Day { start, name: name.to_owned(), events: inventory().activation(start) };
    for number in 0..SPAN_SECONDS {
        day.say("keywatch", "tick", number * 1_000);
    }
    for number in 0..SESSIONS {
        day.session(number);
    }
    for number in 0..REQUESTS {
        day.request(number);
    }
    day.events.sort_by_key(|event| event.time);
    day.events
}

/// 20 bytes that look like an address, different for every name and number.
fn address(of: &str, number: u64) -> String {
    let digest = keywatch_store::EventId::derive(of, "address", &number.to_string()).to_string();
    format!("0x{digest}{}", &digest[..8])
}

/// A number below `bound` that is anything but random, and looks it.
fn scattered(number: u64, salt: u64, bound: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0xd1b5_4a32_d192_ed03));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}

struct Day {
    start: Instant,
    name: String,
    events: Vec<Event>,
}

impl Day {
    fn say(&mut self, source: &str, kind: &str, at_ms: u64) -> &mut Event {
        let origin = Origin { system: SYSTEM.to_owned(), source: source.to_owned() };
        let at = self.start.saturating_add(i64::try_from(at_ms).unwrap() * (SECOND_NS / 1_000));
        let mut event = Event::new(&origin, &format!("{}/{}", self.name, self.events.len()), kind, at);
        event.time = at;
        self.events.push(event);
        self.events.last_mut().unwrap()
    }

    /// As `say`, by the person of a session, from their device and place.
    fn act(&mut self, source: &str, kind: &str, session: u64, at_ms: u64) -> &mut Event {
        let (name, person) = (format!("{}-session-{session}", self.name), session % PEOPLE);
        let event = self.say(source, kind, at_ms);
        event.session = Some(name);
        event.actor = Some(format!("person-{person}"));
        event.device = Some(format!("laptop-{person}"));
        event.ip = Some(format!("198.51.100.{person}"));
        if source == "idp" {
            event.country = Some(["CH", "SG", "JP", "DE"][usize::try_from(person % 4).unwrap()].to_owned());
            event.asn = Some(64_500 + i64::try_from(person % 7).unwrap());
        }
        event
    }

    fn session(&mut self, number: u64) {
        let begun = number * SESSION_EVERY_MS + scattered(number, 0, SESSION_EVERY_MS);
        let success = || Some("success".to_owned());
        self.act("idp", "session.started", number, begun).outcome = success();
        self.act("idp", "session.mfa", number, begun + 3_000).outcome = success();
        for (check, after) in [("disk_encryption", 4_000), ("screen_lock", 5_000)] {
            let posture = self.act("idp", "session.posture", number, begun + after);
            posture.outcome = Some("compliant".to_owned());
            posture.detail = Detail::from(&json!({ "check": check }));
        }
        for use_number in 0..12 {
            let at = begun + 10_000 + scattered(number, 1 + use_number, 1_690_000);
            self.act("idp", "session.presented", number, at).outcome = success();
        }
        let decision = self.act("opa", "decision", number, begun + 10_000 + scattered(number, 20, 1_690_000));
        decision.outcome = Some("allow".to_owned());
        decision.detail = Detail::from(&json!({ "path": "console/allow", "labels": { "id": "opa-1" } }));
        self.act("idp", "session.ended", number, begun + 1_790_000);
    }

    fn request(&mut self, number: u64) {
        let begun = REQUESTS_FROM_MS + number * REQUEST_EVERY_MS;
        // Sessions that began some minutes ago and so are open.
        let session = |approver: u64| (begun - 600_000) / SESSION_EVERY_MS + approver * 50;
        let request = Request::of(&self.name, number);
        request.fill(self.act(SIGNER, "custody.request", session(3), begun), &Value::Null);
        request.fill(self.say(SIGNER, "signing.requested", begun + 10_000), &request.filed());
        for approver in 0..OWNERS {
            let at = begun + 30_000 + approver * 20_000;
            request.fill(self.act("opa", "decision", session(approver), at), &request.asked(approver));
            let approved = self.say(SIGNER, "signing.approved", at + 5_000);
            approved.actor = Some(request.owner(approver));
            request.fill(approved, &request.filed());
        }
        for (source, kind, after) in [
            (SIGNER, "signing.signed", 120_000),
            ("ethereum-node", "chain.tx", 132_000),
            ("ethereum-node", "chain.transfer", 133_000),
        ] {
            let event = self.say(source, kind, begun + after);
            event.tx = Some(request.tx.clone());
            event.actor = Some(request.owner(0));
            request.fill(event, &request.executed());
        }
    }
}

struct Request {
    number: u64,
    id: String,
    tx: String,
    wallet: String,
    destination: String,
}

impl Request {
    fn of(name: &str, number: u64) -> Request {
        Request {
            number,
            id: address(&format!("{name} request"), number),
            tx: address(&format!("{name} tx"), number),
            wallet: address("wallet", number % WALLETS),
            destination: address("destination", scattered(number, 30, DESTINATIONS)),
        }
    }

    fn owner(&self, approver: u64) -> String {
        address("owner", self.number % WALLETS * OWNERS + approver)
    }

    fn fill(&self, event: &mut Event, detail: &Value) {
        let outcome = match event.kind.as_str() {
            "decision" => Some("allow"),
            "signing.requested" | "signing.approved" => Some("verified"),
            "custody.request" => None,
            _ => Some("success"),
        };
        event.outcome = outcome.map(str::to_owned);
        event.wallet = Some(self.wallet.clone());
        event.chain = Some("ethereum".to_owned());
        event.to_address = Some(self.destination.clone());
        // A node knows no requests, a decision no base units.
        if event.kind.starts_with("chain.") {
            event.from_address = Some(self.wallet.clone());
        } else {
            event.request = Some(self.id.clone());
        }
        if event.kind == "decision" {
            event.amount_usd_cents = Some(250_000_000);
        } else {
            event.asset = Some("ETH".to_owned());
            event.amount =
                Some(Amount::from_u128(u128::from(1_000 + scattered(self.number, 31, 3_000)) * 10_u128.pow(15)));
        }
        if !detail.is_null() {
            event.detail = Detail::from(detail);
        }
    }

    fn filed(&self) -> Value {
        json!({ "hash_filed": self.id, "hash_recomputed": self.id, "operation": 0, "nonce": self.number / WALLETS,
                "to": self.destination })
    }

    fn executed(&self) -> Value {
        json!({ "operation": 0, "nonce": self.number / WALLETS, "to": self.destination, "direction": "out",
                "fee_rate": 10 + scattered(self.number, 32, 20), "block": 21_000_000 + self.number })
    }

    fn asked(&self, approver: u64) -> Value {
        let input = json!({ "amount_usd": 2_500_000, "destination": self.destination, "destination_risk_score": 1,
                            "request_id": self.id, "wallet": self.wallet, "operation": 0 });
        json!({ "amount_positive": true, "amount_type": "number", "approvals": 2, "approvals_type": "array",
                "approvers_distinct": 2, "risk_type": "number", "self_approved": false, "path": "wallet/signing/allow",
                "labels": { "id": format!("opa-{approver}") }, "input": input })
    }
}
