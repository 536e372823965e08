//! Responses as text: a table of them, a page of one, what became of a decision. Decides nothing.

use std::fmt::Write as _;

use serde_json::Value;

use super::tables::{items, joined, listed, text, time};
use crate::output::table;
use crate::wording::{short, shortened};

/// The sections of what a response names, and what one name of each is called.
const SECTIONS: [(&str, &str); 5] = [
    ("sessions", "session"),
    ("subjects", "person"),
    ("devices", "device"),
    ("requests", "request"),
    ("wallets", "wallet"),
];

/// `responses list`.
pub(super) fn list(answer: &Value) -> String {
    let shown = items(&answer["responses"]);
    if shown.is_empty() {
        return "no responses".to_owned();
    }
    let row = |response: &Value| {
        let said = ["id", "severity", "system", "actor", "targets", "rule"].map(|field| text(response, field));
        let [id, severity, system, actor, targets, rule] = said;
        [id, severity, state(response), time(response, "decided"), system, short(&actor), shortened(&targets), rule]
    };
    let headings = ["response", "severity", "state", "decided (UTC)", "system", "about", "what it stops", "rule"];
    table(headings, shown.iter().map(row)) + &listed(&answer["total"], shown.len())
}

/// `responses show`.
pub(super) fn shown(response: &Value) -> String {
    let finding = &response["finding"];
    let title = if finding.is_object() { text(finding, "title") } else { text(response, "rule") };
    let mut page = format!("{} {title}\n", text(response, "severity").to_uppercase());
    let mut line = |label: &str, said: &str| {
        for (index, part) in said.lines().enumerate() {
            let _ = writeln!(page, "  {:<12} {part}", if index == 0 { label } else { "" });
        }
    };
    line("response", &text(response, "id"));
    line("system", &text(response, "system"));
    line("way", &way(response));
    line("state", &state(response));
    line("", &text(response, "because"));
    for (section, word) in SECTIONS {
        let names = items(&response["names"][section]).iter().filter_map(Value::as_str);
        names.for_each(|name| line("stops", &format!("{word} {name}")));
    }
    line("about", &text(response, "actor"));
    line("decided", &format!("{} UTC", time(response, "decided")));
    line("because", &text(response, "why"));
    line("evidence", &evidence(response));
    line("incident", &text(response, "incident"));
    line("rule", &text(response, "rule"));
    line("meaning", &text(finding, "meaning"));
    line("do", &text(finding, "runbook"));
    if let Some(facts) = finding["facts"].as_object() {
        facts
            .iter()
            .for_each(|(name, value)| line("fact", &format!("{name} = {}", value.as_str().unwrap_or_default())));
    }
    line("events", &items(&finding["evidence"]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"));
    for ruling in items(&response["rulings"]) {
        let [by, ruled, reason] = ["by", "ruled", "reason"].map(|field| text(ruling, field));
        line("said", &format!("{} {by} {ruled}: {reason}", time(ruling, "at")));
    }
    page
}

/// The way that it goes, where that is not the decision point.
fn way(response: &Value) -> String {
    let via = &response["via"];
    let does = match via["does"].as_str() {
        Some("end_sessions") => "ends sessions",
        Some("freeze_signer") => "stops signing",
        _ => return String::new(),
    };
    let since = if via["unreachable"] == true { ", since no decision point took it" } else { "" };
    format!("{does} at {}, along with response {}{since}", text(via, "way"), text(via, "of"))
}

/// What became of a decision.
pub(super) fn decided(answer: &Value) -> String {
    let now = &answer["now"];
    let outcome = match answer["outcome"].as_str() {
        Some("waits") => "your approval is written down",
        Some("undo_waits") => "your wish is written down; another person has to say undo as well",
        Some("decided") => "approved, and decided",
        Some("rejected") => "rejected",
        _ => "taken back: what it named is let in again, at the next heartbeat at the latest",
    };
    let mut said =
        format!("{outcome}\nresponse {} ({}) {}", text(answer, "response"), text(now, "targets"), state(now));
    let because = text(now, "because");
    if !because.is_empty() {
        let _ = write!(said, ": {because}");
    }
    said
}

/// Whether independent sources stand behind it by now.
fn evidence(response: &Value) -> String {
    let groups = items(&response["trust_groups"]);
    let names = joined(response, "trust_groups");
    let mut said = match groups.len() {
        0 => "no source that counts as a witness".to_owned(),
        1 => format!("NOT twofold: trust group {names} alone"),
        _ => format!("twofold: trust groups {names}"),
    };
    if response["late"] == true {
        said.push_str("; it came late");
    }
    if let Some(taken_back) = response["unconfirmed"]["says"].as_str() {
        let _ = write!(said, "; {taken_back}");
    }
    said
}

/// Where it stands, in words.
fn state(response: &Value) -> String {
    let approvals = joined(response, "approvals");
    let agreed = if approvals.is_empty() { String::new() } else { format!(" ({approvals} agreed)") };
    let last = items(&response["rulings"]).last().map(|ruling| text(ruling, "by")).unwrap_or_default();
    let decided = match response["approved_by"].as_str() {
        Some(people) => format!("approved by {people}"),
        None => "decided alone".to_owned(),
    };
    match response["status"].as_str().unwrap_or_default() {
        "proposed" => {
            let missing =
                response["needed"].as_u64().unwrap_or(1).saturating_sub(items(&response["approvals"]).len() as u64);
            let people = if missing == 1 { "1 person".to_owned() } else { format!("{missing} people") };
            let shadow = if response["shadow"] == true { ", shadow mode" } else { "" };
            format!("waits for {people} until {} UTC{agreed}{shadow}", time(response, "expires"))
        }
        "expired" => format!("expired at {} UTC: nobody decided{agreed}", time(response, "expires")),
        "rejected" => format!("rejected by {last}"),
        "released" => "carried out with a later response".to_owned(),
        "requested" | "failed" if response["via"].is_object() => {
            format!("{decided}, NOT accepted yet, failed attempts: {}", text(response, "failures"))
        }
        "requested" => format!("{decided}, not at the decision point yet"),
        "published" => format!("{decided}, at the decision point, not proved yet"),
        "failed" => format!("{decided}, NOT in force everywhere, failed attempts: {}", text(response, "failures")),
        "unconfirmed" => format!("{decided}, published, NOT shown to have an effect"),
        "undone" => format!("taken back by {last}"),
        "accepted_by_identity_provider" | "accepted_by_signer" => {
            format!("{decided}, {}: NO proof that anything is denied", text(response, "status"))
        }
        "given_up" => format!("{decided}, given up: it can NOT be carried out"),
        degree => {
            let further = joined(response, "degrees");
            let further = if further.is_empty() { further } else { format!(", {further}") };
            format!("{decided}, in force: {degree}{further}")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_a_response_stands_is_said_in_words() {
        let at = "2026-03-01T06:00:00Z";
        let ruling = json!({ "at": at, "by": "dora", "ruled": "rejected", "reason": "r" });
        for (response, expected) in [
            (
                json!({ "status": "proposed", "needed": 2, "approvals": ["ann"], "expires": at }),
                "waits for 1 person until 2026-03-01 06:00:00 UTC (ann agreed)",
            ),
            (
                json!({ "status": "proposed", "needed": 2, "approvals": [], "expires": at, "shadow": true }),
                "waits for 2 people until 2026-03-01 06:00:00 UTC, shadow mode",
            ),
            (json!({ "status": "expired", "expires": at }), "expired at 2026-03-01 06:00:00 UTC: nobody decided"),
            (json!({ "status": "rejected", "rulings": [ruling] }), "rejected by dora"),
            (
                json!({ "status": "failed", "approved_by": "ann, bob", "failures": 3 }),
                "approved by ann, bob, NOT in force everywhere, failed attempts: 3",
            ),
            (
                json!({ "status": "accepted_by_identity_provider", "approved_by": "ann" }),
                "approved by ann, accepted_by_identity_provider: NO proof that anything is denied",
            ),
            (json!({ "status": "given_up" }), "decided alone, given up: it can NOT be carried out"),
            (
                json!({ "status": "failed", "failures": 2, "via": { "way": "okta" } }),
                "decided alone, NOT accepted yet, failed attempts: 2",
            ),
            (
                json!({ "status": "denied_at_pdp", "degrees": ["closed_at_pep"] }),
                "decided alone, in force: denied_at_pdp, closed_at_pep",
            ),
        ] {
            assert_eq!(state(&response), expected);
        }
    }

    #[test]
    fn the_page_says_what_is_stopped_for_whom_and_on_what_evidence() {
        let page = shown(&json!({
            "id": "9c1e", "system": "cold", "status": "undone", "severity": "high", "actor": "ann", "late": true,
            "names": { "sessions": ["s-1"], "wallets": ["0xa1"] }, "trust_groups": ["chain"], "because": "it was us",
            "unconfirmed": { "says": "Unconfirmed: it is gone." },
            "rulings": [{ "at": "2026-03-01T06:00:00Z", "by": "dora", "ruled": "undone", "reason": "it was us" }],
            "finding": { "title": "Something about ann", "evidence": ["5d1c"] },
        }));
        for part in [
            "HIGH Something about ann",
            "stops        session s-1",
            "stops        wallet 0xa1",
            "state        taken back by dora\n               it was us",
            "NOT twofold: trust group chain alone; it came late; Unconfirmed: it is gone.",
            "said         2026-03-01 06:00:00 dora undone: it was us",
        ] {
            assert!(page.contains(part), "no `{part}` in\n{page}");
        }
    }
}
