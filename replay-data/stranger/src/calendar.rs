//! Dates, weekdays, time zones with their summer time, and the text of an instant. It reads no clock.
//!
//! Days are counted from 1970-01-01, instants in milliseconds. The arithmetic of dates is that of a proleptic Gregorian
//! calendar of 400-year eras.

/// One second, in milliseconds.
pub(crate) const SECOND: i64 = 1000;
/// One minute.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// One hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// One day.
pub(crate) const DAY: i64 = 24 * HOUR;

/// The day of a date.
pub(crate) fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of the month.
pub(crate) fn date_of(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

/// The day that a text `2025-03-01` names.
pub(crate) fn parse_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let found = day_of(year, month, day);
    (parts.next().is_none() && date_of(found) == (year, month, day)).then_some(found)
}

/// 0 is a Monday.
pub(crate) fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// Saturday or Sunday.
pub(crate) fn is_weekend(day: i64) -> bool {
    weekday(day) >= 5
}

/// RFC 3339, UTC, with as many digits of the second as are needed, of an instant in nanoseconds.
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    let fraction = nanoseconds.rem_euclid(1_000_000_000);
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let whole = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction == 0 {
        return format!("{whole}Z");
    }
    let digits = format!("{fraction:09}");
    format!("{whole}.{}Z", digits.trim_end_matches('0'))
}

/// Where a clock on the wall hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Western Europe.
    Lisbon,
    /// Central Europe.
    Warsaw,
    /// No summer time.
    Singapore,
    /// Changes clocks on other Sundays than Europe.
    NewYork,
    /// Half an hour off.
    Mumbai,
}

impl Zone {
    /// The instant at which the wall shows that minute of that day. The day on which clocks change is taken as one that has
    /// changed them: people go by the new time from its morning on.
    pub(crate) fn instant(self, day: i64, minute: i64) -> i64 {
        day * DAY + minute * MINUTE - self.offset_minutes(day) * MINUTE
    }

    fn offset_minutes(self, day: i64) -> i64 {
        let summer = 60;
        match self {
            Zone::Lisbon => i64::from(is_summer_in_europe(day)) * summer,
            Zone::Warsaw => 60 + i64::from(is_summer_in_europe(day)) * summer,
            Zone::Singapore => 480,
            Zone::NewYork => -300 + i64::from(is_summer_in_america(day)) * summer,
            Zone::Mumbai => 330,
        }
    }
}

fn is_summer_in_europe(day: i64) -> bool {
    let (year, ..) = date_of(day);
    (last_sunday(year, 3, 31)..last_sunday(year, 10, 31)).contains(&day)
}

fn is_summer_in_america(day: i64) -> bool {
    let (year, ..) = date_of(day);
    (last_sunday(year, 3, 14)..last_sunday(year, 11, 7)).contains(&day)
}

/// The last Sunday up to that date.
fn last_sunday(year: i64, month: i64, day: i64) -> i64 {
    let day = day_of(year, month, day);
    day - (weekday(day) + 1) % 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for day in [-1, 0, 59, 11_016, 20_148, 20_178, 47_000] {
            let (year, month, of_month) = date_of(day);
            assert_eq!(day_of(year, month, of_month), day);
        }
        assert_eq!(parse_day("2025-03-01"), Some(20_148));
        assert_eq!(weekday(20_148), 5, "a Saturday");
        assert_eq!((parse_day("2025-02-30"), parse_day("soon"), parse_day("2025-03-01-1")), (None, None, None));
    }

    #[test]
    fn instants_are_written_with_the_digits_they_need() {
        assert_eq!(rfc3339(20_148 * 86_400 * 1_000_000_000), "2025-03-01T00:00:00Z");
        assert_eq!(rfc3339(1_740_144_389_120_000_003), "2025-02-21T13:26:29.120000003Z");
        assert_eq!(rfc3339(1_740_144_389_100_000_000), "2025-02-21T13:26:29.1Z");
    }

    #[test]
    fn clocks_change_on_their_own_sundays() {
        let nine = |zone: Zone, date: &str| rfc3339(zone.instant(parse_day(date).unwrap(), 540) * 1_000_000);
        assert_eq!(nine(Zone::Lisbon, "2025-03-29"), "2025-03-29T09:00:00Z");
        assert_eq!(nine(Zone::Lisbon, "2025-03-30"), "2025-03-30T08:00:00Z");
        assert_eq!(nine(Zone::NewYork, "2025-03-08"), "2025-03-08T14:00:00Z");
        assert_eq!(nine(Zone::NewYork, "2025-03-09"), "2025-03-09T13:00:00Z");
        assert_eq!(nine(Zone::Mumbai, "2025-07-01"), "2025-07-01T03:30:00Z");
    }
}
