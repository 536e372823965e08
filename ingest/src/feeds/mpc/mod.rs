//! Rounds of multi-party signing, posted by the nodes that take part.

use serde_json::Value;

use super::table::Column::{Actor, Key, Reason, Request, Wallet};
use super::table::{About, Fact, Table, Words, on, path, value};
use crate::Problem;

/// What is done in rounds, by itself or behind a name of the curve, as in `ecdsa-keygen`.
const PROTOCOLS: &[&str] = &["keygen", "*-keygen", "signing", "*-signing", "resharing", "*-resharing"];

/// The feed `mpc`.
pub static MPC: Table = Table {
    name: "mpc",
    about: About {
        title: "Multi-party signing rounds",
        what: "What a node of a threshold signature saw in each round of key generation, signing or resharing: from whom, to \
               whom, how it ended, and whom it blames. One `signing.round` a message or abort.",
        format: "keywatch's own fields, after bnb-chain/tss-lib: `tss.Error` and message routing",
        delivery: "Posted by each node; at least once. The identity is session, protocol, round, direction, committee and end, as \
                   each node tells it, so give every node a source of its own.",
        traps: &[
            "An abort comes as fields or as the library's text `task ecdsa-signing, party …, round 5, culprits […]: cause`, \
             which has no culprits where none are known; both are read. An empty `error` is none.",
            "A protocol that is no key generation, signing or resharing is refused: a round must not vanish for its name.",
            "`to` is empty for a broadcast: that is everybody and not nobody.",
            "Culprits are blamed by one node. A node that lies blames others, so count over the nodes.",
            "Resharing goes to old and new committees; `detail.committee` says to which.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| unfold(&record)),
    select: "protocol",
    cases: &[on(PROTOCOLS, "signing.round").outcome(Fact::By(Words {
        from: "outcome",
        words: &[("ok", "ok"), ("abort", "abort"), ("error", "abort"), ("", "ok")],
        otherwise: Some("abort"),
    }))],
    id: &["session_id", "protocol", "round", "direction"],
    time: "time",
    columns: &[(Actor, "from"), (Request, "request_id"), (Wallet, "wallet"), (Key, "key"), (Reason, "cause")],
    facts: &[
        ("protocol", Fact::At("protocol")),
        ("session", Fact::At("session_id")),
        ("round", Fact::At("round")),
        ("to", Fact::At("to")),
        ("broadcast", Fact::At("broadcast")),
        ("committee", Fact::At("committee")),
        ("bytes", Fact::At("bytes")),
        ("latency_ms", Fact::At("latency_ms")),
        ("culprits", Fact::At("culprits")),
        ("parties", Fact::At("parties")),
        ("threshold", Fact::At("threshold")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// The error text of the library as fields; direction, committee and end as one word, since a round that was heard and
/// then aborted is two records.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let mut record = record.clone();
    if let Some(text) = path::find(&record, "error").and_then(Value::as_str).map(str::to_owned) {
        read_error(&text, &mut record);
    }
    check_protocol(&record)?;
    let blames = path::find(&record, "culprits").and_then(Value::as_array).is_some_and(|culprits| !culprits.is_empty());
    if blames && path::find(&record, "outcome").is_none() {
        record["outcome"] = Value::from("abort");
    }
    record["direction"] = Value::from(direction(&record));
    Ok(vec![record])
}

/// That a protocol which is named is one that is known.
fn check_protocol(record: &Value) -> Result<(), Problem> {
    let Some(named) = path::find(record, "protocol").and_then(Value::as_str) else { return Ok(()) };
    if PROTOCOLS.iter().any(|pattern| path::matches(pattern, named)) {
        return Ok(());
    }
    let reason = format!("`{}` is neither key generation nor signing nor resharing", value::shortened(named));
    Err(Problem::new("protocol", reason))
}

fn direction(record: &Value) -> String {
    let from = path::find(record, "from").map_or("nobody".to_owned(), Value::to_string);
    let to = path::find(record, "to").map_or("everybody".to_owned(), Value::to_string);
    let committee = path::find(record, "committee").map_or(String::new(), |committee| format!(" of {committee}"));
    let ended = path::find(record, "outcome").and_then(Value::as_str).unwrap_or("ok");
    format!("{from} to {to}{committee} {ended}")
}

/// An abort told as text; what the record says in fields of its own stands.
fn read_error(text: &str, record: &mut Value) {
    let mut found = library_error(text).unwrap_or_else(|| vec![("cause", Value::from(text))]);
    found.push(("outcome", Value::from("abort")));
    for (name, value) in found {
        if path::find(record, name).is_none() {
            record[name] = value;
        }
    }
}

/// `task ecdsa-signing, party {0,P1}, round 5, culprits [{1,P2}]: paillier verify failed`, or without culprits
/// `task ecdsa-signing, party {0,P1}, round 5: paillier verify failed`.
fn library_error(text: &str) -> Option<Vec<(&'static str, Value)>> {
    let (_, told) = text.split_once("task ")?;
    let (task, told) = told.split_once(", party ")?;
    let (party, told) = told.split_once(", round ")?;
    let digits = told.find(|letter: char| !letter.is_ascii_digit())?;
    let (round, told) = told.split_at(digits);
    let (culprits, cause) = match told.strip_prefix(", culprits [") {
        Some(listed) => listed.split_once("]: ")?,
        None => ("", told.strip_prefix(": ")?),
    };
    let mut found = vec![
        ("protocol", Value::from(task)),
        ("from", Value::from(party.trim_matches(['{', '}']))),
        ("round", Value::from(round.parse::<u64>().ok()?)),
        ("cause", Value::from(cause)),
    ];
    let names = culprits.split(['{', '}']).map(|name| name.trim_matches([' ', ',']));
    let culprits: Vec<Value> = names.filter(|name| !name.is_empty()).map(Value::from).collect();
    if !culprits.is_empty() {
        found.push(("culprits", Value::from(culprits)));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, one, read, rejected};

    #[test]
    fn a_round_is_told_with_its_direction() {
        let event = changed(&MPC, &[]);
        assert_eq!((event.kind(), event.outcome(), event.actor()), ("signing.round", Some("ok"), Some("node-a")));
        assert_eq!((event.request(), event.wallet()), (Some("0xabcd"), Some("hot-1")));
        let back = changed(&MPC, &[("from", json!("node-b")), ("to", json!(["node-a"]))]);
        assert_ne!(back.event_id(), event.event_id());
        let broadcast = changed(&MPC, &[("to", json!(null)), ("broadcast", json!(true))]);
        assert_ne!(broadcast.event_id(), event.event_id());
        // The round was heard, and aborted after that.
        let aborted = changed(&MPC, &[("outcome", json!(null)), ("culprits", json!(["node-b"]))]);
        assert_eq!(aborted.outcome(), Some("abort"));
        assert_ne!(aborted.event_id(), event.event_id());
    }

    #[test]
    fn an_abort_names_whom_it_blames_as_fields_or_as_text() {
        let fields = changed(
            &MPC,
            &[("outcome", json!("abort")), ("culprits", json!(["node-b"])), ("cause", json!("paillier verify failed"))],
        );
        assert_eq!((fields.outcome(), &fields.detail().value()["culprits"]), (Some("abort"), &json!(["node-b"])));
        let text = one(
            &MPC,
            &json!({
                "session_id": "s-9", "time": "2025-02-21T05:42:40Z",
                "error": "task signing, party {0,P[1]}, round 5, culprits [{1,P[2]}]: dln proof verification failed",
            }),
        );
        let detail = text.detail().value();
        assert_eq!((text.outcome(), text.reason()), (Some("abort"), Some("dln proof verification failed")));
        assert_eq!(
            (&detail["protocol"], &detail["round"], &detail["culprits"]),
            (&json!("signing"), &json!(5), &json!(["1,P[2]"]))
        );
        assert_eq!(text.actor(), Some("0,P[1]"));
    }

    #[test]
    fn an_abort_without_culprits_blames_nobody_and_an_empty_error_is_none() {
        let text = one(
            &MPC,
            &json!({
                "session_id": "s-9", "time": "2025-02-21T05:42:40Z",
                "error": "task ecdsa-resharing, party {0,P[1]}, round 12: read: connection reset",
            }),
        );
        let detail = text.detail().value();
        assert_eq!((text.outcome(), text.reason()), (Some("abort"), Some("read: connection reset")));
        assert_eq!(
            (&detail["protocol"], &detail["round"], &detail["culprits"]),
            (&json!("ecdsa-resharing"), &json!(12), &Value::Null)
        );
        let plain = changed(&MPC, &[("outcome", json!(null)), ("error", json!("out of memory"))]);
        assert_eq!((plain.outcome(), plain.reason()), (Some("abort"), Some("out of memory")));
        let empty = changed(&MPC, &[("outcome", json!(null)), ("error", json!(""))]);
        assert_eq!((empty.outcome(), empty.reason()), (Some("ok"), None));
    }

    #[test]
    fn protocols_may_name_their_curve_and_others_are_refused() {
        for protocol in
            ["keygen", "ecdsa-keygen", "signing", "eddsa-signing", "resharing", "ecdsa-resharing", "eddsa-resharing"]
        {
            let event = changed(&MPC, &[("protocol", json!(protocol))]);
            assert_eq!((event.kind(), &event.detail().value()["protocol"]), ("signing.round", &json!(protocol)));
        }
        for protocol in ["presign", "signings", "ecdsa"] {
            assert_eq!(rejected(&MPC, &[("protocol", json!(protocol))]), "protocol", "{protocol}");
        }
    }

    #[test]
    fn a_message_to_the_old_committee_is_not_that_to_the_new() {
        let to = |committee: &str| changed(&MPC, &[("protocol", json!("resharing")), ("committee", json!(committee))]);
        assert_ne!(to("old").event_id(), to("new").event_id());
        assert_eq!(to("old").detail().value()["committee"], "old");
    }

    #[test]
    fn a_text_that_is_none_is_refused() {
        let nonsense = json!({"session_id": "s", "time": "2025-02-21T05:42:40Z", "error": "culprits [{{{"});
        assert_eq!(read(&MPC, nonsense.to_string().as_bytes()).rejects[0].field, "protocol");
        for path in ["session_id", "round", "time"] {
            assert_eq!(rejected(&MPC, &[(path, json!(null))]), path);
        }
    }
}
