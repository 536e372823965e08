//! What an event of a chain of custody says beside its columns: the few facts of its detail by which people know a request,
//! and values that ought to be the same and are not, both of them. Knows nothing of incidents.

use keywatch_store::Event;
use serde_json::{Map, Value, json};

/// Fields of a detail that are shown. A detail may hold anything a source says, so the others are not.
const SHOWN: [&str; 11] = [
    "nonce",
    "operation",
    "call",
    "selector",
    "change",
    "function",
    "direction",
    "signer_claimed",
    "signer_recovered",
    "hash_filed",
    "hash_recomputed",
];

/// The facts of an event; empty where it has none.
pub(super) fn facts(event: &Event) -> Map<String, Value> {
    let detail = event.detail().value();
    let fact = |name: &&str| Some(((*name).to_owned(), detail.get(*name)?.clone()));
    let mut facts: Map<String, Value> = SHOWN.iter().filter_map(fact).collect();
    if let Some(cents) = event.amount_usd_cents() {
        facts.insert("amount_usd".to_owned(), Value::from(cents / 100));
    }
    for (name, value) in [("ip", event.ip()), ("country", event.country())] {
        if let Some(value) = value {
            facts.insert(name.to_owned(), Value::from(value));
        }
    }
    facts
}

/// What of an event differs from what it was to be, with both values: who signed from who is named, a hash from that of the
/// fields, and amount, destination and wallet from those of its request.
pub(super) fn differences(event: &Event, request: Option<&Event>) -> Vec<Value> {
    let detail = event.detail().value();
    let text = |name: &str| detail[name].as_str();
    let mut pairs = vec![("hash", text("hash_filed"), text("hash_recomputed"))];
    if event.outcome() == Some("mismatch") {
        pairs.push(("signer", text("signer_claimed"), text("signer_recovered")));
    }
    if event.kind() == "chain.contract" {
        pairs.push((text("change").unwrap_or("contract"), text("before"), text("after")));
    }
    let amounts = request.map(|request| (request.amount(), event.amount()));
    let (asked, said) = amounts.unwrap_or_default();
    let amounts = asked.zip(said).map(|(asked, said)| (asked.to_string(), said.to_string()));
    if let Some(request) = request {
        pairs.push(("destination", request.to_address(), event.to_address()));
        pairs.push(("wallet", request.wallet(), event.wallet()));
    }
    if let Some((asked, said)) = &amounts {
        pairs.push(("amount", Some(asked.as_str()), Some(said.as_str())));
    }
    let differing = pairs.into_iter().filter_map(|(what, expected, found)| Some((what, expected?, found?)));
    let differing = differing.filter(|(_, expected, found)| expected != found);
    differing.map(|(what, expected, found)| json!({ "what": what, "expected": expected, "found": found })).collect()
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::{Amount, Instant};

    use super::*;

    fn event(kind: &str, outcome: &str, to: &str, detail: &Value) -> Event {
        let origin = Origin { system: "cold".into(), source: "a".into() };
        let mut event = Event::builder(&origin, kind, kind, Instant(1));
        event.time(Instant(1)).wallet("w").request("r").to_address(to).amount(Amount::from_u128(5)).outcome(outcome);
        event.detail(detail);
        event.build_own()
    }

    #[test]
    fn both_values_of_what_differs_are_told_and_nothing_else_of_the_detail() {
        let request = event("signing.requested", "verified", "ours", &json!({ "nonce": 71, "secret": "s" }));
        assert_eq!(Value::Object(facts(&request)), json!({ "nonce": 71 }));
        assert!(differences(&request, None).is_empty());
        let signers =
            json!({ "signer_claimed": "0x1f", "signer_recovered": "0x9e", "hash_filed": "h", "hash_recomputed": "h" });
        let approval = event("signing.approved", "mismatch", "theirs", &signers);
        let expected = json!([
            { "what": "signer", "expected": "0x1f", "found": "0x9e" },
            { "what": "destination", "expected": "ours", "found": "theirs" },
        ]);
        assert_eq!(json!(differences(&approval, Some(&request))), expected);
    }
}
