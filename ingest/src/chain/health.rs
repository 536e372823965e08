//! Which parts of blocks could not be read although the blocks were taken, and when that is over. Pure, and the same for every
//! chain: a part is a name that the chain gives to something that it asks for, as the storage of wallets or one token.
//!
//! A block that does not ask for a part says nothing of it. So a part stays open until a later block asks for it and is
//! answered, or until it is not asked for any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::UNWELL_PARTS_MAX;

/// What was asked of a node about one block, beside what a block cannot be without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    failed: BTreeMap<String, String>,
    answered: BTreeSet<String>,
}

impl Asked {
    /// A part could not be read. Of several problems the first stays.
    pub fn fails(&mut self, part: &str, problem: String) {
        self.failed.entry(part.to_owned()).or_insert(problem);
    }

    /// A part was read; one that failed elsewhere in the block did fail.
    pub fn answers(&mut self, part: &str) {
        self.answered.insert(part.to_owned());
    }

    /// Why something could not be read.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.failed.values().next().map(String::as_str)
    }
}

/// Parts that could not be read, and have not been read since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwell {
    parts: BTreeSet<String>,
}

impl Unwell {
    /// Those of a record.
    pub(super) fn of<'a>(parts: impl Iterator<Item = &'a str>) -> Unwell {
        Unwell { parts: parts.take(UNWELL_PARTS_MAX).map(str::to_owned).collect() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Their names.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(String::as_str)
    }

    /// Takes what became of a block; says whether everything is well again with it.
    pub fn take(&mut self, asked: &Asked) -> bool {
        let was_unwell = !self.is_empty();
        self.parts.retain(|part| !asked.answered.contains(part));
        let room = UNWELL_PARTS_MAX.saturating_sub(self.parts.len());
        self.parts.extend(asked.failed.keys().take(room).cloned());
        was_unwell && self.is_empty()
    }

    /// Leaves out what is not open any more; says whether everything is well again with that.
    pub fn keep(&mut self, still_open: impl Fn(&str) -> bool) -> bool {
        let was_unwell = !self.is_empty();
        self.parts.retain(|part| still_open(part));
        was_unwell && self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(failed: &[&str], answered: &[&str]) -> Asked {
        let mut asked = Asked::default();
        failed.iter().for_each(|part| asked.fails(part, format!("no {part}")));
        answered.iter().for_each(|part| asked.answers(part));
        asked
    }

    #[test]
    fn it_is_over_when_each_part_that_failed_was_read_again() {
        let mut unwell = Unwell::default();
        assert!(!unwell.take(&asked(&[], &["storage"])), "nothing was wrong");
        assert!(!unwell.take(&asked(&["storage", "token"], &[])));
        assert!(!unwell.take(&asked(&[], &[])), "a block that asks for nothing says nothing");
        assert!(!unwell.take(&asked(&[], &["storage"])), "the token is still open");
        assert!(!unwell.take(&asked(&["token"], &["token"])), "one that also fails has failed");
        assert_eq!(unwell.parts().collect::<Vec<_>>(), ["token"]);
        assert!(unwell.take(&asked(&[], &["token"])));
        assert!(unwell.is_empty());
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_not_open() {
        let mut unwell = Unwell::of(["calls", "storage"].into_iter());
        assert!(!unwell.keep(|part| part == "storage"));
        assert!(unwell.keep(|_| false));
        assert!(!unwell.keep(|_| false), "it was well before");
    }

    #[test]
    fn of_several_problems_the_first_is_told() {
        let mut asked = asked(&["storage"], &[]);
        asked.fails("storage", "another".to_owned());
        assert_eq!(asked.problem(), Some("no storage"));
    }
}
