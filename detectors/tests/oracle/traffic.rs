//! One event: kinds, outcomes and details that the shipped rules look for, drawn from few names so that they meet, with
//! nulls, wrong types and the ends of every range in between.

use keywatch_store::event::Origin;
use keywatch_store::{Amount, Event, Instant};
use serde_json::{Map, Value, json};

use super::dice::Dice;

/// Wallets; the first two are addresses, so that a wallet can be paid.
pub(crate) const WALLETS: [&str; 3] =
    ["0xaaaa000000000000000000000000000000001111", "0xbbbb000000000000000000000000000000002222", "vault-1"];

/// Approved (if the inventory says so), an imitation of it, the same in bech32, a stranger.
pub(crate) const ADDRESSES: [&str; 5] = [
    "0xcafe000000000000000000000000000000001234",
    "0xcafe999999999999999999999999999999991234",
    "bc1qgenuine0desk0000000000000000000000000",
    "bc1qgenu666666666666666666666666666660000",
    "0xdddd000000000000000000000000000000009999",
];

pub(crate) const ACTORS: [&str; 4] = ["alice", "bob", "0xaaaa000000000000000000000000000000001111", "service"];
pub(crate) const SOURCES: [&str; 4] = ["opa", "safe", "node", "idp"];
const SESSIONS: [&str; 3] = ["ses-1", "ses-2", "ses-3"];
const DEVICES: [&str; 2] = ["laptop-1", "laptop-2"];
const REQUESTS: [&str; 4] = ["r1", "r2", "r3", "r4"];
const TXS: [&str; 4] = ["t1", "t2", "t3", "t4"];
const LARGEST: &str = "99999999999999999999999999999999999999";
pub(crate) const WORD: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

/// Kinds with weights: what a system is busy with.
pub(crate) type Theme = &'static [(usize, &'static str)];

pub(crate) const THEMES: [Theme; 4] = [
    &[
        (4, "decision"),
        (3, "custody.request"),
        (4, "signing.requested"),
        (4, "signing.approved"),
        (4, "signing.signed"),
        (5, "chain.tx"),
        (3, "chain.transfer"),
        (1, "tick"),
    ],
    &[
        (3, "session.started"),
        (5, "session.presented"),
        (2, "session.ended"),
        (1, "session.revoked"),
        (5, "session.posture"),
        (3, "session.network"),
        (2, "session.mfa_changed"),
        (5, "decision"),
        (1, "tick"),
    ],
    &[(7, "chain.tx"), (4, "chain.transfer"), (2, "chain.contract"), (1, "signing.signed"), (1, "tick")],
    &[
        (2, "decision"),
        (2, "signing.approved"),
        (2, "signing.requested"),
        (2, "chain.tx"),
        (2, "chain.transfer"),
        (2, "chain.contract"),
        (2, "session.posture"),
        (2, "session.presented"),
        (1, "session.ended"),
        (1, "source.conflict"),
        (1, "rule.parked"),
        (1, "rule.skipped"),
        (1, "rule.limited"),
        (1, "source.gap"),
        (2, "source.heartbeat"),
        (3, "tick"),
    ],
];

/// Who acts in a system, and how.
#[derive(Clone, Copy)]
pub(crate) struct Cast {
    pub(crate) theme: Theme,
    /// How many of the names of each column occur: the fewer, the more rows share a key.
    pub(crate) names: usize,
    /// One value in so many is missing, or of another type.
    pub(crate) missing: usize,
}

