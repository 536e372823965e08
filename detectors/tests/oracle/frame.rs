//! Frames: generated around the spans of a trial, and written in every way that the language has.

use keywatch_detectors::limits::FOLLOWING_NS_MAX;

use super::dice::Dice;
use super::history::SECOND;

/// Offsets from the row that is answered, negative before it; no start is UNBOUNDED PRECEDING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Range(Option<i64>, i64),
    Rows(Option<usize>, usize),
}

impl Frame {
    pub(crate) fn generate(dice: &mut Dice, spans: &[i64], may_be_unbounded: bool) -> Frame {
        let unbounded = may_be_unbounded && dice.once_in(6);
        if dice.once_in(6) {
            let end = *dice.pick(&[0, 0, 1, 3]);
            return Frame::Rows((!unbounded).then(|| end + dice.pick(&[0, 1, 2, 5])), end);
        }
        let (one, other) = (offset(dice, spans), offset(dice, spans));
        let (start, end) = (one.min(other), one.max(other));
        if unbounded { Frame::Range(None, *dice.pick(&[end, 0, -1])) } else { Frame::Range(Some(start), end) }
    }

    /// A frame that ends after the row, and mostly begins right after it.
    pub(crate) fn ahead(dice: &mut Dice, spans: &[i64]) -> Frame {
        let end = (*dice.pick(spans)).min(FOLLOWING_NS_MAX);
        let back = -*dice.pick(spans);
        let start = *dice.pick(&[1, 1, 1, 0, end, back]);
        Frame::Range((!dice.once_in(12)).then_some(start.min(end)), end)
    }

    pub(crate) fn is_unbounded(self) -> bool {
        matches!(self, Frame::Range(None, _) | Frame::Rows(None, _))
    }

    /// The frame as written; there are several ways.
    pub(crate) fn sql(self, spelling: usize) -> String {
        match self {
            Frame::Range(None, 0) if spelling.is_multiple_of(3) => String::new(),
            Frame::Range(None, 0) if spelling % 3 == 1 => "RANGE UNBOUNDED PRECEDING".to_owned(),
            Frame::Range(Some(start), 0) if spelling.is_multiple_of(3) && start < 0 => {
                format!("RANGE {}", bound(start, spelling))
            }
            Frame::Range(start, end) => {
                let start = start.map_or_else(|| "UNBOUNDED PRECEDING".to_owned(), |start| bound(start, spelling));
                format!("RANGE BETWEEN {start} AND {}", bound(end, spelling))
            }
            Frame::Rows(start, end) => {
                let rows = |rows: usize| match rows {
                    0 => "CURRENT ROW".to_owned(),
                    rows => format!("{rows} PRECEDING"),
                };
                format!(
                    "ROWS BETWEEN {} AND {}",
                    start.map_or_else(|| "UNBOUNDED PRECEDING".to_owned(), rows),
                    rows(end)
                )
            }
        }
    }
}

/// Before, at or after the row: at most 400 days back and a day ahead.
fn offset(dice: &mut Dice, spans: &[i64]) -> i64 {
    let span = *dice.pick(spans) - *dice.pick(&[0, 0, 0, 1]);
    match dice.below(5) {
        0 => 0,
        1 | 2 => -span,
        _ => span.min(FOLLOWING_NS_MAX),
    }
}

fn bound(offset: i64, spelling: usize) -> String {
    let side = if offset < 0 || (offset == 0 && spelling.is_multiple_of(2)) { "PRECEDING" } else { "FOLLOWING" };
    let size = offset.abs();
    let interval = match (size, spelling % 3) {
        (0, 0 | 1) => return "CURRENT ROW".to_owned(),
        (size, 0) if size % (86_400 * SECOND) == 0 => format!("{} days", size / SECOND / 86_400),
        (size, 1) if size % (3_600 * SECOND) == 0 => format!("{} hours", size / SECOND / 3_600),
        (size, 2) if size > SECOND => format!("{} seconds {} nanoseconds", size / SECOND, size % SECOND),
        (size, _) if size % SECOND == 0 => format!("{} seconds", size / SECOND),
        (size, _) => format!("{size} nanoseconds"),
    };
    format!("INTERVAL '{interval}' {side}")
}
