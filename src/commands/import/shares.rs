//! What would become of records: how many of them are accepted, how many understood, and as what.
//!
//! It keeps counts alone, and does not know which of the records that were passed over somebody could have wanted.

use std::collections::BTreeMap;

use keywatch_store::Event;

use super::Counts;
use crate::output;

/// Events by kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    kinds: BTreeMap<String, usize>,
}

impl Shares {
    /// Counts an event.
    pub(super) fn count(&mut self, event: &Event) {
        *self.kinds.entry(event.kind().to_owned()).or_default() += 1;
    }

    /// Both shares, and the kinds that records became.
    pub(super) fn told(&self, counts: &Counts) -> String {
        // How many records a file holds that could not be read is not known: it is told as a file.
        let known = counts.records.saturating_sub(counts.unread_records);
        let accepted = known.saturating_sub(counts.rejects.saturating_sub(counts.unread));
        let understood = accepted.saturating_sub(counts.skipped);
        let rows = [
            ("accepted", accepted, "not rejected"),
            ("understood", understood, "became events"),
            ("passed over", counts.skipped, "nothing of this feed's"),
        ];
        let row = |(share, records, meaning): (&str, usize, &str)| {
            [share.to_owned(), records.to_string(), percent(records, known), meaning.to_owned()]
        };
        let shares = output::table(["of the records", "count", "share", ""], rows.map(row));
        let kinds = self.kinds.iter().map(|(kind, events)| [kind.clone(), events.to_string()]);
        let unread = match counts.unread {
            0 => String::new(),
            unread => format!(
                "{unread} files or pieces of files were refused whole or cut: what they hold is in no share\n\n"
            ),
        };
        format!("{shares}\n\n{unread}{}", output::table(["kind", "events"], kinds))
    }
}

/// A share in percent, cut off after the tenth: 100.0 is all of them.
fn percent(part: usize, whole: usize) -> String {
    match (part * 1000).checked_div(whole) {
        Some(tenths) => format!("{}.{} %", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_refused_whole_is_none_of_the_records() {
        let counts =
            Counts { files: 3, records: 12, rejects: 3, skipped: 2, unread: 2, unread_records: 2, ..Counts::default() };
        let told = Shares::default().told(&counts);
        let row = |share: &str| told.lines().find(|line| line.contains(share)).unwrap_or_default().to_owned();
        assert!(row("accepted").contains("90.0 %") && row("understood").contains("70.0 %"), "{told}");
        assert!(told.contains("2 files or pieces of files were refused whole"), "{told}");
        let none = Shares::default().told(&Counts { records: 1, rejects: 1, unread: 1, unread_records: 1, ..counts });
        assert!(!none.contains('%'), "nothing is known of any record: {none}");
        let all = Shares::default().told(&Counts { records: 4, ..Counts::default() });
        assert!(all.contains("100.0 %") && !all.contains("refused whole"), "{all}");
    }

    #[test]
    fn a_hundred_percent_is_all_of_them() {
        for (part, whole, said) in
            [(0, 0, "-"), (0, 7, "0.0 %"), (1, 3, "33.3 %"), (29_999, 30_000, "99.9 %"), (3, 3, "100.0 %")]
        {
            assert_eq!(percent(part, whole), said);
        }
    }
}
