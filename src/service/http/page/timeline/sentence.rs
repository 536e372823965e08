//! A row in words that need no knowledge of custody. Everything is text; the templates escape it.

use keywatch_store::inventory::grouped;
use serde_json::Value;

use super::super::parts::{items, text};
use super::Row;
use crate::wording::{short, shortened};

/// A row in words.
pub(super) fn sentence(row: &Row) -> String {
    let event = row.first();
    let actor = if text(event, "actor").is_empty() { "somebody".to_owned() } else { short(text(event, "actor")) };
    let (session, request) = (text(event, "session"), short(text(event, "request")));
    match row.kind() {
        "session.started" => format!("{actor} logs in{} (session {session})", place(event)),
        "session.presented" => format!("{actor} works{} (session {session})", place(event)),
        "session.ended" => format!("{actor} logs out (session {session})"),
        "session.revoked" => format!("session {session} of {actor} is closed"),
        "session.posture" => format!("{}, the device of {actor}, is {}", text(event, "device"), outcome(event)),
        "decision" => {
            let usd = &event["facts"]["amount_usd"];
            let usd =
                usd.as_i64().map(|usd| format!(" of {} US dollars", grouped(&usd.to_string()))).unwrap_or_default();
            let answer = if text(event, "outcome") == "allow" { "yes".to_owned() } else { outcome(event) };
            format!("May {actor} sign payment {request}{usd}? The policy says {answer}")
        }
        "custody.request" => format!("{actor} orders a payment of {}{} ({request})", value(event), to(event)),
        "signing.requested" => {
            format!("Payment {request} is put before the signers: {}{}{}", value(event), to(event), operation(event))
        }
        "signing.approved" => approved(row, &request),
        "signing.rejected" => format!("{actor} refuses to sign payment {request}"),
        // A service of keys knows no requests: it says that a key was used, and by whom.
        "signing.signed" if request.is_empty() => format!("A key signs for {actor}{}", place(event)),
        "signing.failed" if request.is_empty() => {
            format!("A key does not sign for {actor}{}: {}", place(event), text(event, "reason"))
        }
        "signing.signed" => format!("Payment {request} has all the signatures it needs"),
        "signing.failed" => format!("Payment {request} could not be signed: {}", text(event, "reason")),
        "chain.tx" => {
            let what = if request.is_empty() { "a transaction" } else { request.as_str() };
            format!("{actor} sends {what} to the chain: {}{}{}", value(event), to(event), operation(event))
        }
        "chain.transfer" if text(event, "amount") == "0" && event["facts"]["direction"] == "in" => {
            format!("Nothing arrives{}, though it stands in the history", from(event))
        }
        "chain.transfer" if text(event, "amount") == "0" => {
            format!("Nothing leaves{}, though it stands in the history", to(event))
        }
        "chain.transfer" if event["facts"]["direction"] == "in" => format!("{} arrive{}", value(event), from(event)),
        "chain.transfer" => format!("{} leave{}", value(event), to(event)),
        "chain.approval" => allowed(event),
        "chain.destination" => {
            let what = if text(event, "outcome") == "contract" { "a contract" } else { "an address" };
            format!("{} is {what} that nobody declared", short(text(event, "to_address")))
        }
        "chain.contract" => changed(event["facts"]["change"].as_str().unwrap_or("contract")),
        "chain.retracted" => {
            let of = ["tx", "wallet"].map(|field| text(event, field)).into_iter().find(|name| !name.is_empty());
            format!("The chain leaves a block, and what it said of {} is taken back", short(of.unwrap_or_default()))
        }
        kind if kind.starts_with("response.") => responded(row),
        // Of an alert, what it saw and is on its chain no more.
        "" if event["says"].is_string() => text(event, "says").to_owned(),
        kind => format!("{kind} from {}", text(event, "source")),
    }
}

/// Who may take what of a wallet. More digits than an amount of ours has are no amount that anybody has.
fn allowed(event: &Value) -> String {
    let spender = short(text(event, "to_address"));
    if text(event, "outcome") == "revoked" {
        return format!("{spender} may take nothing from the wallet any more");
    }
    let much = if text(event, "amount").len() < 38 { value(event) } else { "any amount of a token".to_owned() };
    format!("{spender} may take {much} from the wallet")
}

