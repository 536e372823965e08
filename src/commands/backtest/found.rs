//! How much the shipped rules find in a history, for whoever wants to know nothing but that.

use std::path::PathBuf;

use keywatch_store::{Inventory, Position, Severity};

use super::pack::Pack;
use super::reading::Read;
use super::{input, report, table};
use crate::rule_files;

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

/// What the shipped rules found in a history.
pub(crate) struct History {
    /// By rule.
    pub(crate) rules: Vec<Found>,
    /// Days that it covers.
    pub(crate) days: f64,
    /// What was not taken as it stood, in words.
    pub(crate) irregularities: Option<String>,
}

/// What each shipped rule finds in a history under `inventory`.
///
/// # Errors
/// It cannot be read or holds no event, or the engine cannot go on.
pub(crate) fn found(paths: &[PathBuf], inventory: &Inventory) -> anyhow::Result<History> {
    let mut pack = Pack::new(&rule_files::load_drafts(None)?)?;
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
    let Read { rejects, repeats, conflicts, moved, .. } = pass.read;
    Ok(History {
        rules: found.collect(),
        days: report::days(&pass.read.inputs),
        irregularities: table::irregularities([rejects, repeats, conflicts, moved]),
    })
}
