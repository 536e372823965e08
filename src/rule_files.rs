//! Rules as files hold them, for the commands that try them. It knows neither the log nor what a rule finds.

use std::path::Path;

use anyhow::bail;
use keywatch_detectors::rule::{self, Rule};

/// The rules of a directory or of one file, whether or not their events are there yet; or those built in.
///
/// # Errors
/// One of them cannot be read or does not load.
pub(crate) fn load_drafts(place: Option<&Path>) -> anyhow::Result<Vec<Rule>> {
    let Some(place) = place else { return Ok(rule::shipped()?) };
    if place.is_dir() {
        return Ok(rule::load_drafts(place)?);
    }
    let draft = rule::inspect(place)?;
    let problem = || draft.problems.first().map_or("does not load", |(_, problem)| problem);
    let Some(rule) = draft.rule.clone() else { bail!("{}: {}", place.display(), problem()) };
    Ok(vec![rule])
}
