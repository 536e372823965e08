//! Instants as nanoseconds since the Unix epoch, UTC. No clock is read here: a caller that needs "now" passes it in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, within `i64` (years 1678 to 2262).
///
/// Text form: RFC 3339 in UTC with as many fractional digits as are needed, at most nine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

/// One second in nanoseconds.
pub const SECOND_NS: i64 = 1_000_000_000;

impl Instant {
    /// The instant of an event that no log has admitted yet.
    pub const UNASSIGNED: Instant = Instant(0);

    /// From whole seconds since the epoch; `None` when it does not fit.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Instant> {
        seconds.checked_mul(SECOND_NS).map(Instant)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub fn nanoseconds(self) -> i64 {
        self.0
    }

    /// This instant moved by `nanoseconds`, held at the ends of the range.
    #[must_use]
    pub fn saturating_add(self, nanoseconds: i64) -> Instant {
        Instant(self.0.saturating_add(nanoseconds))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(SECOND_NS)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = Timestamp::from_nanosecond(i128::from(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{timestamp}")
    }
}

impl FromStr for Instant {
    type Err = String;

    /// Reads RFC 3339 with any offset (RFC 3339 §5.6).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let timestamp: Timestamp = text.parse().map_err(|_| format!("`{text}` is not an RFC 3339 time"))?;
        i64::try_from(timestamp.as_nanosecond())
            .map(Instant)
            .map_err(|_| format!("`{text}` is outside the years 1678 to 2262"))
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip_keeps_nanoseconds() {
        for text in ["2025-02-21T05:42:40.788469Z", "2025-02-21T14:13:35Z", "1969-12-31T23:59:59.999999999Z"] {
            assert_eq!(text.parse::<Instant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_offset_is_folded_into_utc() {
        assert_eq!("2024-05-31T13:26:00+09:00".parse::<Instant>().unwrap().to_string(), "2024-05-31T04:26:00Z");
    }
}
