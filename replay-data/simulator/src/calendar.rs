//! When people work: hours, weekends and holidays of six countries, and moments drawn by that rhythm.
//!
//! Clocks are not put forward in summer. Holidays are those on fixed days, and Easter's.

use crate::random::Chance;

pub(crate) const HOUR_NS: i64 = 3_600 * 1_000_000_000;
pub(crate) const DAY_NS: i64 = 24 * HOUR_NS;

/// A country in which people work.
#[derive(Debug)]
pub(crate) struct Country {
    /// ISO 3166-1 alpha-2.
    pub(crate) code: &'static str,
    hours_ahead: i64,
    /// Of a hundred people.
    share: u64,
    /// Month and day of its own holidays.
    holidays: &'static [(i64, i64)],
    easter: bool,
}

/// Where people work.
pub(crate) const COUNTRIES: [Country; 6] = [
    Country { code: "CH", hours_ahead: 1, share: 30, holidays: &[(8, 1), (12, 26)], easter: true },
    Country { code: "SG", hours_ahead: 8, share: 20, holidays: &[(8, 9)], easter: false },
    Country { code: "US", hours_ahead: -5, share: 20, holidays: &[(7, 4), (11, 11)], easter: false },
    Country { code: "GB", hours_ahead: 0, share: 12, holidays: &[(12, 26)], easter: true },
    Country {
        code: "JP",
        hours_ahead: 9,
        share: 10,
        holidays: &[(2, 11), (4, 29), (5, 3), (5, 5), (11, 23)],
        easter: false,
    },
    Country { code: "DE", hours_ahead: 1, share: 8, holidays: &[(10, 3), (12, 26)], easter: true },
];

const EVERYWHERE: [(i64, i64); 3] = [(1, 1), (5, 1), (12, 25)];

/// How busy an hour of the day is, in hundredths of the busiest.
const HOURS: [u64; 24] = [2, 1, 1, 1, 1, 2, 6, 20, 60, 95, 100, 95, 70, 85, 95, 95, 85, 60, 35, 22, 15, 10, 6, 3];

/// The country of somebody who is number `hundredth` of a hundred.
pub(crate) fn country(hundredth: u64) -> usize {
    let mut before = 0;
    let found = COUNTRIES.iter().position(|country| {
        before += country.share;
        hundredth < before
    });
    found.unwrap_or_default()
}

/// How busy a moment is for somebody in `country` who begins `shift` hours later than others, 1 to 100.
pub(crate) fn busy(country: usize, shift: i64, at: i64) -> u64 {
    let country = &COUNTRIES[country];
    let local = at.div_euclid(HOUR_NS) + country.hours_ahead;
    let (day, hour) = (local.div_euclid(24), (local - shift).rem_euclid(24));
    let usual = HOURS[usize::try_from(hour).unwrap_or_default()];
    // 1970-01-01 was a Thursday.
    let weekend = (day + 3).rem_euclid(7) >= 5;
    let share = if weekend || country.is_holiday(day) { 15 } else { 100 };
    (usual * share / 100).max(1)
}

impl Country {
    fn is_holiday(&self, day: i64) -> bool {
        let (year, month, day_of_month) = civil(day);
        let fixed = EVERYWHERE.iter().chain(self.holidays).any(|date| *date == (month, day_of_month));
        fixed || (self.easter && [-2, 1].contains(&(day - easter(year))))
    }
}

/// Year, month and day of a number of days since 1970-01-01 (Hinnant, `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// Easter Sunday of a year as days since 1970-01-01 (the anonymous Gregorian computus).
fn easter(year: i64) -> i64 {
    let (golden, century, rest) = (year % 19, year / 100, year % 100);
    let correction = (century - (century + 8) / 25 + 1) / 3;
    let moon = (19 * golden + century - century / 4 - correction + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (rest / 4) - moon - rest % 4) % 7;
    let late = (golden + 11 * moon + 22 * weekday) / 451;
    let number = moon + weekday - 7 * late + 114;
    first_of_year(year) + days_before(year, number / 31) + number % 31
}

