//! Where lines end: how much of the bytes that were read can be sent. Knows no file and no stream.

use crate::limits::{AGENT_BATCH_BYTES_MAX, AGENT_BATCH_LINES_MAX};

/// What can be taken from the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Bytes that are taken.
    pub(super) end: usize,
    /// The last line of them goes on: what follows up to its end is passed over.
    pub(super) inside_line: bool,
}

/// Takes whole lines; the end of the bytes is the end of a line too where nothing more comes (`ended`). A line that fills a
/// whole batch is cut. `None` while there is no whole line.
pub(super) fn cut(bytes: &[u8], ended: bool) -> Option<Cut> {
    let looked_at = &bytes[..bytes.len().min(AGENT_BATCH_BYTES_MAX)];
    let ends = looked_at.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index + 1);
    if let Some(last) = ends.take(AGENT_BATCH_LINES_MAX).last() {
        // What is behind the last line end comes next time, as a line of its own.
        return Some(Cut { end: last, inside_line: false });
    }
    if looked_at.len() == AGENT_BATCH_BYTES_MAX {
        return Some(Cut { end: looked_at.len(), inside_line: true });
    }
    (ended && !looked_at.is_empty()).then_some(Cut { end: looked_at.len(), inside_line: false })
}

/// Where the line ends that the bytes begin in the middle of: how many of them are passed over, and whether it has ended.
pub(super) fn rest_of_line(bytes: &[u8]) -> (usize, bool) {
    bytes.iter().position(|byte| *byte == b'\n').map_or((bytes.len(), false), |end| (end + 1, true))
}

/// Whether there is nothing to send in these lines.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_taken_and_the_beginning_of_one_waits_for_its_end() {
        let whole = |end| Some(Cut { end, inside_line: false });
        assert_eq!(cut(b"a\nbc\nd", false), whole(5));
        assert_eq!(cut(b"d", false), None);
        assert_eq!(cut(b"d", true), whole(1));
        assert_eq!(cut(b"", true), None);
        let many = b"x\n".repeat(AGENT_BATCH_LINES_MAX + 1);
        assert_eq!(cut(&many, false), whole(2 * AGENT_BATCH_LINES_MAX));
    }

    #[test]
    fn p7_a_line_without_end_is_cut_and_the_rest_of_it_passed_over() {
        let mut endless = vec![b'x'; AGENT_BATCH_BYTES_MAX + 5];
        assert_eq!(cut(&endless, false), Some(Cut { end: AGENT_BATCH_BYTES_MAX, inside_line: true }));
        endless[AGENT_BATCH_BYTES_MAX + 2] = b'\n';
        assert_eq!(rest_of_line(&endless[AGENT_BATCH_BYTES_MAX..]), (3, true));
        assert_eq!(rest_of_line(b"xyz"), (3, false));
    }

    #[test]
    fn a_last_line_without_end_behind_whole_ones_comes_next() {
        let bytes = b"a\nb";
        let first = cut(bytes, true).unwrap();
        assert_eq!(&bytes[..first.end], b"a\n");
        let second = cut(&bytes[first.end..], true).unwrap();
        assert_eq!(&bytes[first.end..][..second.end], b"b");
        assert!(is_blank(b" \n\r\n") && !is_blank(b"\n{}\n"));
    }
}
