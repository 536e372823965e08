//! What people take back or change: amended and withdrawn orders, nonces that were cancelled and used again.

use keywatch_detectors::rule::shipped;
use keywatch_store::event::Origin;
use keywatch_store::{Amount, Event, Instant, Inventory};
use serde_json::json;

use crate::support::findings;

const MINUTE: i64 = 60 * 1_000_000_000;
const HOUR: i64 = 60 * MINUTE;
const WALLET: &str = "0xa0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0";
const HOT: &str = "0xc2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2";
const PAYEE: &str = "0xb1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1";

/// A log of the system `one`, an event a minute, and how much later than that it has become.
struct Log(Vec<Event>, i64);

impl Log {
    fn new() -> Log {
        let text = format!(
            "[[systems]]\nid = \"one\"\n\
             [[systems.sources]]\nsource = \"ledger\"\nfeed = \"events\"\n\
             [[systems.sources]]\nsource = \"node\"\nfeed = \"events\"\n\
             [[systems.sources]]\nsource = \"safe\"\nfeed = \"events\"\n\
             [[systems.wallets]]\nwallet = \"{WALLET}\"\nchain = \"ethereum\"\nledger = \"ledger\"\nnode = \"node\"\n\
             [[systems.wallets]]\nwallet = \"{HOT}\"\nchain = \"ethereum\"\n"
        );
        Log(Inventory::parse("i.toml", &text).unwrap().activation(Instant(0)), 0)
    }

    fn later(mut self, hours: i64) -> Log {
        self.1 += hours * HOUR;
        self
    }

    fn event(mut self, source: &str, kind: &str, fill: impl FnOnce(&mut keywatch_store::event::Builder)) -> Log {
        let time = Instant(i64::try_from(self.0.len()).unwrap() * MINUTE + self.1);
        let origin = Origin { system: "one".to_owned(), source: source.to_owned() };
        let mut event = Event::builder(&origin, &self.0.len().to_string(), kind, time);
        event.time(time).wallet(WALLET);
        fill(&mut event);
        self.0.push(event.build_own());
        self
    }

    fn order(self, amount: u128, outcome: &str) -> Log {
        self.event("ledger", "custody.request", |event| {
            event.request("w-1").to_address(PAYEE).asset("ETH").amount(Amount::from_u128(amount)).outcome(outcome);
        })
    }

    fn payment(self, amount: u128) -> Log {
        let tx = format!("0x{:064x}", self.0.len());
        self.event("node", "chain.transfer", |event| {
            event.tx(tx.as_str()).to_address(PAYEE).asset("ETH").amount(Amount::from_u128(amount)).outcome("success");
            event.detail(&json!({ "direction": "out" }));
        })
    }

    /// A request under nonce 7 that pays, or one that cancels it.
    fn request(self, name: &str, actor: &str, pays: bool) -> Log {
        let (to, amount) = if pays { (PAYEE, 5) } else { (WALLET, 0) };
        self.event("safe", "signing.requested", |event| {
            event.request(name).actor(actor).to_address(to).asset("ETH").amount(Amount::from_u128(amount));
            event.outcome("verified").detail(&json!({ "nonce": 7, "operation": 0, "to": to }));
        })
    }

    /// A request under nonce 7 that pays another wallet of the system, and what the gas of it costs.
    fn refill(self, name: &str, gas_price: Option<&str>) -> Log {
        self.event("safe", "signing.requested", |event| {
            event
                .request(name)
                .actor("ann")
                .to_address(HOT)
                .asset("ETH")
                .amount(Amount::from_u128(5))
                .outcome("verified");
            let mut detail = json!({ "nonce": 7, "operation": 0, "to": HOT });
            if let Some(gas_price) = gas_price {
                detail["gas_price"] = json!(gas_price);
            }
            event.detail(&detail);
        })
    }

