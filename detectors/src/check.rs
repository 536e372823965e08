//! A rule against its own events: it must fire on the ones and stay quiet on the others.

use keywatch_store::{Event, Finding, Position};

use crate::engine::Engine;
use crate::error::Error;
use crate::rule::{Rule, Settings};

/// What a rule did on its own events.
#[derive(Debug)]
pub struct Report {
    /// Findings on `fires`.
    pub fired: Vec<Finding>,
    /// Findings on `quiet`, of which there should be none.
    pub noise: Vec<Finding>,
}

impl Report {
    /// Whether the rule does what its files say.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.fired.is_empty() && self.noise.is_empty()
    }
}

/// Runs a rule over its own events.
///
/// # Errors
/// What [`Engine::new`] refuses, and [`Error::File`] when the rule fails while it runs.
pub fn check(rule: &Rule, settings: &Settings) -> Result<Report, Error> {
    Ok(Report { fired: findings(rule, settings, &rule.fires)?, noise: findings(rule, settings, &rule.quiet)? })
}

fn findings(rule: &Rule, settings: &Settings, events: &[Event]) -> Result<Vec<Finding>, Error> {
    let mut engine = Engine::new(std::slice::from_ref(rule), settings)?;
    let outcome = engine.run(Position(0), events)?;
    if let Some(parked) = outcome.parked.into_iter().next() {
        return Err(Error::File { file: format!("{}.sql", parked.rule), problem: parked.problem });
    }
    Ok(outcome.findings.into_iter().map(|decided| decided.finding).collect())
}
