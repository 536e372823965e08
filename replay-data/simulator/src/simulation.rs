//! The iterator: takes the next step off the agenda and says what happens, until there are as many events as asked for.

use std::collections::{BTreeMap, VecDeque};

use keywatch_store::{Event, Inventory};

use crate::agenda::Agenda;
use crate::campaign::Attacks;
use crate::label::Label;
use crate::random::{Chance, scatter};
use crate::scenario::Scenario;
use crate::settings::{Error, Settings, Sizes};
use crate::step::Step;
use crate::system::System;

/// The events of a simulation in the order of its log, each with its log time, which strictly increases within a system.
///
/// The first events activate the inventory. As many events are given as the settings ask for; when the last of them is
/// given, some sessions and requests are open, as in any log.
#[derive(Debug)]
pub struct Simulation {
    pub(crate) settings: Settings,
    pub(crate) sizes: Sizes,
    pub(crate) chance: Chance,
    pub(crate) systems: Vec<System>,
    pub(crate) agenda: Agenda<Step>,
    pub(crate) ready: VecDeque<Event>,
    pub(crate) attacks: Attacks,
    pub(crate) under_way: BTreeMap<u64, Label>,
    pub(crate) labels: Vec<Label>,
    given: u64,
}

impl Simulation {
    /// The simulation of these settings.
    ///
    /// # Errors
    /// [`Error`] says what cannot be and what would be enough.
    pub fn new(settings: Settings) -> Result<Simulation, Error> {
        settings.check()?;
        let sizes = Sizes::of(&settings);
        let systems = (0..settings.systems).map(|index| System::new(&settings, &sizes, index)).collect();
        let mut simulation = Simulation {
            chance: Chance::seeded(scatter(settings.seed)),
            systems,
            agenda: Agenda::new(settings.start.0, sizes.part_ns),
            ready: VecDeque::new(),
            attacks: Attacks::of(&settings),
            under_way: BTreeMap::new(),
            labels: Vec::new(),
            given: 0,
            settings,
            sizes,
        };
        simulation.activate();
        (0..simulation.systems.len()).for_each(|system| simulation.begin(system));
        simulation.put_down_attack();
        Ok(simulation)
    }

    /// What the systems declare; the first events hold it too.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        Inventory { systems: self.systems.iter().map(|system| system.declared(&self.sizes)).collect() }
    }

    /// The attacks that came to their end since this was asked last.
    pub fn take_labels(&mut self) -> Vec<Label> {
        std::mem::take(&mut self.labels)
    }

    /// Attacks asked for that found no occasion, or whose end the simulation did not reach; complete once the last
    /// event was given.
    #[must_use]
    pub fn attacks_missing(&self) -> Vec<(Scenario, u64)> {
        self.attacks.missing()
    }

    fn begin(&mut self, system: usize) {
        for step in [Step::SignOn(system), Step::Ask(system), Step::Noise(system), Step::Upkeep(system)] {
            self.put_down_next(step);
        }
        self.begin_regular(system);
        self.begin_releases(system);
    }

    /// Puts the next moment of a rhythm down.
    fn put_down_next(&mut self, step: Step) {
        let chance = &mut self.chance;
        let at = match &step {
            Step::SignOn(system) => self.systems[*system].sessions.next(chance),
            Step::Ask(system) => self.systems[*system].requests.next(chance),
            Step::Noise(system) => self.systems[*system].noise.next(chance),
            Step::Upkeep(system) => self.systems[*system].upkeep.next(chance),
            _ => return,
        };
        self.agenda.push(at, step);
    }

    fn go_on(&mut self, at: i64, step: Step) {
        match step {
            Step::SignOn(system) => {
                self.sign_on(system, at);
                self.put_down_next(Step::SignOn(system));
            }
            Step::Session(session) => self.go_on_session(at, session),
            Step::Ask(system) => {
                self.ask(system, at);
                self.put_down_next(Step::Ask(system));
            }
            Step::Request(request) => self.go_on_request(at, request),
            Step::Noise(system) => {
                self.make_noise(system, at);
                self.put_down_next(Step::Noise(system));
            }
            Step::Upkeep(system) => {
                self.keep_up(system, at);
                self.put_down_next(Step::Upkeep(system));
            }
            Step::Regular(system, upkeep) => self.go_on_regular(at, system, upkeep),
            Step::Release(system, release) => self.go_on_release(at, system, release),
            Step::Attack(put_off) => self.attack(at, put_off),
            Step::Heard(system, attack) => self.end_silence(at, system, attack),
        }
    }
}

impl Iterator for Simulation {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.given >= self.settings.events {
            return None;
        }
        while self.ready.is_empty() {
            let (at, step) = self.agenda.pop()?;
            self.go_on(at, step);
        }
        self.given += 1;
        self.ready.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.settings.events - self.given).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}
