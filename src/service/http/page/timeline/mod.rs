//! The timeline of an incident: what happened, in lanes from session to chain, what keywatch found and did, and the links
//! between them, with those that are missing or do not agree.
//!
//! | module | what it does |
//! |---|---|
//! | here | which rows there are, of an incident as the API answers it |
//! | [`sentence`] | a row in words |
//! | [`links`] | what belongs to what, and what is missing |
//! | [`picture`] | lanes, marks and links of a row as SVG |
//! | [`rows`] | all of it as a list |
//!
//! Reads answers of the API; knows no log.

mod links;
mod picture;
mod rows;
mod sentence;

use std::collections::BTreeMap;

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use serde_json::Value;

use super::parts::{instant, items, text};

pub(super) use rows::timeline;

/// What comes within that time of what came before, and says the same, stands in one row.
const TOGETHER_NS: i64 = 2 * SECOND_NS;

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Session,
    Decision,
    Signing,
    Chain,
    Keywatch,
}

/// The lanes, from left to right.
const LANES: [Lane; 5] = [Lane::Session, Lane::Decision, Lane::Signing, Lane::Chain, Lane::Keywatch];

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Lane::Session => "session",
            Lane::Decision => "decision",
            Lane::Signing => "signing",
            Lane::Chain => "chain",
            Lane::Keywatch => "keywatch",
        }
    }

    fn of(kind: &str) -> Option<Lane> {
        Some(match kind.split('.').next().unwrap_or_default() {
            "session" => Lane::Session,
            "decision" => Lane::Decision,
            "signing" | "custody" => Lane::Signing,
            "chain" => Lane::Chain,
            "response" => Lane::Keywatch,
            _ => return None,
        })
    }
}

/// How a mark looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// As it should be.
    Good,
    /// It proves a finding.
    Evidence,
    /// It does not agree, failed or was refused.
    Bad,
    /// keywatch found something.
    Found,
    /// keywatch did something.
    Done,
}

/// One row: one event, or several that say the same at once.
#[derive(Debug)]
struct Row<'a> {
    at: Instant,
    lane: Lane,
    mark: Mark,
    /// What is wrong with it, in a word.
    word: &'static str,
    /// Events, alerts or responses.
    of: Vec<&'a Value>,
    /// Links that ought to be there: in which lane, in words.
    missing: Option<(Lane, &'static str)>,
}

impl<'a> Row<'a> {
    fn first(&self) -> &'a Value {
        self.of[0]
    }

    fn kind(&self) -> &'a str {
        text(self.first(), "kind")
    }

    /// A name by which rows belong together; nothing where there is none.
    fn named(&self, field: &str) -> &'a str {
        text(self.first(), field)
    }
}

/// The rows of an incident, the oldest first.
fn rows_of(incident: &Value) -> Vec<Row<'_>> {
    let events = items(&incident["custody"]["timeline"]).iter().filter_map(of_event);
    let alerts = items(&incident["alert_list"]).iter().filter_map(of_alert);
    let taken_back = items(&incident["alert_list"]).iter().filter_map(of_taken_back);
    let mut rows: Vec<Row> = events.chain(alerts).chain(taken_back).collect();
    // What happened, then what was found of it, then what was done about it.
    let rank = |row: &Row| match row.mark {
        Mark::Found => 1,
        Mark::Done => 2,
        _ => 0,
    };
    rows.sort_by_key(|row| (row.at, rank(row)));
    let mut together: Vec<Row> = Vec::new();
    for row in rows {
        match together.last_mut().filter(|before| belong(before, &row)) {
            Some(before) => before.of.extend(row.of),
            None => together.push(row),
        }
    }
    links::note_missing(&mut together);
    together
}

/// Whether a row says the same as the one before it, of somebody else.
fn belong(before: &Row, row: &Row) -> bool {
    let close = row.at.0.saturating_sub(before.at.0) <= TOGETHER_NS;
    let same = |field| before.named(field) == row.named(field);
    let alike = match row.mark {
        Mark::Found => true,
        Mark::Done => same("kind"),
        Mark::Good | Mark::Evidence => row.kind() == "signing.approved" && same("kind") && same("request"),
        Mark::Bad => false,
    };
    close && alike && before.mark == row.mark && before.word == row.word
}

