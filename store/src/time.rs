//! Instants as nanoseconds since the Unix epoch, UTC. No clock is read here: a caller that needs "now" passes it in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
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
/// form, and every refusal, to the general parser.
fn from_utc_text(text: &[u8]) -> Option<Instant> {
    let (whole, rest) = text.split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1, b':', s0, s1] = *whole else {
        return None;
    };
    let year = pair(y0, y1)? * 100 + pair(y2, y3)?;
    let (month, day) = (pair(mo0, mo1)?, pair(d0, d1)?);
    let (hour, minute, second) = (pair(h0, h1)?, pair(mi0, mi1)?, pair(s0, s1)?);
    let fraction = fraction_of_second(rest)?;
    if year == 0 || !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    // The last second before the earliest instant is left to the general parser too.
    seconds.checked_mul(SECOND_NS)?.checked_add(fraction).map(Instant)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, from year 1 on. Years are taken to begin in March: a leap day
/// is then the last of its year, and the months before another come to days by a straight line, rounded down.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    const TO_EPOCH: i64 = 719_468;
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = years / 4 - years / 100 + years / 400;
    years * 365 + leap_days + (153 * months + 2) / 5 + day - 1 - TO_EPOCH
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// Nanoseconds of `Z` or of `.` with one to nine digits and `Z`.
fn fraction_of_second(text: &[u8]) -> Option<i64> {
    let (b'Z', fraction) = text.split_last()? else { return None };
    let Some((point, digits)) = fraction.split_first() else { return Some(0) };
    if *point != b'.' || digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Digits that are left out are zeros.
    let mut nine = [b'0'; 9];
    nine[..digits.len()].copy_from_slice(digits);
    Some(nine.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
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

    /// Every day of every year that four digits name, and the days before and after each month.
    #[test]
    fn every_day_is_the_crates() {
        for year in 0..=9999 {
            for month in 0..=13 {
                for day in 0..=32 {
                    let text = format!("{year:04}-{month:02}-{day:02}T23:59:59.000000001Z");
                    let read = from_utc_text(text.as_bytes()).map(|read| read.0);
                    match jiff::civil::Date::new(year, month, day) {
                        Ok(date) if (1678..=2261).contains(&year) => {
                            let at = Offset::UTC.to_timestamp(date.at(23, 59, 59, 1)).unwrap();
                            assert_eq!(read, i64::try_from(at.as_nanosecond()).ok(), "{text}");
                        }
                        // The general parser is asked, unless it is within the range after all.
                        Ok(_) => assert!(read.is_none() || read == oracle(&text).ok(), "{text}"),
                        Err(_) => assert_eq!((read, oracle(&text)), (None, Err(())), "{text}"),
                    }
                }
            }
        }
    }

    #[test]
    fn every_second_of_a_day_and_those_that_no_day_has_are_the_crates() {
        for (hour, minute, second) in
            (0..=25).flat_map(|h| (0..=61).flat_map(move |m| (0..=61).map(move |s| (h, m, s))))
        {
            let text = format!("2016-12-31T{hour:02}:{minute:02}:{second:02}Z");
            assert_eq!(text.parse::<Instant>().map(|read| read.0).map_err(|_| ()), oracle(&text), "{text}");
        }
    }

    #[test]
    fn an_offset_is_folded_into_utc() {
        assert_eq!("2024-05-31T13:26:00+09:00".parse::<Instant>().unwrap().to_string(), "2024-05-31T04:26:00Z");
    }
}
