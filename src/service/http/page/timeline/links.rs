//! What belongs to what: session → decision → request → approval → signature → transaction, by the names that events share; and
//! what ought to be there and is not.
//!
//! A link counts as missing only where others of its kind were seen: where nobody tells of decisions, none is missing.

use serde_json::Value;

use super::super::parts::{items, text};
use super::{Lane, Mark, Row};

/// A link between two rows, from the earlier to the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The earlier row.
    pub(super) from: usize,
    /// The later row.
    pub(super) to: usize,
    /// Whether what it leads to agrees.
    pub(super) good: bool,
}

/// Every link, in the order of the rows they lead to.
pub(super) fn links(rows: &[Row], incident: &Value) -> Vec<Link> {
    let mut links = Vec::new();
    for (to, row) in rows.iter().enumerate() {
        let good = row.mark != Mark::Bad || row.word == "DELEGATECALL" || row.word == "EXCHANGED";
        links.extend(causes(&rows[..to], row).into_iter().flatten().map(|from| Link { from, to, good }));
    }
    let request =
        |name: &str| rows.iter().position(|row| row.kind() == "signing.requested" && row.named("request") == name);
    for pair in items(&incident["custody"]["compared"]) {
        let ends = request(text(&pair["first"], "request")).zip(request(text(&pair["other"], "request")));
        links.extend(ends.map(|(from, to)| Link { from, to, good: false }));
    }
    links
}

/// The rows that a row follows from.
fn causes(earlier: &[Row], row: &Row) -> [Option<usize>; 2] {
    let last = |kinds: &[&str], field: &str| {
        let name = row.named(field);
        let is_it = |before: &Row| !name.is_empty() && kinds.contains(&before.kind()) && before.named(field) == name;
        earlier.iter().rposition(is_it)
    };
    let decision = || last(&["decision"], "request");
    let requested = || last(&["signing.requested"], "request");
    match row.kind() {
        "decision" => [last(&["session.started", "session.presented"], "session"), None],
        "signing.requested" | "custody.request" => [decision(), None],
        "signing.approved" | "signing.rejected" => {
            [requested(), decision().filter(|decision| Some(*decision) > requested())]
        }
        "signing.signed" | "signing.failed" => [last(&["signing.approved"], "request").or_else(requested), None],
        "chain.tx" | "chain.module_tx" => {
            [last(&["signing.signed"], "request").or_else(|| last(&["signing.signed"], "tx")), None]
        }
        "chain.transfer" | "chain.contract" => [last(&["chain.tx", "signing.signed"], "tx"), None],
        "session.ended" | "session.revoked" => [last(&["session.started"], "session"), None],
        _ => [None, None],
    }
}

/// Notes on rows what ought to lead to them and does not.
pub(super) fn note_missing(rows: &mut [Row]) {
    let seen = |kind: &str, field: &str| -> Vec<String> {
        let of_kind = rows.iter().filter(|row| row.kind() == kind);
        of_kind.map(|row| row.named(field).to_owned()).filter(|name| !name.is_empty()).collect()
    };
    let (decided, carried, signed) =
        (seen("decision", "request"), seen("signing.approved", "request"), seen("signing.signed", "tx"));
    for row in rows {
        let request = row.named("request");
        let undecided = row.kind() == "signing.requested"
            && !decided.is_empty()
            && !decided.iter().any(|name| name == request)
            && carried.iter().any(|name| name == request);
        // What arrives, and what moves nothing, has no signature of ours.
        let leaves = row.first()["facts"]["direction"] != "in" && row.first()["amount"] != "0";
        let unsigned = row.kind() == "chain.transfer"
            && leaves
            && row.first()["evidence"] == true
            && !signed.is_empty()
            && !signed.iter().any(|name| name == row.named("tx"));
        if undecided {
            row.missing = Some((Lane::Decision, "NO DECISION"));
        } else if unsigned {
            (row.mark, row.word) = (Mark::Bad, "");
            row.missing = Some((Lane::Signing, "NO SIGNATURE"));
        }
    }
}
