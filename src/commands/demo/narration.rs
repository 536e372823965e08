//! An event in words, for the transcript.

use keywatch_store::inventory::{Quotes, grouped};
use keywatch_store::{Event, Inventory};
use serde_json::Value;

use crate::wording::short;

/// One event as a sentence that needs no knowledge of custody; `None` for what nobody needs to see.
pub(crate) fn sentence(event: &Event, inventory: &Inventory) -> Option<String> {
    let detail = event.detail().value();
    let actor = event.actor().map_or_else(|| "somebody".to_owned(), short);
    let session = event.session().unwrap_or("no session");
    let request = event.request().map(short).unwrap_or_default();
    Some(match event.kind() {
        "tick" => return None,
        "session.started" => format!("{actor} logs in{} (session {session})", place(event)),
        "session.presented" => format!("{actor} works{} (session {session})", place(event)),
        "session.ended" => format!("{actor} logs out (session {session})"),
        "session.posture" => format!("{}, the device of {actor}, is {}", text(event.device()), text(event.outcome())),
        "decision" => {
            let usd = event.amount_usd_cents().map(|cents| grouped(&(cents / 100).to_string()));
            let usd = usd.map(|usd| format!(" of {usd} US dollars")).unwrap_or_default();
            let answer = if event.outcome() == Some("allow") { "yes" } else { text(event.outcome()) };
            format!("may {actor} sign payment {request}{usd}? The policy says {answer}")
        }
        "custody.request" => {
            format!("{actor} orders a payment of {}{} ({request})", value(event, inventory), to(event))
        }
        "signing.requested" => {
            format!(
                "payment {request} is put before the signers: {}{}{}",
                value(event, inventory),
                to(event),
                operation(&detail)
            )
        }
        "signing.approved" => format!("{actor} signs payment {request}{}", checked(event)),
        "signing.signed" => format!("payment {request} has all the signatures it needs"),
        "chain.tx" => {
            format!("{actor} sends it to the chain: {}{}{}", value(event, inventory), to(event), operation(&detail))
        }
        "chain.transfer" if detail["direction"] == "in" => {
            let from = event.from_address().map(|from| format!(" from {}", short(from)));
            format!("{} arrive{}", value(event, inventory), from.unwrap_or_default())
        }
        "chain.transfer" => format!("{} leave{}", value(event, inventory), to(event)),
        "chain.contract" => format!(
            "the wallet's own {} is exchanged: {} for {}",
            if detail["change"] == "implementation" { "code" } else { detail["change"].as_str().unwrap_or("contract") },
            short(detail["after"].as_str().unwrap_or("?")),
            short(detail["before"].as_str().unwrap_or("?"))
        ),
        kind => format!("{kind} from {}", event.source()),
    })
}

fn value(event: &Event, inventory: &Inventory) -> String {
    let Some(units) = event.amount() else { return "no value".to_owned() };
    let asset = event.asset().unwrap_or_default();
    let system = inventory.system(event.system());
    Quotes::default().amount_with_value(system, &units.to_string(), asset, event.chain(), event.time())
}

fn to(event: &Event) -> String {
    event.to_address().map(|to| format!(" to {}", short(to))).unwrap_or_default()
}

fn place(event: &Event) -> String {
    match (event.country(), event.ip()) {
        (Some(country), Some(ip)) => format!(" from {ip} ({country})"),
        (None, Some(ip)) => format!(" from {ip}"),
        _ => String::new(),
    }
}

fn operation(detail: &Value) -> &'static str {
    if detail["operation"] == 1 { ", and lets foreign code act as the wallet (a delegatecall)" } else { "" }
}

fn checked(event: &Event) -> &'static str {
    match event.outcome() {
        Some("verified") => ", and the signature fits it",
        Some("mismatch") => ", but the signature is over something else",
        _ => "",
    }
}

fn text(value: Option<&str>) -> &str {
    value.unwrap_or("unknown")
}
