//! The events that the benches append.

use keywatch_store::event::{Detail, Origin};
use keywatch_store::{Event, Instant};

/// An event as a policy decision log gives it: about 700 bytes a line.
pub(crate) fn event(number: usize) -> Event {
    let origin = Origin { system: "treasury".into(), source: "opa".into() };
    let time = Instant(1_740_116_560_000_000_000 + i64::try_from(number).unwrap() * 1_000_003);
    let mut event = Event::new(&origin, &format!("pdp-1/{number}"), "decision", time);
    event.time = time;
    let word = |salt: usize| format!("0x{:040x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7) ^ salt);
    (event.actor, event.session) = (Some(format!("signer-{}", number % 40)), Some(format!("session-{}", number / 50)));
    (event.device, event.ip) = (Some(format!("device-{}", number % 60)), Some("198.51.100.7".into()));
    (event.wallet, event.to_address) = (Some(word(1)), Some(word(2)));
    (event.request, event.decision) = (Some(word(3)), Some(format!("decision-{number}")));
    event.amount_usd_cents = Some(i64::try_from(number).unwrap() * 101);
    event.outcome = Some("allow".into());
    event.detail = Detail::from(&serde_json::json!({
        "approvals": 3, "approvers_distinct": 3, "self_approved": false, "amount_type": "number", "risk_type": "number",
        "path": "wallet/signing/allow", "replica": format!("pdp-{}", number % 3), "bundle_revision": word(4),
    }));
    event
}
