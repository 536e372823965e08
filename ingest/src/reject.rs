//! What could not be understood, in a form that can be kept: with its reason, capped and masked.

use alloy::primitives::keccak256;
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::json;

use crate::{limits, mask};

/// Why a record is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Problem {
    /// The field at fault, dotted; `record` or `body` when there is none.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Problem {
    /// A problem with `field`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Problem {
        Problem { field: field.into(), reason: reason.into() }
    }
}

impl From<keywatch_store::Error> for Problem {
    /// What [`keywatch_store::event::Builder::build`] refuses.
    fn from(error: keywatch_store::Error) -> Problem {
        match error {
            keywatch_store::Error::Line { field, problem } => Problem::new(field, problem),
            other => Problem::new("record", other.to_string()),
        }
    }
}

/// A record that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// What is wrong.
    pub reason: String,
    /// The field at fault, dotted; `record` or `body` when there is none.
    pub field: String,
    /// Line of the body on which the record begins, from 1; `None` for a body refused as a whole.
    pub line: Option<usize>,
    /// The first bytes, secrets masked, what is not UTF-8 replaced.
    pub raw: String,
    /// Bytes of the record.
    pub bytes: usize,
    digest: String,
}

impl Reject {
    /// Refuses the record `raw` that begins on `line`.
    #[must_use]
    pub fn new(problem: &Problem, line: Option<usize>, raw: &[u8]) -> Reject {
        Reject {
            reason: capped(&problem.reason, limits::REASON_BYTES_MAX),
            field: capped(&problem.field, limits::REASON_BYTES_MAX),
            line,
            raw: masked(raw, keywatch_store::limits::REJECT_RAW_BYTES_MAX),
            bytes: raw.len(),
            digest: format!("{:#x}", keccak256(raw)),
        }
    }

    /// The `source.reject` that keeps it. Its id is made of the feed, the time of receipt, the line and a hash of the
    /// record, so that the same bytes sent again later are a further reject and not a conflict.
    #[must_use]
    pub fn into_event(&self, origin: &Origin, feed: &str, received_at: Instant) -> Event {
        let line = self.line.unwrap_or_default();
        let source_id = format!("reject/{feed}/{received_at}/{line}/{}", self.digest);
        let mut event = Event::builder(origin, &source_id, "source.reject", received_at);
        event.reason(format!("{}: {}", self.field, self.reason));
        event.detail(&json!({
            "feed": feed,
            "field": self.field,
            "line": self.line,
            "raw": self.raw,
            "bytes": self.bytes,
            "keccak256": self.digest,
        }));
        event.build_own()
    }
}

/// The first `bytes_max` bytes of `raw` as text, secrets masked.
fn masked(raw: &[u8], bytes_max: usize) -> String {
    let prefix = &raw[..raw.len().min(bytes_max)];
    capped(&mask::text(&String::from_utf8_lossy(prefix)), bytes_max)
}

/// The longest prefix of at most `bytes_max` bytes that ends between characters.
pub(crate) fn capped(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use keywatch_store::{limits as store_limits, line};

    use super::*;

    #[test]
    fn a_reject_is_capped_and_fits_the_log() {
        let raw = [b"{\"password\":\"hunter2\",".as_slice(), &vec![0xff; 2 << 20]].concat();
        let problem = Problem::new("f".repeat(9000), "ä".repeat(9000));
        let reject = Reject::new(&problem, Some(3), &raw);
        assert!(reject.raw.len() <= store_limits::REJECT_RAW_BYTES_MAX && !reject.raw.contains("hunter2"));
        assert_eq!(reject.bytes, raw.len());
        let origin = Origin { system: "s".into(), source: "idp".into() };
        let event = reject.into_event(&origin, "events", Instant(5));
        assert_eq!(line::read(line::write(&event).as_bytes()).unwrap(), event);
        assert_eq!(event.detail().value()["line"], 3);
    }

    #[test]
    fn equal_records_on_two_lines_or_at_two_times_are_two_rejects() {
        let origin = Origin { system: "s".into(), source: "idp".into() };
        let problem = Problem::new("record", "no");
        let id = |line, time| {
            Reject::new(&problem, Some(line), b"x").into_event(&origin, "events", Instant(time)).event_id()
        };
        assert_ne!(id(1, 1), id(2, 1));
        assert_ne!(id(1, 1), id(1, 2));
        assert_eq!(id(1, 1), id(1, 1));
    }
}
