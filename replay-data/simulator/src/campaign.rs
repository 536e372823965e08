//! Which attacks are to be played, in which order, and how far that went; how each is played stands in `attack`.

use std::collections::BTreeMap;

use crate::scenario::Scenario;
use crate::settings::Settings;

/// Part of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Play {
    pub(crate) attack: u64,
    pub(crate) scenario: Scenario,
}

/// What is planned, and how far it went.
#[derive(Debug)]
pub(crate) struct Attacks {
    scenarios: Vec<Scenario>,
    each: u64,
    pub(crate) begun: u64,
    pub(crate) finished: BTreeMap<Scenario, u64>,
}

impl Attacks {
    pub(crate) fn of(settings: &Settings) -> Attacks {
        Attacks {
            scenarios: settings.attacks.clone(),
            each: settings.attacks_each,
            begun: 0,
            finished: BTreeMap::new(),
        }
    }

    /// How often each scenario was not played to its end, where it was not always.
    pub(crate) fn missing(&self) -> Vec<(Scenario, u64)> {
        let finished = |scenario| self.finished.get(scenario).copied().unwrap_or_default();
        let missing = self.scenarios.iter().map(|scenario| (*scenario, self.each - finished(scenario)));
        missing.filter(|(_, missing)| *missing > 0).collect()
    }

    /// How many attacks there are to be.
    pub(crate) fn planned(&self) -> u64 {
        self.scenarios.len() as u64 * self.each
    }

    /// The one that is to be played next.
    pub(crate) fn next(&self) -> Option<Play> {
        let attack = self.begun;
        let index = usize::try_from(attack).ok()?.checked_rem(self.scenarios.len())?;
        (attack < self.planned()).then(|| Play { attack, scenario: self.scenarios[index] })
    }
}
