//! Rounds of multi-party signing, posted by the nodes that take part.

use serde_json::Value;

use super::table::Column::{Actor, Key, Reason, Request, Wallet};
use super::table::{About, Fact, Table, Words, on, path};

/// The feed `mpc`.
pub static MPC: Table = Table {
    name: "mpc",
    about: About {
        title: "Multi-party signing rounds",
        what: "What a node of a threshold signature saw in each round of key generation, signing or resharing: from whom, to \
               whom, how it ended, and whom it blames. One `signing.round` a message or abort.",
        format: "keywatch's own fields, after bnb-chain/tss-lib: `tss.Error` and message routing",
        delivery: "Posted by each node; at least once. The identity is session, protocol, round, direction and end, as each node \
                   tells it, so give every node a source of its own.",
        traps: &[
            "An abort comes as fields or as the library's text `task signing, party …, round 5, culprits […]: cause`; both \
             are read.",
            "`to` is empty for a broadcast: that is everybody and not nobody.",
            "Culprits are blamed by one node. A node that lies blames others, so count over the nodes.",
            "Resharing goes to old and new committees; `detail.committee` says to which.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| Ok(unfold(record))),
    select: "protocol",
    cases: &[on(&["keygen", "signing", "resharing"], "signing.round").outcome(Fact::By(Words {
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

/// The error text of the library as fields; direction and end as one word, since a round that was heard and then aborted
/// is two records.
fn unfold(record: &Value) -> Vec<Value> {
    let mut record = record.clone();
    if let Some(text) = record.get("error").and_then(Value::as_str).map(str::to_owned) {
        read_error(&text, &mut record);
    }
    let to = path::find(&record, "to").map_or("everybody".to_owned(), Value::to_string);
    let from = path::find(&record, "from").map_or("nobody".to_owned(), Value::to_string);
    let blames = path::find(&record, "culprits").and_then(Value::as_array).is_some_and(|culprits| !culprits.is_empty());
    if blames && path::find(&record, "outcome").is_none() {
        record["outcome"] = Value::from("abort");
    }
    let ended = path::find(&record, "outcome").and_then(Value::as_str).unwrap_or("ok");
    record["direction"] = Value::from(format!("{from} to {to} {ended}"));
    vec![record]
}

/// `task signing, party {0,P1}, round 5, culprits [{1,P2}]: paillier verify failed`
fn read_error(text: &str, record: &mut Value) {
    let (head, cause) = text.split_once("]: ").unwrap_or((text, text));
    let between = |from: &str, to: &str| {
        let rest = &head[head.find(from)? + from.len()..];
        Some(rest[..rest.find(to).unwrap_or(rest.len())].trim().to_owned())
    };
    let culprits = head.split_once("culprits [").map(|(_, listed)| {
        let names = listed.trim_end_matches(']').split(['{', '}']).map(|name| name.trim_matches([' ', ',']));
        names.filter(|name| !name.is_empty()).map(Value::from).collect::<Vec<_>>()
    });
    let found = [
        ("protocol", between("task ", ",").map(Value::from)),
        ("from", between("party ", ", round").map(|party| Value::from(party.trim_matches(['{', '}'])))),
        ("round", between("round ", ",").map(Value::from)),
        ("culprits", culprits.map(Value::from)),
        ("cause", Some(Value::from(cause))),
        ("outcome", Some(Value::from("abort"))),
    ];
    for (name, value) in found {
        if let (None, Some(value)) = (path::find(record, name), value) {
            record[name] = value;
        }
    }
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
            (&json!("signing"), &json!("5"), &json!(["1,P[2]"]))
        );
        assert_eq!(text.actor(), Some("0,P[1]"));
    }

    #[test]
    fn a_text_that_is_none_is_refused_and_an_unknown_protocol_passed_over() {
        let nonsense = json!({"session_id": "s", "time": "2025-02-21T05:42:40Z", "error": "culprits [{{{"});
        assert_eq!(read(&MPC, nonsense.to_string().as_bytes()).rejects[0].field, "protocol");
        for path in ["session_id", "round", "time"] {
            assert_eq!(rejected(&MPC, &[(path, json!(null))]), path);
        }
    }
}
