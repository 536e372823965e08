//! Absence: vacations with a hand-over, business trips with flights of a plausible length, conferences.
//!
//! Where it comes from: every impossible-travel rule in public counts travellers among its false alarms, hotels and
//! aeroplanes first (panther-labs/panther-analysis#780 and what follows it, `nextcloud/suspicious_login#878`). What makes a
//! traveller honest is that nobody is seen at the destination sooner than an aeroplane can be there.

use crate::calendar::{DAY, HOUR, MINUTE, weekday};
use crate::chance::Chance;
use crate::people::Person;
use crate::season::Season;

/// Where a trip goes.
#[derive(Debug)]
pub(crate) struct City {
    /// Number of its network.
    pub(crate) number: u64,
    /// Country.
    pub(crate) country: &'static str,
    /// Hours of flight from Europe, Asia, America, connections included.
    hours: [i64; 3],
    /// Minutes that its clock is ahead of UTC.
    pub(crate) ahead_minutes: i64,
    /// The hotel's chain leads its guests to the Internet at its headquarters.
    pub(crate) is_headed_elsewhere: bool,
}

const fn city(number: u64, country: &'static str, hours: [i64; 3], ahead_minutes: i64, elsewhere: bool) -> City {
    City { number, country, hours, ahead_minutes, is_headed_elsewhere: elsewhere }
}

/// Where people travel to.
pub(crate) static CITIES: [City; 7] = [
    city(0, "AE", [8, 8, 15], 240, false),
    city(1, "US", [9, 20, 4], -300, false),
    city(2, "SG", [15, 3, 20], 480, true),
    city(3, "DE", [3, 14, 10], 60, true),
    city(4, "HK", [14, 5, 17], 480, false),
    city(5, "CH", [3, 14, 10], 60, false),
    city(6, "BR", [11, 26, 11], -180, false),
];

/// A business trip.
#[derive(Clone, Debug)]
pub(crate) struct Trip {
    /// Index of the person.
    pub(crate) person: usize,
    /// To where.
    pub(crate) city: &'static City,
    /// Take-off, landing, take-off home, landing at home.
    pub(crate) legs: [i64; 4],
}

/// Who is away when.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    /// Person, first day, first day back.
    pub(crate) vacations: Vec<(usize, i64, i64)>,
    /// Trips.
    pub(crate) trips: Vec<Trip>,
}

impl Absences {
    /// Plans them: one in eight on vacation at a time, a few trips a week, one conference.
    pub(crate) fn plan(people: &[Person], season: &Season, chance: &mut Chance) -> Absences {
        let mut absences = Absences::default();
        for (index, _) in people.iter().enumerate() {
            if chance.thousandths(16 * season.days.cast_unsigned().min(60)) {
                let first = season.first + chance.between(-7, season.days);
                let length = chance.between(3, 15);
                absences.vacations.push((index, first, first + length));
            }
        }
        let conference = (season.first + chance.between(3, season.days.max(4)), chance.pick(&CITIES));
        for (index, person) in people.iter().enumerate() {
            if chance.thousandths(140) {
                absences.travel(index, person, conference.0, conference.1, chance);
            } else if chance.thousandths(7 * season.days.cast_unsigned().min(60)) {
                let day = season.first + chance.between(1, season.days);
                let city = chance.pick(&CITIES);
                absences.travel(index, person, day, city, chance);
            }
        }
        absences
    }

    fn travel(&mut self, index: usize, person: &Person, day: i64, city: &'static City, chance: &mut Chance) {
        let day = if weekday(day) == 5 { day + 2 } else { day };
        let nights = chance.between(2, 5);
        let is_away = |(who, from, to): &(usize, i64, i64)| *who == index && *from <= day + nights + 1 && day <= *to;
        if city.country == person.site.country || self.vacations.iter().any(is_away) {
            return;
        }
        let region = usize::try_from(person.site.gateway).unwrap_or_default();
        let flight = city.hours[region % 3] * HOUR;
        let leaves = person.site.zone.instant(day, chance.between(11 * 60, 19 * 60));
        let returns = leaves + flight + nights * DAY + chance.between(-4, 4) * HOUR;
        let lands = |leaves: i64, chance: &mut Chance| leaves + flight + chance.between(-20, 50) * MINUTE;
        let legs = [leaves, lands(leaves, chance), returns, lands(returns, chance)];
        self.trips.push(Trip { person: index, city, legs });
    }

    /// Whether somebody is on vacation that day.
    pub(crate) fn is_on_vacation(&self, person: usize, day: i64) -> bool {
        self.vacations.iter().any(|(who, from, to)| *who == person && (*from..*to).contains(&day))
    }

    /// The trip that a stretch of time of somebody falls into, from three hours before take-off until three after landing.
    pub(crate) fn trip(&self, person: usize, from: i64, to: i64) -> Option<&Trip> {
        self.trips
            .iter()
            .find(|trip| trip.person == person && trip.legs[0] - 3 * HOUR < to && from < trip.legs[3] + 3 * HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::hire;

    #[test]
    fn nobody_lands_before_an_aeroplane_could() {
        let people = hire(&mut Chance::of(1, "people"), 0, 200, &[0, 1, 2, 3]);
        let season = Season::new(1, 20_148, 30);
        let absences = Absences::plan(&people, &season, &mut Chance::of(1, "away"));
        assert!(absences.trips.len() > 20 && absences.vacations.len() > 20);
        for trip in &absences.trips {
            let [leaves, lands, returns, home] = trip.legs;
            assert!(lands - leaves > 2 * HOUR && returns - lands > DAY && home - returns > 2 * HOUR, "{trip:?}");
        }
    }
}
