//! What kind of day it is: weekends, a holiday, the end of the month, congestion, patches, the audit, the drill.
//!
//! Where it comes from: the founder's list (month's end three to five times as busy), the calendar, and what operators
//! report of fee spikes (several hours, ten to thirty times the fee). Which day gets what is the seed's.

use crate::calendar::{date_of, is_weekend, weekday};
use crate::chance::Chance;

/// A history's days.
#[derive(Clone, Debug)]
pub(crate) struct Season {
    /// First day.
    pub(crate) first: i64,
    /// How many.
    pub(crate) days: i64,
    /// An office is closed on it.
    pub(crate) holiday: i64,
    /// An auditor reads everything.
    pub(crate) audit: i64,
    /// People practise an emergency.
    pub(crate) drill: i64,
    /// Blocks are full.
    pub(crate) congested: [i64; 2],
    busy: i64,
}

impl Season {
    /// The days of a seed.
    pub(crate) fn new(seed: u64, first: i64, days: i64) -> Season {
        let mut chance = Chance::of(seed, "season");
        let mut workday = |from: i64, to: i64| {
            let mut day = first + chance.between(from.min(days - 1), to.min(days - 1));
            while is_weekend(day) && day < first + days - 1 {
                day += 1;
            }
            day
        };
        let (holiday, audit, drill) = (workday(8, 20), workday(10, 17), workday(5, 24));
        let congested = [workday(2, 12), workday(13, 27)];
        Season { first, days, holiday, audit, drill, congested, busy: chance.between(300, 500) }
    }

    /// All days.
    pub(crate) fn all(&self) -> impl Iterator<Item = i64> + use<> {
        self.first..self.first + self.days
    }

    /// Customers' withdrawals on a day, in percent of an ordinary one.
    pub(crate) fn volume_percent(&self, day: i64) -> i64 {
        if is_month_end(day) {
            return self.busy;
        }
        let quiet = is_weekend(day) || day == self.holiday;
        // Mondays catch up.
        (if quiet { 65 } else { 100 }) + if weekday(day) == 0 { 20 } else { 0 }
    }

    /// Sizes of withdrawals on a day, in percent of an ordinary one.
    pub(crate) fn size_percent(day: i64) -> i64 {
        if is_month_end(day) { 220 } else { 100 }
    }

    /// Fees in percent of quiet ones, at an hour of the day.
    pub(crate) fn fee_percent(&self, day: i64, hour: i64) -> i64 {
        let daily = 80 + (hour - 3).abs() * 6;
        if self.congested.contains(&day) && (11..22).contains(&hour) {
            return daily * (8 + (hour * 7 + day) % 17);
        }
        daily
    }
}

/// The last two days of a month and the first of the next, when salaries, funds and invoices move.
pub(crate) fn is_month_end(day: i64) -> bool {
    [day, day + 1, day + 2].iter().any(|day| date_of(*day).2 == 1)
}

/// The evening after the second Tuesday of a month, when operating systems update.
pub(crate) fn is_patch_day(day: i64) -> bool {
    let (.., of_month) = date_of(day);
    weekday(day) == 2 && (9..=15).contains(&of_month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::parse_day;

    #[test]
    fn months_end_on_three_days_and_patches_come_once_a_month() {
        let march: Vec<i64> = (parse_day("2025-03-01").unwrap()..parse_day("2025-04-01").unwrap()).collect();
        let ends: Vec<i64> = march.iter().filter(|day| is_month_end(**day)).map(|day| date_of(*day).2).collect();
        assert_eq!(ends, [1, 30, 31]);
        let patched: Vec<i64> = march.iter().filter(|day| is_patch_day(**day)).map(|day| date_of(*day).2).collect();
        assert_eq!(patched, [12]);
    }

    #[test]
    fn special_days_are_among_the_days_of_a_history_however_short() {
        for days in [1, 3, 10, 30] {
            let season = Season::new(4, 20_148, days);
            for day in [season.holiday, season.audit, season.drill, season.congested[0], season.congested[1]] {
                assert!(season.all().any(|one| one == day), "{days} days");
            }
        }
    }
}
