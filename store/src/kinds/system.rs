//! The kinds of a system as a whole: what is declared of it, and its log time.

use super::kind::{Field, Kind, keywatch};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    keywatch("inventory.activated", "the inventory of a system from this log time on", &[], INVENTORY_ACTIVATED),
    keywatch("tick", "log time went on; nothing else is said", &[], &[]),
];

const INVENTORY_ACTIVATED: &[Field] = &[
    ("declared", "object", "the system as declared in the inventory"),
    (
        "packed",
        "text",
        "instead of `declared`, where that is longer than 256 KiB: its canonical JSON as zlib (RFC 1950) in base64",
    ),
    ("sha256", "text", "of the declaration as canonical JSON, in either form"),
];
