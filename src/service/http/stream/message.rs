//! Messages of a stream as they are written: a head in JSON on the first line, and behind it the records as a body of
//! `POST /v1/ingest` has them. Knows no connection and no source.
//!
//! | from the source | meaning |
//! |---|---|
//! | `{"seq":7}` and lines | records, in the feed's format |
//! | `{"seq":8,"encoding":"zstd"}` and bytes | the same, packed as `Content-Encoding` would say |
//! | `{"seq":9,"heartbeat":{…}}` | the sender is alive, or, with a `problem` in it, is not well |
//!
//! | from keywatch | meaning |
//! |---|---|
//! | `{"ack":7,"records":…}` | the message is durable; the counts are those of `POST /v1/ingest` |
//! | `{"refused":7,"error":"…"}` | nothing of it was kept, and it would be refused again |

use keywatch_store::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::limits::STREAM_HEAD_BYTES_MAX;
use crate::service::intake::Receipt;

/// The sub-protocol of RFC 6455 §1.9 that both sides name.
pub(crate) const PROTOCOL: &str = "keywatch.stream.v1";

/// The first line of a message.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// Grows with each message of a connection.
    pub(super) seq: u64,
    /// How the records are packed.
    pub(super) encoding: Option<String>,
    /// The sender says how it is, in place of records.
    pub(super) heartbeat: Option<Map<String, Value>>,
}

impl Head {
    /// The head of a message, and where its records begin.
    ///
    /// # Errors
    /// In words for the sender.
    pub(super) fn read(message: &[u8]) -> Result<(Head, usize), String> {
        let looked_at = &message[..message.len().min(STREAM_HEAD_BYTES_MAX)];
        let end = looked_at.iter().position(|byte| *byte == b'\n').unwrap_or(message.len());
        if end > STREAM_HEAD_BYTES_MAX {
            return Err(format!("the first line of a message has {STREAM_HEAD_BYTES_MAX} bytes at most"));
        }
        let head: Head = serde_json::from_slice(&message[..end])
            .map_err(|error| format!("the first line of a message is its head, as {{\"seq\":1}}: {error}"))?;
        if head.heartbeat.is_some() && message[end..].iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Err("a heartbeat carries no records".to_owned());
        }
        Ok((head, message.len().min(end + 1)))
    }
}

/// What a source says of itself, as one of keywatch's own lines: `source.heartbeat`, or `source.status` with the problem.
pub(super) fn own_line(seq: u64, mut heartbeat: Map<String, Value>, now: Instant) -> String {
    let problem = heartbeat.remove("problem").filter(|problem| !problem.is_null());
    let mut line =
        json!({ "id": format!("stream/{now}/{seq}"), "kind": "source.heartbeat", "event_time": now.to_string() });
    if let Some(problem) = problem {
        line["kind"] = "source.status".into();
        line["outcome"] = "degraded".into();
        line["reason"] = problem.as_str().map_or_else(|| problem.to_string(), str::to_owned).into();
    }
    if !heartbeat.is_empty() {
        line["detail"] = Value::Object(heartbeat);
    }
    line.to_string()
}

/// An answer to a message.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    /// It is durable.
    Acknowledged {
        /// Its sequence number.
        ack: u64,
        /// What became of its records.
        #[serde(flatten)]
        receipt: Receipt,
    },
    /// It was refused, and would be again.
    Refused {
        /// Its sequence number.
        refused: u64,
        /// Why.
        error: String,
    },
}

impl Answer {
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }

    /// Its name among the outcomes that are counted.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Answer::Acknowledged { .. } => "acknowledged",
            Answer::Refused { .. } => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_line() {
        let (head, records) = Head::read(b"{\"seq\":7}\n{\"id\":1}\n").unwrap();
        assert_eq!((head.seq, head.encoding, head.heartbeat, records), (7, None, None, 10));
        let (head, records) = Head::read(b"{\"seq\":8,\"encoding\":\"zstd\"}").unwrap();
        assert_eq!((head.encoding.as_deref(), records), (Some("zstd"), 27));
        let long = format!("{{\"seq\":1,\"encoding\":\"{}\"}}\n", "x".repeat(STREAM_HEAD_BYTES_MAX));
        for (message, reason) in [
            (b"".as_slice(), "head"),
            (b"{\"id\":\"1\"}\n", "seq"),
            (b"{\"seq\":-1}\n", "head"),
            (b"{\"seq\":1,\"sequence\":2}\n", "unknown field"),
            (b"{\"seq\":1,\"heartbeat\":{}}\n{}", "carries no records"),
            (long.as_bytes(), "bytes at most"),
        ] {
            let refused = Head::read(message).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn a_sender_that_is_not_well_says_why() {
        let read = |heartbeat: Value| {
            let line = own_line(3, heartbeat.as_object().unwrap().clone(), Instant(0));
            serde_json::from_str::<Value>(&line).unwrap()
        };
        let well = read(json!({ "host": "mpc-1" }));
        assert_eq!((&well["kind"], &well["detail"]["host"]), (&json!("source.heartbeat"), &json!("mpc-1")));
        assert!(well.get("outcome").is_none() && well.get("reason").is_none(), "{well}");
        let ill = read(json!({ "problem": "the buffer is full" }));
        let said = (&ill["kind"], &ill["outcome"], &ill["reason"]);
        assert_eq!(said, (&json!("source.status"), &json!("degraded"), &json!("the buffer is full")));
    }
}
