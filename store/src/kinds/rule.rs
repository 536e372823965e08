//! The kinds of rules: which are evaluated, and what of the log they have missed.

use super::fields::RULE;
use super::kind::{Field, Kind, keywatch};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    keywatch("rule.activated", "a rule version with its parameters, from this log time on", &[], &[]),
    keywatch(
        "rule.parked",
        "a rule failed, or failed again, and is not evaluated until retried: a gap begins or goes on; `reason` says why",
        &[],
        PARKED,
    ),
    keywatch("rule.resumed", "a parked rule is evaluated again, and has evaluated what it missed", &[], RESUMED),
    keywatch(
        "rule.skipped",
        "a rule could not evaluate a record and goes on without it: its windows do not have it, or it was not answered; \
         `reason` says why",
        &[],
        SKIPPED,
    ),
    keywatch(
        "rule.limited",
        "a rule's windows reached a limit of what they may remember, and the source that flooded them lost its oldest: \
         answers that reach into that time may count too few",
        &[],
        LIMITED,
    ),
];

const PARKED: &[Field] = &[
    RULE,
    ("from_position", "integer", "first record of the events topic that it did not evaluate"),
    ("failures", "integer", "attempts that failed so far"),
    ("retry_after_seconds", "integer", "how long it waits for the next one"),
];

const RESUMED: &[Field] = &[
    RULE,
    ("from_position", "integer", "first record that it had missed"),
    ("to_position", "integer", "first record that it did not miss"),
    ("from_time", "text", "log time of the first record that it had missed"),
    ("to_time", "text", "log time of the last record that it had missed"),
    ("findings", "integer", "findings that the gap had withheld"),
    ("skipped", "array", "event ids of records that it went on without, a hundred at most"),
];

const SKIPPED: &[Field] = &[
    RULE,
    ("record_time", "text", "log time of the record; a system has one record at a time"),
    ("event", "text", "id of the record, where the rule still had it"),
];

const LIMITED: &[Field] = &[
    RULE,
    ("flooding_source", "text", "the source that had most of them"),
    ("what", "text", "`rows` inside frames, `keys`, or rows `waiting` to be decided"),
    ("group", "text", "partition key of the windows"),
    ("count", "integer", "how many"),
    ("from_time", "text", "log time of the first"),
    ("to_time", "text", "log time of the last"),
];
