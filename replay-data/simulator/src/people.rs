//! Who works in a system, from where and when. Everything about a person follows from the person's number.

use crate::calendar::{COUNTRIES, DAY_NS, busy, country};
use crate::random::{belonging, habit};
use crate::text::numbered;

/// One in so many weeks a person works from another country.
const TRAVEL_ONE_IN: u64 = 12;
const HOME_NETWORKS: u64 = 8;

/// A person, as far as other records name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// Salt of the system.
    pub(crate) salt: u64,
    /// Those of the desks come first.
    pub(crate) number: u64,
}

/// Where somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) country: &'static str,
    pub(crate) asn: i64,
    pub(crate) ip: String,
}

impl Person {
    pub(crate) fn name(self) -> String {
        numbered("person-", self.number)
    }

    pub(crate) fn device(self) -> String {
        numbered("laptop-", self.number)
    }

    /// How busy this person is at a moment, 1 to 100.
    pub(crate) fn busy(self, at: i64) -> u64 {
        let shift = i64::try_from(habit(self.salt ^ 3, self.number, 3)).unwrap_or_default() - 1;
        busy(self.country(at), shift, at)
    }

    /// How long this person's sessions are, seconds.
    pub(crate) fn session_seconds(self) -> u64 {
        1_800 + habit(self.salt ^ 4, self.number, 9_000)
    }

    /// Where the person is in the week of `at`.
    pub(crate) fn place(self, at: i64) -> Place {
        let country = self.country(at);
        let network = habit(self.salt ^ 5, self.number ^ (country as u64) << 48, HOME_NETWORKS);
        Place::at(country, network, self.number)
    }

    /// Somewhere the person is not.
    pub(crate) fn elsewhere(self, at: i64) -> Place {
        Place::at((self.country(at) + 3) % COUNTRIES.len(), HOME_NETWORKS, self.number ^ 0x55)
    }

    /// The same country by another network.
    pub(crate) fn other_network(self, at: i64) -> Place {
        Place::at(self.country(at), HOME_NETWORKS + 1, self.number ^ 0x33)
    }

    fn country(self, at: i64) -> usize {
        let week = at.div_euclid(7 * DAY_NS).unsigned_abs();
        let home = country(habit(self.salt ^ 1, self.number, 100));
        let travels = belonging(self.salt ^ 2 ^ (week << 20), self.number).is_multiple_of(TRAVEL_ONE_IN);
        if travels { (home + 1) % COUNTRIES.len() } else { home }
    }
}

impl Place {
    /// Addresses are of the ranges for documentation (RFC 5737).
    fn at(country: usize, network: u64, number: u64) -> Place {
        let range = if network < HOME_NETWORKS { "198.51.100." } else { "203.0.113." };
        let asn = 64_500 + i64::try_from(country as u64 * 16 + network).unwrap_or_default();
        Place { country: COUNTRIES[country].code, asn, ip: numbered(range, 1 + number % 254) }
    }
}
