//! Instants as nanoseconds since the Unix epoch, UTC. No clock is read here: a caller that needs "now" passes it in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, within `i64` (years 1678 to 2262).
///
/// Text form: RFC 3339 in UTC with as many fractional digits as are needed, at most nine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

/// Bytes of the longest text form.
pub(crate) const TIME_BYTES_MAX: usize = 30;

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

    /// The text form, without an allocation.
    #[must_use]
    pub(crate) fn write_text(self, text: &mut [u8; TIME_BYTES_MAX]) -> &str {
        let nanosecond = self.0.rem_euclid(SECOND_NS);
        let at = Timestamp::new(self.unix_seconds(), 0).expect("the crate's years go from -9999 to 9999");
        let at = Offset::UTC.to_datetime(at);
        put_digits(&mut text[0..4], i64::from(at.year()));
        for (begin, separator, number) in [
            (4, b'-', at.month()),
            (7, b'-', at.day()),
            (10, b'T', at.hour()),
            (13, b':', at.minute()),
            (16, b':', at.second()),
        ] {
            text[begin] = separator;
            put_digits(&mut text[begin + 1..begin + 3], i64::from(number));
        }
        let mut end = 19;
        if nanosecond != 0 {
            text[end] = b'.';
            put_digits(&mut text[20..29], nanosecond);
            end = 29 - text[20..29].iter().rev().take_while(|digit| **digit == b'0').count();
        }
        text[end] = b'Z';
        std::str::from_utf8(&text[..=end]).expect("digits and signs are ASCII")
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(SECOND_NS)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write_text(&mut [0; TIME_BYTES_MAX]))
    }
}

impl FromStr for Instant {
    type Err = String;

    /// Reads RFC 3339 with any offset (RFC 3339 §5.6).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(instant) = from_utc_text(text.as_bytes()) {
            return Ok(instant);
        }
        let timestamp: Timestamp = text.parse().map_err(|_| format!("`{text}` is not an RFC 3339 time"))?;
        from_timestamp(timestamp).ok_or_else(|| format!("`{text}` is outside the years 1678 to 2262"))
    }
}

#[expect(clippy::cast_sign_loss, reason = "the rest of a division by ten is a digit")]
fn put_digits(into: &mut [u8], number: i64) {
    into.iter_mut().rev().fold(number, |number, digit| {
        *digit = b'0' + (number % 10) as u8;
        number / 10
    });
}

fn from_timestamp(timestamp: Timestamp) -> Option<Instant> {
    i64::try_from(timestamp.as_nanosecond()).ok().map(Instant)
}

/// The form that [`Instant`] is written in, read digit by digit: two times stand in every line. `None` leaves any other
/// form, and every refusal, to the general parser. The calendar is the crate's either way.
fn from_utc_text(text: &[u8]) -> Option<Instant> {
    let (whole, rest) = text.split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1, b':', s0, s1] = *whole else {
        return None;
    };
    let year = pair(y0, y1)? * 100 + pair(y2, y3)?;
    let [month, day, hour, minute, second] =
        [pair(mo0, mo1)?, pair(d0, d1)?, pair(h0, h1)?, pair(mi0, mi1)?, pair(s0, s1)?];
    let narrow = |number: i16| i8::try_from(number).ok();
    let fraction = fraction_of_second(rest)?;
    let date = Date::new(year, narrow(month)?, narrow(day)?).ok()?;
    let time = Time::new(narrow(hour)?, narrow(minute)?, narrow(second)?, fraction).ok()?;
    from_timestamp(Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?)
}

fn pair(tens: u8, ones: u8) -> Option<i16> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i16::from(tens) * 10 + i16::from(ones))
}

/// Nanoseconds of `Z` or of `.` with one to nine digits and `Z`.
fn fraction_of_second(text: &[u8]) -> Option<i32> {
    let (b'Z', fraction) = text.split_last()? else { return None };
    let Some((point, digits)) = fraction.split_first() else { return Some(0) };
    if *point != b'.' || digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
    Some(number * 10_i32.pow(9 - u32::try_from(digits.len()).ok()?))
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_round_trip_keeps_nanoseconds() {
        for text in ["2025-02-21T05:42:40.788469Z", "2025-02-21T14:13:35Z", "1969-12-31T23:59:59.999999999Z"] {
            assert_eq!(text.parse::<Instant>().unwrap().to_string(), text);
        }
    }

    /// What the crate says, without the readers and writers here.
    fn oracle(text: &str) -> Result<i64, ()> {
        let timestamp: Timestamp = text.parse().map_err(|_| ())?;
        i64::try_from(timestamp.as_nanosecond()).map_err(|_| ())
    }

    proptest! {
        #[test]
        fn text_is_what_the_crate_writes(nanoseconds in any::<i64>(), zeros in 0..10_u32) {
            let nanoseconds = nanoseconds - nanoseconds % 10_i64.pow(zeros);
            let written = Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap().to_string();
            prop_assert_eq!(Instant(nanoseconds).to_string(), &written[..]);
            prop_assert_eq!(written.parse(), Ok(Instant(nanoseconds)));
        }

        #[test]
        fn text_is_read_as_the_crate_reads_it(
            text in "(1[67]|20|22|00)[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,10})?(Z|z|\\+01:00|)",
        ) {
            prop_assert_eq!(text.parse::<Instant>().map(|read| read.0).map_err(|_| ()), oracle(&text));
        }
    }

    #[test]
    fn the_ends_and_the_calendar_are_the_crates() {
        for nanoseconds in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            assert_eq!(Instant(nanoseconds).to_string().parse(), Ok(Instant(nanoseconds)));
        }
        for text in [
            "1677-09-21T00:12:43.145224191Z",
            "2262-04-11T23:47:16.854775808Z",
            "2025-02-29T00:00:00Z",
            "2024-02-29T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.5Z",
            "2016-12-31T23:59:59.Z",
            "+002016-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Instant>().map(|read| read.0).map_err(|_| ()), oracle(text), "{text}");
        }
    }

    #[test]
    fn an_offset_is_folded_into_utc() {
        assert_eq!("2024-05-31T13:26:00+09:00".parse::<Instant>().unwrap().to_string(), "2024-05-31T04:26:00Z");
    }
}