    /// How often a rule fires.
    fn found(mut self, rule: &str) -> usize {
        for _ in 0..10 {
            self = self.event("keywatch", "tick", |_| ());
        }
        let rules: Vec<_> = shipped().unwrap().into_iter().filter(|shipped| shipped.id == rule).collect();
        assert_eq!(rules.len(), 1);
        findings(&rules, &self.0).len()
    }
}

#[test]
fn of_an_order_the_last_amount_holds() {
    let unordered = |log: Log| log.found("chain/unordered_payment");
    assert_eq!(unordered(Log::new().order(5, "open").payment(5)), 0);
    assert_eq!(unordered(Log::new().order(5, "open").order(5, "open").payment(10)), 1, "told twice is ordered once");
    assert_eq!(unordered(Log::new().order(5, "open").order(12, "open").payment(12)), 0, "amended upwards");
    assert_eq!(unordered(Log::new().order(5, "open").order(12, "open").payment(13)), 1, "and no further");
    assert_eq!(unordered(Log::new().order(5, "open").order(3, "open").payment(5)), 1, "amended downwards");
    assert_eq!(
        unordered(Log::new().order(5, "open").order(12, "open").order(12, "cancelled").payment(1)),
        1,
        "withdrawn"
    );
    let opened_again = Log::new().order(5, "open").order(5, "cancelled").order(4, "open");
    assert_eq!(unordered(opened_again.payment(4)), 0, "withdrawn and opened again");
}

#[test]
fn an_order_is_used_up_for_as_long_as_it_can_order() {
    let unordered = |log: Log| log.found("chain/unordered_payment");
    let paid = || Log::new().order(5, "open").payment(5);
    for days in [0, 6, 7, 8, 9, 10, 12] {
        assert_eq!(unordered(paid().later(24 * days).payment(5)), 1, "paid again after {days} days");
    }
    assert_eq!(unordered(Log::new().order(5, "open").later(9 * 24).payment(5)), 0, "a slow signer");
}

#[test]
fn what_was_withdrawn_is_ordered_at_no_time_after() {
    let unordered = |log: Log| log.found("chain/unordered_payment");
    for stood in [0, 12, 23] {
        for hours in [0, 100, 217, 228, 241] {
            let log = |outcome: &str| Log::new().order(5, "open").later(stood).order(1, outcome).later(hours);
            assert_eq!(unordered(log("cancelled").payment(5)), 1, "withdrawn after {stood} hours, paid after {hours}");
            assert_eq!(unordered(log("open").payment(5)), 1, "amended after {stood} hours, paid after {hours}");
        }
    }
}

#[test]
fn of_requests_that_pay_a_wallet_of_the_system_none_may_pay_whoever_executes_it() {
    let conflicts = |log: Log| log.found("signing/nonce_conflict");
    let first = || Log::new().refill("a", None);
    assert_eq!(conflicts(first().refill("b", None)), 0, "whichever is executed, nothing leaves");
    assert_eq!(conflicts(first().refill("b", Some("1000000000000"))), 1);
}

#[test]
fn a_cancelled_nonce_is_free_for_one_replacement_by_somebody_else() {
    let conflicts = |log: Log| log.found("signing/nonce_conflict");
    let first = || Log::new().request("a", "ann", true);
    assert_eq!(conflicts(first().request("b", "bob", true)), 1);
    assert_eq!(conflicts(first().request("c", "cid", false)), 0, "a cancellation is no conflict");
    let cancelled = || first().request("c", "cid", false);
    assert_eq!(conflicts(cancelled().request("b", "bob", true)), 0, "a replacement");
    assert_eq!(conflicts(cancelled().request("b", "bob", true).request("d", "dan", true)), 1, "a second one");
    assert_eq!(conflicts(cancelled().request("b", "cid", true)), 1, "who cancelled files it");
    let early = Log::new().request("c", "cid", false).request("a", "ann", true);
    assert_eq!(conflicts(early.request("b", "bob", true)), 1, "cancelled before the first was filed");
}
