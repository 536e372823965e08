//! How much the shipped rules find in a history, for whoever wants to know nothing but that.

use std::path::PathBuf;

use keywatch_store::{Inventory, Position, Severity};

use super::pack::Pack;
use super::{input, report};
use crate::commands::detectors;

/// Events that go through the rules at once.
const BATCH_EVENTS: usize = 4096;

/// What a rule found.
pub(crate) struct Found {
    /// Rule id.
    pub(crate) rule: String,
    /// How bad its findings are.
    pub(crate) severity: Severity,
    /// Findings.
    pub(crate) findings: u64,
}

/// What each shipped rule finds in a history under `inventory`, and the days that the history covers.
///
/// # Errors
/// It cannot be read or holds no event, or the engine cannot go on.
pub(crate) fn found(paths: &[PathBuf], inventory: &Inventory) -> anyhow::Result<(Vec<Found>, f64)> {
    let mut pack = Pack::new(&detectors::load_drafts(None)?)?;
    let mut position = Position::default();
    let pass = super::pass(input::find_all(paths, Some(inventory))?, BATCH_EVENTS, |batches| {
        batches.iter().try_for_each(|events| {
            pack.run(position, &events)?;
            position = position.plus(events.len());
            Ok(())
        })
    })?;
    let (tallies, _) = pack.finish();
    let found =
        tallies.into_iter().map(|tally| Found { rule: tally.rule, severity: tally.severity, findings: tally.findings });
    Ok((found.collect(), report::days(&pass.read.inputs)))
}