fn first_of_year(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1_970) + (before / 4 - before / 100 + before / 400) - 477
}

/// Days of a year before its month 3 or 4.
fn days_before(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    59 + i64::from(leap) + if month == 4 { 31 } else { 0 }
}

/// Moments drawn one after another, so that over the span there are as many as asked for and busy hours have more.
#[derive(Debug)]
pub(crate) struct Rhythm {
    moments: u128,
    given: u128,
    weight: u128,
    hour: i64,
    before: u128,
    human: bool,
}

impl Rhythm {
    /// By the hours of people.
    pub(crate) fn of_people(start: i64, span_ns: i64, moments: u64) -> Rhythm {
        Rhythm::new(start, span_ns, moments, true)
    }

    /// Day and night.
    pub(crate) fn even(start: i64, span_ns: i64, moments: u64) -> Rhythm {
        Rhythm::new(start, span_ns, moments, false)
    }

    fn new(start: i64, span_ns: i64, moments: u64, human: bool) -> Rhythm {
        let hour = start.div_euclid(HOUR_NS);
        let mut rhythm = Rhythm { moments: u128::from(moments), given: 0, weight: 0, hour, before: 0, human };
        rhythm.weight = (hour..hour + span_ns / HOUR_NS).map(|hour| rhythm.weight_of(hour)).sum();
        rhythm
    }

    /// The next moment, never before the last; they go on in the same rhythm when the span is over.
    pub(crate) fn next(&mut self, chance: &mut Chance) -> i64 {
        let within = u128::from(chance.below(u64::try_from(self.weight).unwrap_or(u64::MAX)));
        let sought = self.given * self.weight + within;
        self.given += 1;
        loop {
            let weight = self.weight_of(self.hour);
            let (begin, end) = (self.before * self.moments, (self.before + weight) * self.moments);
            if sought < end {
                let part = (sought - begin) * u128::from(HOUR_NS.unsigned_abs()) / (end - begin);
                return self.hour * HOUR_NS + i64::try_from(part).unwrap_or_default();
            }
            self.before += weight;
            self.hour += 1;
        }
    }

    fn weight_of(&self, hour: i64) -> u128 {
        if !self.human {
            return 1_000;
        }
        let busy = |(index, country): (usize, &Country)| country.share * busy(index, 0, hour * HOUR_NS);
        COUNTRIES.iter().enumerate().map(busy).map(u128::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<keywatch_store::Instant>().unwrap().0
    }

    #[test]
    fn holidays_and_weekends_are_quiet_where_they_are_kept() {
        let swiss = |text| busy(0, 0, at(text));
        assert_eq!(swiss("2025-04-17T09:00:00Z"), 100, "Thursday, ten o'clock");
        assert_eq!(swiss("2025-04-18T09:00:00Z"), 15, "Good Friday");
        assert_eq!(swiss("2025-04-21T09:00:00Z"), 15, "Easter Monday");
        assert_eq!(swiss("2025-04-26T09:00:00Z"), 15, "Saturday");
        assert_eq!(busy(1, 0, at("2025-04-18T02:00:00Z")), 100, "no holiday in Singapore here");
        assert_eq!((civil(easter(2024)), civil(easter(2038))), ((2024, 3, 31), (2038, 4, 25)));
    }

    #[test]
    fn a_rhythm_fills_its_span_with_as_many_moments_as_asked_for() {
        let start = at("2025-04-07T00:00:00Z");
        let mut rhythm = Rhythm::of_people(start, 30 * DAY_NS, 1_000);
        let mut chance = Chance::seeded(1);
        let moments: Vec<i64> = (0..1_000).map(|_| rhythm.next(&mut chance)).collect();
        assert!(moments.is_sorted());
        assert!(moments[0] >= start && moments[999] < start + 30 * DAY_NS && moments[999] > start + 29 * DAY_NS);
        assert!(rhythm.next(&mut chance) >= start + 30 * DAY_NS, "it goes on");
    }
}