/// An event of `system`, with no log time yet; `now` is about when.
pub(crate) fn event(dice: &mut Dice, system: &str, number: usize, cast: Cast, now: i64) -> Event {
    let origin = Origin { system: system.to_owned(), source: (*dice.pick(&SOURCES)).to_owned() };
    let kind = *dice.weighed(cast.theme);
    let mut event = Event::builder(&origin, &number.to_string(), kind, Instant(claimed_time(dice, now)));
    event.late(dice.once_in(8));
    event.actor(maybe(dice, cast, &ACTORS));
    event.session(maybe(dice, cast, &SESSIONS));
    event.device(maybe(dice, cast, &DEVICES));
    event.ip(maybe(dice, cast, &["198.51.100.7", "203.0.113.9"]));
    event.country(maybe(dice, cast, &["CH", "RO", "SG"]));
    event.asn(number_or_end(dice));
    event.wallet(maybe(dice, cast, &WALLETS));
    event.key(maybe(dice, cast, &["k1", "k2"]));
    event.request(maybe(dice, cast, &REQUESTS));
    event.decision(maybe(dice, cast, &["d1", "d2"]));
    event.tx(maybe(dice, cast, &TXS));
    event.chain(maybe(dice, cast, &["ethereum", "ethereum", "bitcoin"]));
    event.asset(maybe(dice, cast, &["ETH", "BTC"]));
    event.from_address(maybe(dice, cast, &WALLETS));
    let destinations: Vec<&str> = ADDRESSES.into_iter().chain(WALLETS).collect();
    event.to_address((!dice.once_in(cast.missing)).then(|| (*dice.pick(&destinations)).to_owned()));
    event.outcome((!dice.once_in(cast.missing)).then(|| (*dice.pick(outcomes(kind))).to_owned()));
    event.reason(maybe(dice, cast, &["because", ""]));
    event.amount_usd_cents(number_or_end(dice));
    event.detail(&detail(dice, cast, kind));
    if !dice.once_in(6) {
        let digits = *dice.weighed(&[
            (2, "0"),
            (2, "1"),
            (16, "10"),
            (2, "40"),
            (3, "41"),
            (3, "50"),
            (3, "51"),
            (3, "60"),
            (3, "61"),
            (3, "1000"),
            (1, "1000000000000000000"),
            (1, LARGEST),
            (1, WORD),
        ]);
        event.amount(Amount::from_digits(digits).unwrap());
    }
    event.build_own()
}

fn maybe(dice: &mut Dice, cast: Cast, choices: &[&str]) -> Option<String> {
    (!dice.once_in(cast.missing)).then(|| (*dice.pick(&choices[..choices.len().min(cast.names)])).to_owned())
}

/// Mostly now; also the same instant for many, long ago, and the ends of the range.
fn claimed_time(dice: &mut Dice, now: i64) -> i64 {
    const MINUTE: i64 = 60_000_000_000;
    match dice.below(40) {
        0 => i64::MIN,
        1 => i64::MAX,
        2..8 => super::history::START,
        8..14 => now.saturating_sub(MINUTE),
        14..17 => now.saturating_sub(MINUTE + 1),
        _ => now,
    }
}

fn number_or_end(dice: &mut Dice) -> Option<i64> {
    Some(match dice.below(20) {
        0..2 => return None,
        2 => i64::MIN,
        3 => i64::MAX,
        4 => -1,
        5 => 0,
        other => i64::try_from(other % 4).unwrap() + 64_500,
    })
}

fn outcomes(kind: &str) -> &'static [&'static str] {
    match kind {
        "decision" => &["allow", "allow", "deny", "undefined", "error"],
        "session.posture" => &["compliant", "compliant", "not_compliant"],
        "signing.approved" | "signing.requested" => &["verified", "mismatch", "unverifiable", "failed"],
        "chain.tx" | "chain.transfer" | "signing.signed" => &["success", "success", "success", "failed", "unconfirmed"],
        _ => &["success", "failure", "failed", ""],
    }
}

/// Members of `detail` that rules read; each may be missing, null, or of another type than they expect.
fn detail(dice: &mut Dice, cast: Cast, kind: &str) -> Value {
    let mut detail = Map::new();
    for (name, choices) in members(kind) {
        let value = match dice.below(2 * cast.missing) {
            0..2 => continue,
            // keywatch itself writes these, and writes them well.
            2 if kind == "source.conflict" || kind.starts_with("rule.") => Value::Null,
            2 => dice
                .pick(&[Value::Null, json!("text \"quoted\""), json!(1.5), json!([1, {"a": 2}]), json!(true)])
                .clone(),
            _ => dice.pick(&choices).clone(),
        };
        detail.insert(name.to_owned(), value);
    }
    Value::Object(detail)
}

