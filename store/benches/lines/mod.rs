//! The events that the benches append.

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};

/// An event as a policy decision log gives it: about 700 bytes a line.
pub(crate) fn event(number: usize) -> Event {
    let origin = Origin { system: "treasury".into(), source: "opa".into() };
    let time = Instant(1_740_116_560_000_000_000 + i64::try_from(number).unwrap() * 1_000_003);
    let mut event = Event::builder(&origin, &format!("pdp-1/{number}"), "decision", time);
    event.time(time);
    let word = |salt: usize| format!("0x{:040x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7) ^ salt);
    event.actor(format!("signer-{}", number % 40)).session(format!("session-{}", number / 50));
    event.device(format!("device-{}", number % 60)).ip("198.51.100.7");
    event.wallet(word(1)).to_address(word(2)).request(word(3)).decision(format!("decision-{number}"));
    event.amount_usd_cents(i64::try_from(number).unwrap() * 101);
    event.outcome("allow");
    event.detail(&serde_json::json!({
        "approvals": 3, "approvers_distinct": 3, "self_approved": false, "amount_type": "number", "risk_type": "number",
        "path": "wallet/signing/allow", "replica": format!("pdp-{}", number % 3), "bundle_revision": word(4),
    }));
    event.build_own()
}
