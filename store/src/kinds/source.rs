//! The kinds of sources: how they are, what they said that cannot be right, how far they were asked.

use super::kind::{Field, Kind, keywatch, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    source("source.status", "a source speaks of its own health", &["ok", "degraded", "down"], &[]),
    source("source.heartbeat", "a source says that it is alive", &[], &[]),
    keywatch(
        "source.expected",
        "the inventory expects this source to speak",
        &[],
        &[("heartbeat_seconds", "integer", "longest silence that is ordinary")],
    ),
    keywatch("source.reject", "input of an authenticated source could not be understood", &[], REJECT),
    keywatch(
        "source.conflict",
        "a source said something else under an id it had used",
        &[],
        &[("conflicting_event", "text", "the event kept first"), ("line", "text", "what was said now")],
    ),
    keywatch(
        "source.gap",
        "records are lost: of the log, and `actor` accepted it, or of a source that proves what it sent (`missing`); `reason` says why",
        &[],
        GAP,
    ),
    keywatch(
        "source.cursor",
        "a source was asked, and everything that it answered up to here stands before this record",
        &[],
        CURSOR,
    ),
];

const REJECT: &[Field] = &[
    ("feed", "text", "feed that read it"),
    ("raw", "text", "the first bytes, masked, lossy UTF-8"),
    ("bytes", "integer", "size of the input"),
    ("field", "text", "field at fault"),
];

const GAP: &[Field] = &[
    ("topic", "text", "what lost them: events or conclusions"),
    ("from_position", "integer", "position of the first that is lost, as the damaged log counted"),
    ("to_position", "integer", "position after the last"),
    ("records", "integer", "how many, of all systems"),
    ("from_time", "text", "log time of the last record before them"),
    ("to_time", "text", "log time of the first record behind them, or of the log's head"),
    ("cause", "text", "what did not verify"),
    ("accepted_by", "text", "who went on without them"),
    ("missing", "text", "what of a source is not there, or not as it was written: a file by its name"),
];

const CURSOR: &[Field] = &[
    ("stream", "text", "which list of the source"),
    ("records", "integer", "events that came of the page before this record"),
    ("cursor", "object", "where the list goes on: time of the newest record, next page, ids to be acknowledged"),
];
