//! `keywatch detectors check`: everything that is wrong with rules, file by file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keywatch_detectors::rule::{self, Draft};
use keywatch_detectors::{Engine, Settings};

use crate::output;

/// Looks at each rule on its own, so that one that is wrong hides no other.
///
/// # Errors
/// A file that cannot be read, a closed standard output.
pub(super) fn run(paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut wrong = 0;
    if paths.is_empty() {
        for rule in rule::shipped()? {
            let problem = Engine::new(std::slice::from_ref(&rule), &Settings::default()).err();
            wrong += usize::from(problem.is_some());
            let said = problem.map_or_else(|| format!("ok     {}", rule.id), |problem| format!("wrong  {problem}"));
            output::line(&output::printable(&said))?;
        }
    }
    for path in paths {
        for file in files(path)? {
            wrong += usize::from(!show(&rule::inspect(&file)?, path.is_dir())?);
        }
    }
    Ok(ExitCode::from(u8::from(wrong > 0)))
}

/// The rule files that a path names.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_dir() { Ok(rule::files(path)?) } else { Ok(vec![path.to_owned()]) }
}

/// Shows what one look at a file gave; whether it is good. In a pack a rule without events does not load; alone it is a
/// draft.
fn show(draft: &Draft, in_pack: bool) -> anyhow::Result<bool> {
    let is_whole = draft.missing.is_empty() || !in_pack;
    let good = draft.problems.is_empty() && is_whole;
    let word = match (good, draft.missing.is_empty()) {
        (false, _) => "wrong ",
        (true, false) => "draft ",
        (true, true) => "ok    ",
    };
    output::line(&output::printable(&format!("{word} {}", draft.id)))?;
    for (line, problem) in &draft.problems {
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        let problem = problem.strip_prefix(&format!("rule {}: ", draft.id)).unwrap_or(problem);
        output::line(&output::printable(&format!("       {place}{problem}")))?;
    }
    if !draft.missing.is_empty() {
        output::line(&format!(
            "       {} not there yet: `keywatch detectors record` cuts events out of history",
            draft.missing.join(" and ")
        ))?;
    }
    Ok(good)
}
