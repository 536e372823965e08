//! Generated custody traffic: people with habits, signing flows, chains that never sleep, software updates, holidays,
//! and attacks with labels that say what was wrong and which rules are meant to see it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`settings`] | what is asked for, and the sizes that follow from it |
//! | [`simulation`] | the iterator: takes the next step off the agenda and says what happens |
//! | `agenda`, `calendar`, `random`, `text` | what comes next; when people work; seeded chance; names and addresses |
//! | `step` | what may come next, and what is under way: sessions, movements |
//! | `system`, `people` | what a trusted environment has; who works there, when and where |
//! | `session`, `request`, `background` | how a session, a signing flow, and everything else goes on |
//! | [`scenario`], `campaign`, `attack`, `record`, [`label`] | what attacks there are, which are played, how, what is said about them |
//!
//! The same settings give the same events, byte for byte, on every machine: there are only integers, one seeded
//! generator of numbers, and one order in which it is asked. Memory goes with what is open (sessions, requests, people,
//! wallets), not with the number of events. This room knows nothing of rules but the names that labels carry, and
//! nothing of files. docs/simulator.md has the mix, the habits and the scenarios.

mod agenda;
mod attack;
mod background;
mod calendar;
mod campaign;
pub mod label;
mod limits;
mod people;
mod random;
mod record;
mod request;
pub mod scenario;
mod session;
pub mod settings;
pub mod simulation;
mod step;
mod system;
mod text;

pub use label::Label;
pub use scenario::Scenario;
pub use settings::{Error, Settings};
pub use simulation::Simulation;
