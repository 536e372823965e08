//! The staff: who they are, where they sit, what they carry.
//!
//! | module | what it holds |
//! |---|---|
//! | [`travel`] | vacations, business trips, flights that take as long as flights take |
//! | [`days`] | working days: sessions and what is done in them |
//! | [`session`] | one session as the identity provider tells it |
//! | [`roster`] | who can be asked at an instant, and from where they speak then |
//! | [`devices`] | new laptops, new phones, lost phones, factors switched off and on |
//! | [`posture`] | devices that fail a check while they update |
//!
//! It knows nothing of payments.

pub(crate) mod days;
pub(crate) mod devices;
pub(crate) mod posture;
pub(crate) mod roster;
pub(crate) mod session;
pub(crate) mod travel;

use crate::calendar::Zone;
use crate::chance::Chance;
use crate::names;

/// Where people work.
#[derive(Debug)]
pub(crate) struct Site {
    /// Number of its office.
    pub(crate) office: u64,
    /// Country.
    pub(crate) country: &'static str,
    /// Clock on its wall.
    pub(crate) zone: Zone,
    /// Nearest gateway of the VPN.
    pub(crate) gateway: u64,
    /// There is no office: everybody works at home.
    pub(crate) is_remote: bool,
}

const fn site(office: u64, country: &'static str, zone: Zone, gateway: u64, is_remote: bool) -> Site {
    Site { office, country, zone, gateway, is_remote }
}

/// All sites.
pub(crate) static SITES: [Site; 6] = [
    site(0, "PT", Zone::Lisbon, 0, false),
    site(1, "GB", Zone::Lisbon, 0, false),
    site(2, "SG", Zone::Singapore, 1, false),
    site(3, "US", Zone::NewYork, 2, false),
    site(0, "PL", Zone::Warsaw, 0, true),
    site(2, "IN", Zone::Mumbai, 1, true),
];

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Releases payments, holds keys.
    Custodian,
    /// Asks for movements, approves payments.
    Analyst,
    /// Runs the machines.
    Administrator,
}

impl Role {
    /// As the inventory names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Custodian => "custodian",
            Role::Analyst => "analyst",
            Role::Administrator => "administrator",
        }
    }
}

/// Somebody.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Number within everybody, from which habits follow.
    pub(crate) number: u64,
    /// As the identity provider names them.
    pub(crate) subject: String,
    /// What they may do.
    pub(crate) role: Role,
    /// Where they work.
    pub(crate) site: &'static Site,
    /// Minute of the local day at which they usually begin.
    pub(crate) begins: i64,
    /// Laptops with the instant from which each is used.
    pub(crate) laptops: Vec<(i64, String)>,
    /// Phones likewise.
    pub(crate) phones: Vec<(i64, String)>,
    /// Their browser goes through a privacy relay when no VPN is on.
    pub(crate) uses_relay: bool,
    /// Their phone has a travel card.
    pub(crate) has_travel_card: bool,
}

impl Person {
    /// The laptop at an instant.
    pub(crate) fn laptop(&self, at: i64) -> &str {
        device_at(&self.laptops, at)
    }

    /// The phone at an instant.
    pub(crate) fn phone(&self, at: i64) -> &str {
        device_at(&self.phones, at)
    }
}

fn device_at(devices: &[(i64, String)], at: i64) -> &str {
    let used = devices.iter().rev().find(|(from, _)| *from <= at).or(devices.first());
    used.map(|(_, name)| name.as_str()).unwrap_or_default()
}

const FIRST: [&str; 24] = [
    "ana", "bruno", "carla", "daniel", "elif", "farid", "grace", "hugo", "ines", "joao", "karin", "leo", "mei", "nuno",
    "olga", "paul", "rita", "sam", "tiago", "uma", "vera", "wei", "yara", "zoe",
];
const LAST: [&str; 7] = ["almeida", "brown", "costa", "dias", "evans", "ferreira", "goh"];

/// Hires so many people, the first of them `number`, to these sites in turn.
pub(crate) fn hire(chance: &mut Chance, number: u64, count: u64, sites: &[usize]) -> Vec<Person> {
    let at = |index: u64, length: usize| usize::try_from(index).unwrap_or_default() % length;
    let one = |index: u64| {
        let all = number + index;
        let subject = format!("{}.{}", FIRST[at(all, FIRST.len())], LAST[at(all, LAST.len())]);
        let role = match index % 10 {
            0 | 3 | 6 => Role::Custodian,
            9 | 4 if index % 20 != 4 => Role::Administrator,
            _ => Role::Analyst,
        };
        let site = &SITES[sites[at(index, sites.len())]];
        // Early and late shifts; one in eight works at night.
        let begins =
            if index % 8 == 7 { 22 * 60 } else { [6 * 60 + 30, 8 * 60 + 30, 9 * 60, 13 * 60][at(index / 2, 4)] };
        let laptops = vec![(i64::MIN, format!("mac-{}", names::digits(chance, 8)))];
        let phones = vec![(i64::MIN, format!("phone-{}", names::digits(chance, 8)))];
        let (uses_relay, has_travel_card) = (all % 6 == 2, all % 7 == 3);
        Person { number: all, subject, role, site, begins, laptops, phones, uses_relay, has_travel_card }
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_name_of_their_own_and_there_is_somebody_of_every_role() {
        let people = hire(&mut Chance::of(1, "people"), 0, 48, &[0, 1, 2, 3]);
        let mut names: Vec<&str> = people.iter().map(|person| person.subject.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), people.len());
        for role in [Role::Custodian, Role::Analyst, Role::Administrator] {
            assert!(people.iter().filter(|person| person.role == role).count() >= 5);
        }
    }
}
