//! Durations as people write them: `1h`, `10 minutes`, `1 day 12 hours`. A day has 24 hours.

use jiff::{Span, SpanRelativeTo};

/// Nanoseconds of a duration.
///
/// # Errors
/// A text that is no duration, has months or years, is negative, or is longer than 292 years.
pub(crate) fn nanoseconds(text: &str) -> Result<i64, String> {
    let refuse = || format!("`{text}` is not a duration; write e.g. 90 seconds, 10 minutes, 1 day");
    let span: Span = text.parse().map_err(|_| refuse())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
    i64::try_from(duration.as_nanos()).ok().filter(|nanoseconds| *nanoseconds >= 0).ok_or_else(refuse)
}

/// A duration as an SQL interval.
pub(crate) fn interval(nanoseconds: i64) -> String {
    const SECOND_NS: i64 = 1_000_000_000;
    if nanoseconds % SECOND_NS == 0 {
        format!("INTERVAL '{} seconds'", nanoseconds / SECOND_NS)
    } else {
        format!("INTERVAL '{nanoseconds} nanoseconds'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, seconds) in [("1h", 3600), ("15m", 900), ("1d", 86_400), ("10 minutes", 600), ("90 seconds", 90)] {
            assert_eq!(nanoseconds(text), Ok(seconds * 1_000_000_000), "{text}");
        }
        assert_eq!(nanoseconds("1 nanosecond"), Ok(1));
        for text in ["", "soon", "1 month", "-1h", "10"] {
            assert!(nanoseconds(text).is_err(), "{text}");
        }
        assert_eq!(interval(1), "INTERVAL '1 nanoseconds'");
        assert_eq!(interval(600_000_000_000), "INTERVAL '600 seconds'");
    }
}
