//! The registry of kinds: every dotted name an event may carry, what it means, and what it says in `outcome` and
//! `detail`. A file below has the kinds of a subject, and this one joins them. The reference page `docs/events.md` is generated
//! from them and checked by a test.
//!
//! | file | families |
//! |---|---|
//! | `session` | `session` |
//! | `decision_point` | `decision`, `pdp` |
//! | `signing` | `signing` |
//! | `chain` | `chain` |
//! | `asset` | `asset` |
//! | `control` | `control` |
//! | `custody` | `custody` |
//! | `source` | `source` |
//! | `system` | `inventory`, `tick` |
//! | `rule` | `rule` |
//! | `response` | `response` |
//! | `alert` | `finding`, `alert`, `incident` |
//! | `operator` | `credential`, `protection`, `operator` |
//! | `fields` | fields of `detail` that several of them have alike |

use std::sync::LazyLock;

use hashbrown::HashMap;

pub use kind::{Field, Kind, Writer};

mod alert;
mod asset;
mod chain;
mod control;
mod custody;
mod decision_point;
mod fields;
mod kind;
mod operator;
mod response;
mod rule;
mod session;
mod signing;
mod source;
mod system;

/// Looks a kind up by name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    static BY_NAME: LazyLock<HashMap<&str, &Kind>> =
        LazyLock::new(|| KINDS.iter().map(|kind| (kind.name, kind)).collect());
    BY_NAME.get(name).copied()
}

/// Every kind, by subject.
pub const KINDS: &[Kind] = &joined();

const SUBJECTS: [&[Kind]; 13] = [
    session::KINDS,
    decision_point::KINDS,
    signing::KINDS,
    chain::KINDS,
    asset::KINDS,
    control::KINDS,
    custody::KINDS,
    source::KINDS,
    system::KINDS,
    rule::KINDS,
    response::KINDS,
    alert::KINDS,
    operator::KINDS,
];

const COUNT: usize = {
    let (mut subject, mut count) = (0, 0);
    while subject < SUBJECTS.len() {
        count += SUBJECTS[subject].len();
        subject += 1;
    }
    count
};

const fn joined() -> [Kind; COUNT] {
    let mut all = [SUBJECTS[0][0]; COUNT];
    let (mut subject, mut count) = (0, 0);
    while subject < SUBJECTS.len() {
        let mut index = 0;
        while index < SUBJECTS[subject].len() {
            all[count] = SUBJECTS[subject][index];
            (index, count) = (index + 1, count + 1);
        }
        subject += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_dotted_lower_case() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..index].iter().all(|other| other.name != kind.name), "{}", kind.name);
            assert!(kind.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'_'));
        }
    }
}
