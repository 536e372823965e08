//! Frames: which rows of a key an answer looks at.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};

use crate::limits::{FOLLOWING_NS_MAX, FRAME_ROWS_MAX, PRECEDING_NS_MAX};

/// A frame, relative to the row that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frame {
    /// By log time: rows with `time` in `[t + start_ns, t + end_ns]`; without a start, all rows up to the end.
    Range {
        /// Nanoseconds, negative when it precedes.
        start_ns: Option<i64>,
        /// Nanoseconds, negative when it precedes, positive when it follows.
        end_ns: i64,
    },
    /// By rows of the key: from `start` rows before to `end` rows before; without a start, from the first row.
    Rows {
        /// Rows before.
        start: Option<u64>,
        /// Rows before; 0 is the row itself.
        end: u64,
    },
}

/// A frame that is not part of the language: the construct, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub struct FrameRefused {
    /// The construct.
    pub construct: String,
    /// What to write instead.
    pub instead: String,
}

fn refused<T>(construct: &str, instead: &str) -> Result<T, FrameRefused> {
    Err(FrameRefused { construct: construct.to_owned(), instead: instead.to_owned() })
}

impl Frame {
    /// From the first row to the row itself.
    pub(crate) const SO_FAR: Frame = Frame::Range { start_ns: None, end_ns: 0 };

    /// Nanoseconds for which a row can be inside the frame of a later one; `None` for good.
    #[must_use]
    pub fn reach_ns(self) -> Option<i64> {
        match self {
            Frame::Range { start_ns: Some(start_ns), .. } => Some(start_ns.saturating_neg().max(0)),
            _ => None,
        }
    }

    /// How far the frame looks ahead, nanoseconds; 0 when it does not.
    #[must_use]
    pub fn following_ns(self) -> i64 {
        match self {
            Frame::Range { end_ns, .. } => end_ns.max(0),
            Frame::Rows { .. } => 0,
        }
    }

    /// Whether rows never leave it.
    #[must_use]
    pub fn is_unbounded(self) -> bool {
        matches!(self, Frame::Range { start_ns: None, .. } | Frame::Rows { start: None, .. })
    }

    /// Reads a frame as DataFusion planned it (after type coercion, so that bounds are intervals or row counts).
    ///
    /// # Errors
    /// [`FrameRefused`] for GROUPS, UNBOUNDED FOLLOWING, ROWS … FOLLOWING, months, and bounds above the limits.
    pub fn read(frame: &WindowFrame) -> Result<Frame, FrameRefused> {
        match frame.units {
            WindowFrameUnits::Range => read_range(frame),
            WindowFrameUnits::Rows => read_rows(frame),
            WindowFrameUnits::Groups => refused("a GROUPS frame", "log time is unique within a system, so write ROWS"),
        }
    }
}

fn read_range(frame: &WindowFrame) -> Result<Frame, FrameRefused> {
    let start_ns = match &frame.start_bound {
        WindowFrameBound::Preceding(bound) if bound.is_null() => None,
        bound => Some(range_offset(bound)?),
    };
    let end_ns = range_offset(&frame.end_bound)?;
    if start_ns.is_some_and(|start_ns| start_ns > end_ns) {
        return refused("a frame that ends before it starts", "put the earlier bound first");
    }
    if end_ns > FOLLOWING_NS_MAX {
        return refused("a frame that looks ahead for more than a day", "shorten it: every row waits that long");
    }
    if start_ns.is_some_and(|start_ns| start_ns < -PRECEDING_NS_MAX) {
        return refused("a frame that looks back for more than 400 days", "shorten it, or use UNBOUNDED PRECEDING");
    }
    Ok(Frame::Range { start_ns, end_ns })
}

fn range_offset(bound: &WindowFrameBound) -> Result<i64, FrameRefused> {
    match bound {
        WindowFrameBound::CurrentRow => Ok(0),
        WindowFrameBound::Preceding(bound) => Ok(-interval_ns(bound)?),
        WindowFrameBound::Following(bound) if bound.is_null() => {
            refused("UNBOUNDED FOLLOWING", "name how long to wait, e.g. INTERVAL '10 minutes' FOLLOWING")
        }
        WindowFrameBound::Following(bound) => interval_ns(bound),
    }
}

fn interval_ns(bound: &ScalarValue) -> Result<i64, FrameRefused> {
    const DAY_NS: i64 = 86_400 * 1_000_000_000;
    let total = match bound {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            i64::from(interval.days).checked_mul(DAY_NS).and_then(|days| days.checked_add(interval.nanoseconds))
        }
        ScalarValue::IntervalDayTime(Some(interval)) => i64::from(interval.days)
            .checked_mul(DAY_NS)
            .and_then(|days| days.checked_add(i64::from(interval.milliseconds) * 1_000_000)),
        ScalarValue::IntervalMonthDayNano(_) | ScalarValue::IntervalYearMonth(_) => {
            let instead = "months differ in length and a number has no unit: write e.g. INTERVAL '30 days'";
            return refused("an interval of months or years, or a number without a unit", instead);
        }
        _ => return refused("a RANGE bound that is no interval", "write e.g. INTERVAL '5 minutes' PRECEDING"),
    };
    match total {
        Some(ns) if ns >= 0 => Ok(ns),
        _ => refused("a negative or overlong interval", "write a positive interval and PRECEDING or FOLLOWING"),
    }
}

fn read_rows(frame: &WindowFrame) -> Result<Frame, FrameRefused> {
    let start = match &frame.start_bound {
        WindowFrameBound::Preceding(bound) if bound.is_null() => None,
        bound => Some(rows_offset(bound)?),
    };
    let end = rows_offset(&frame.end_bound)?;
    if start.is_some_and(|start| start < end) {
        return refused("a frame that ends before it starts", "put the earlier bound first");
    }
    Ok(Frame::Rows { start, end })
}

fn rows_offset(bound: &WindowFrameBound) -> Result<u64, FrameRefused> {
    match bound {
        WindowFrameBound::CurrentRow => Ok(0),
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))) if *rows <= FRAME_ROWS_MAX => Ok(*rows),
        WindowFrameBound::Preceding(_) => {
            refused("a ROWS frame of more than 100,000 rows", "use RANGE with an interval")
        }
        WindowFrameBound::Following(bound) if bound.is_null() => refused(
            "UNBOUNDED FOLLOWING",
            "an idle key would hold its rows for ever: use RANGE with an interval FOLLOWING",
        ),
        WindowFrameBound::Following(_) => refused(
            "ROWS … FOLLOWING",
            "an idle key would hold its rows for ever: use RANGE with an interval FOLLOWING",
        ),
    }
}