#[expect(clippy::too_many_lines, reason = "a table of what each kind has")]
fn members(kind: &str) -> Vec<(&'static str, Vec<Value>)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect::<Vec<_>>();
    let nonces = vec![json!(1), json!(2), json!(2), json!(3), json!("4"), json!(i64::MAX), json!(i64::MIN)];
    let operation = ("operation", vec![json!(0), json!(0), json!(0), json!(0), json!(1)]);
    let called = ("to", texts(&[WALLETS[0], ADDRESSES[0], ADDRESSES[4]]));
    match kind {
        "decision" => vec![
            ("approvals", vec![json!(1), json!(2), json!(3)]),
            ("approvers_distinct", vec![json!(1), json!(2), json!(3)]),
            ("amount_type", texts(&["number", "number", "string", "masked"])),
            ("amount_positive", vec![json!(true), json!(true), json!(false)]),
            ("risk_type", texts(&["number", "number", "absent", "masked"])),
            ("approvals_type", texts(&["array", "absent", "object"])),
            ("self_approved", vec![json!(true), json!(false)]),
        ],
        "chain.tx" => vec![
            (
                "fee_rate",
                [
                    vec![json!(1); 8],
                    [8, 9, 10, 11, 12, 100].map(Value::from).to_vec(),
                    vec![json!(i64::MIN), json!(i64::MAX)],
                ]
                .concat(),
            ),
            ("change_outputs", [vec![json!(1); 11], vec![json!(0)]].concat()),
            ("inputs", vec![json!(1), json!(2), json!(5)]),
            operation,
            called,
        ],
        "chain.transfer" => vec![("direction", texts(&["out", "out", "in"]))],
        "chain.contract" => vec![
            ("change", texts(&["implementation", "implementation", "module", "guard", "owner_added", "threshold"])),
            ("slot", texts(&["0x360894"])),
            ("before", texts(&[ADDRESSES[0], ADDRESSES[4], "1"])),
            (
                "after",
                texts(&[
                    ADDRESSES[0],
                    ADDRESSES[4],
                    "alice",
                    "1",
                    "2",
                    &format!("0x{}{}", "0".repeat(24), &ADDRESSES[0][2..]),
                ]),
            ),
        ],
        "rule.parked" => vec![("rule", texts(&["chain/fee_outlier"])), ("failures", vec![json!(1), json!(2)])],
        "rule.skipped" => vec![
            ("rule", texts(&["chain/fee_outlier"])),
            ("record_time", texts(&["2025-03-03T09:00:00Z"])),
            ("event", texts(&["00112233445566778899aabbccddeeff"])),
        ],
        "rule.limited" => vec![
            ("rule", texts(&["chain/fee_outlier"])),
            ("flooding_source", texts(&["idp"])),
            ("what", texts(&["rows", "keys"])),
            ("count", vec![json!(7), json!(500_000)]),
        ],
        "session.posture" => vec![("check", texts(&["disk", "firewall"]))],
        "source.gap" => vec![
            ("topic", texts(&["events", "conclusions"])),
            ("records", vec![json!(0), json!(90_010)]),
            ("accepted_by", texts(&["alice"])),
        ],
        "source.conflict" => vec![("conflicting_event", texts(&["00112233445566778899aabbccddeeff"]))],
        kind if kind.starts_with("signing") => vec![
            ("nonce", nonces),
            operation,
            called,
            ("call", vec![json!({"name": "transfer"}), json!({}), json!({"name": null})]),
            ("signer_claimed", texts(&["alice"])),
            ("signer_recovered", texts(&["mallory"])),
            ("hash_filed", texts(&["0x1"])),
            ("hash_recomputed", texts(&["0x2"])),
        ],
        _ => Vec::new(),
    }
}