/// What changed of a wallet's contract.
fn changed(change: &str) -> String {
    match change {
        "implementation" | "code" => "The wallet's own code is exchanged".to_owned(),
        "owner_added" => "The wallet gets another owner".to_owned(),
        "owner_removed" => "The wallet loses an owner".to_owned(),
        "threshold" => "The wallet needs another number of signatures".to_owned(),
        "module" => "A module may act for the wallet without its owners".to_owned(),
        "module_removed" => "A module may act for the wallet no more".to_owned(),
        other => format!("The wallet's own {} is exchanged", other.replace('_', " ")),
    }
}

fn approved(row: &Row, request: &str) -> String {
    let who: Vec<String> = row.of.iter().map(|event| short(text(event, "actor"))).collect();
    let fits = match text(row.first(), "outcome") {
        "verified" if who.len() > 1 => ", and the signatures fit it",
        "verified" => ", and the signature fits it",
        "mismatch" => ", but the signature is over something else",
        _ => "",
    };
    let signs = if who.len() > 1 { "sign" } else { "signs" };
    format!("{} {signs} payment {request}{fits}", who.join(", "))
}

fn responded(row: &Row) -> String {
    let event = row.first();
    let all = |field: &str| {
        let mut targets: Vec<String> = row.of.iter().flat_map(|event| names(&event["response"][field])).collect();
        targets.dedup();
        targets.join(", ")
    };
    let (targets, actor) = (all("targets"), text(event, "actor"));
    match row.kind() {
        "response.requested" => format!("Decided to stop {targets}"),
        "response.proposed" => format!("Proposes to stop {targets}: a person has to agree"),
        "response.published" => format!("The policy decision point is told to refuse {targets}"),
        "response.approved" => format!("{actor} agrees to stop {targets}"),
        "response.rejected" => format!("{actor} decides against stopping {targets}"),
        "response.undone" => format!("{actor} takes it back: {targets} may go on"),
        "response.verified" => format!("Tried out, {}: {targets}", degree(text(event, "outcome"))),
        "response.failed" => format!("Could not stop {targets}: {}", text(event, "reason")),
        kind => format!("{kind}: {targets}"),
    }
}

fn degree(outcome: &str) -> &str {
    match outcome {
        "denied_at_pdp" => "and refused, while a healthy session still works",
        "already_denied" => "and refused, as it was before",
        "closed_at_pep" => "and the sessions are closed everywhere",
        "no_signature_since" => "and nothing was signed since",
        "unconfirmed" => "and NOT shown to have an effect",
        other => other,
    }
}

/// The targets of a response, shortened.
fn names(targets: &Value) -> Vec<String> {
    match targets {
        Value::String(text) => vec![shortened(text)],
        other => items(other).iter().filter_map(Value::as_str).map(shortened).collect(),
    }
}

/// What an alert says.
pub(super) fn found(alert: &Value) -> String {
    shortened(text(alert, "title"))
}

fn outcome(event: &Value) -> String {
    text(event, "outcome").replace('_', " ")
}

fn value(event: &Value) -> String {
    let said = [text(event, "amount_in_words"), text(event, "amount"), "no value"];
    said.into_iter().find(|words| !words.is_empty()).unwrap_or_default().to_owned()
}

fn to(event: &Value) -> String {
    let to = text(event, "to_address");
    if to.is_empty() { String::new() } else { format!(" to {}", short(to)) }
}

fn from(event: &Value) -> String {
    let from = text(event, "from_address");
    if from.is_empty() { String::new() } else { format!(" from {}", short(from)) }
}

fn place(event: &Value) -> String {
    match (event["facts"]["country"].as_str(), event["facts"]["ip"].as_str()) {
        (Some(country), Some(ip)) => format!(" from {ip} ({country})"),
        (None, Some(ip)) => format!(" from {ip}"),
        _ => String::new(),
    }
}

fn operation(event: &Value) -> &'static str {
    if event["facts"]["operation"] == 1 { ", and lets foreign code act as the wallet (a delegatecall)" } else { "" }
}
