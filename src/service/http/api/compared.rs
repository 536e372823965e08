//! Requests that claim the same place: of one wallet and one nonce only one can be carried out. Where two are filed, what was put
//! before the signers first and what came after it are told beside each other.

use std::collections::BTreeMap;

use keywatch_store::Event;
use serde_json::{Value, json};

use super::views::Units;
use super::{facts, views};

/// What two requests are compared by.
const FIELDS: [&str; 6] = ["request", "operation", "to_address", "amount", "asset", "call"];

/// Each request that claims the place of an earlier one, beside that.
pub(super) fn compared(events: &[Event], units: Units<'_>) -> Vec<Value> {
    let mut first_of: BTreeMap<(String, String), Value> = BTreeMap::new();
    let mut pairs = Vec::new();
    for event in events.iter().filter(|event| event.kind() == "signing.requested") {
        let filed = filed(event, events, units);
        let (Some(wallet), Some(nonce)) = (event.wallet(), filed.get("nonce")) else { continue };
        let place = (wallet.to_owned(), nonce.to_string());
        let Some(first) = first_of.get(&place) else {
            first_of.insert(place, filed);
            continue;
        };
        let differs: Vec<&str> = FIELDS.into_iter().filter(|field| first[*field] != filed[*field]).collect();
        if first["request"] != filed["request"] {
            pairs.push(json!({ "wallet": wallet, "nonce": nonce, "first": first, "other": filed, "differs": differs }));
        }
    }
    pairs
}

/// A request as it was filed, and how many signatures under it fit it and do not.
fn filed(request: &Event, events: &[Event], units: Units<'_>) -> Value {
    let mut filed = views::event(request);
    views::add_amount_in_words(&mut filed, request, units);
    for (name, fact) in facts::facts(request) {
        filed[name] = fact;
    }
    let under = || events.iter().filter(|event| event.request().is_some() && event.request() == request.request());
    let signatures = |outcome: &str| {
        under().filter(|event| event.kind() == "signing.approved" && event.outcome() == Some(outcome)).count()
    };
    filed["signatures"] = json!({ "fit": signatures("verified"), "mismatch": signatures("mismatch") });
    filed["carried_out"] = Value::from(under().any(|event| event.kind() == "chain.tx"));
    filed
}

#[cfg(test)]
mod tests {
    use keywatch_store::Instant;
    use keywatch_store::event::Origin;
    use keywatch_store::inventory::Quotes;

    use super::*;

    fn said(second: i64, kind: &str, request: &str, to: &str, outcome: &str) -> Event {
        let origin = Origin { system: "cold".into(), source: "a".into() };
        let mut event = Event::builder(&origin, &second.to_string(), kind, Instant(second));
        event.time(Instant(second)).wallet("w").request(request).to_address(to).outcome(outcome);
        event.detail(&json!({ "nonce": 71, "operation": 0 }));
        event.build_own()
    }

    #[test]
    fn what_was_shown_stands_beside_what_was_carried_out() {
        let events = [
            said(1, "signing.requested", "shown", "ours", "verified"),
            said(2, "signing.approved", "shown", "ours", "mismatch"),
            said(3, "signing.requested", "signed", "theirs", "verified"),
            said(4, "signing.approved", "signed", "theirs", "verified"),
            said(5, "chain.tx", "signed", "theirs", "success"),
        ];
        let units = Units { system: None, quotes: &Quotes::default() };
        let pairs = compared(&events, units);
        assert_eq!(pairs.len(), 1, "{pairs:?}");
        let pair = &pairs[0];
        assert_eq!((&pair["first"]["request"], &pair["other"]["request"]), (&json!("shown"), &json!("signed")));
        assert_eq!(pair["differs"], json!(["request", "to_address"]));
        assert_eq!(pair["first"]["signatures"], json!({ "fit": 0, "mismatch": 1 }));
        assert_eq!((&pair["first"]["carried_out"], &pair["other"]["carried_out"]), (&json!(false), &json!(true)));
        assert!(compared(&events[..2], units).is_empty());
    }
}