fn of_event(event: &Value) -> Option<Row<'_>> {
    let (at, kind) = (instant(text(event, "time"))?, text(event, "kind"));
    let lane = Lane::of(kind)?;
    let evidence = event["evidence"] == true;
    let problem = word(event);
    let (mark, word) = match (lane, problem) {
        (_, Some(word)) => (Mark::Bad, word),
        (Lane::Keywatch, None) => (Mark::Done, "DONE"),
        (_, None) if evidence => (Mark::Evidence, "EVIDENCE"),
        (_, None) => (Mark::Good, ""),
    };
    // Of a session that is as it should be, its beginning and end are enough.
    let ordinary = ["session.presented", "session.posture"].contains(&kind) && mark == Mark::Good;
    (!ordinary).then(|| Row { at, lane, mark, word, of: vec![event], missing: None })
}

/// What is wrong with an event, in a word.
fn word(event: &Value) -> Option<&'static str> {
    let facts = &event["facts"];
    let by_outcome = match text(event, "outcome") {
        "mismatch" => Some("MISMATCH"),
        "deny" => Some("DENIED"),
        "undefined" => Some("UNDECIDED"),
        "error" | "failed" | "failure" => Some("FAILED"),
        "not_compliant" => Some("NOT COMPLIANT"),
        "unconfirmed" => Some("NOT CONFIRMED"),
        _ => None,
    };
    let by_kind = match text(event, "kind") {
        "response.failed" => Some("FAILED"),
        // That a wallet's contract changes may be in order.
        "chain.contract" => (event["evidence"] == true).then_some("EXCHANGED"),
        "signing.requested" if facts["operation"] == 1 && event["evidence"] == true => Some("DELEGATECALL"),
        _ => (!items(&event["differences"]).is_empty()).then_some("DIFFERS"),
    };
    let tainted = (event["tainted"] == true).then_some("TAINTED");
    tainted.or(by_outcome).or(by_kind)
}

fn of_alert(alert: &Value) -> Option<Row<'_>> {
    let at = instant(text(alert, "opened"))?;
    Some(Row { at, lane: Lane::Keywatch, mark: Mark::Found, word: "FOUND", of: vec![alert], missing: None })
}

/// What an alert saw was taken back.
fn of_taken_back(alert: &Value) -> Option<Row<'_>> {
    let of = &alert["unconfirmed"];
    let at = instant(text(of, "since"))?;
    Some(Row { at, lane: Lane::Keywatch, mark: Mark::Done, word: "UNCONFIRMED", of: vec![of], missing: None })
}

/// What left the wallets that proves a finding: when the first and the last of it did.
pub(super) fn money_left(incident: &Value) -> Option<(Instant, Instant)> {
    let leaves = |event: &&Value| {
        let is_evidence = text(event, "kind") == "chain.transfer" && event["evidence"] == true;
        is_evidence && event["facts"]["direction"] != "in" && text(event, "amount") != "0"
    };
    let left = items(&incident["custody"]["timeline"]).iter().filter(leaves);
    let times: Vec<Instant> = left.filter_map(|event| instant(text(event, "time"))).collect();
    Some((times.iter().min().copied()?, times.iter().max().copied()?))
}

/// The largest amount of each asset of which there is more than one amount: what others of it are drawn against.
fn scales(rows: &[Row]) -> BTreeMap<String, f64> {
    let mut amounts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for event in rows.iter().flat_map(|row| &row.of) {
        if let Some(amount) = amount(event) {
            amounts.entry(text(event, "asset").to_owned()).or_default().push(amount);
        }
    }
    let largest = |amounts: Vec<f64>| {
        let most = amounts.iter().copied().fold(0.0, f64::max);
        amounts.iter().any(|amount| *amount < most).then_some(most)
    };
    amounts.into_iter().filter_map(|(asset, amounts)| Some((asset, largest(amounts)?))).collect()
}

/// The amount that an event asks for or moves, in base units; none of other events.
fn amount(event: &Value) -> Option<f64> {
    let moves = ["signing.requested", "custody.request", "chain.tx", "chain.transfer"].contains(&text(event, "kind"));
    text(event, "amount").parse().ok().filter(|amount| moves && *amount > 0.0)
}

#[cfg(test)]
mod tests;
