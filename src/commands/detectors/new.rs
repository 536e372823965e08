//! `keywatch detectors new`: the skeleton of a rule.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::output;

const SKELETON: &str = include_str!("skeleton.sql");

/// Writes the skeleton of rule `family/name` into a directory of rules.
///
/// # Errors
/// A name that is none, a file that is there already or cannot be written.
pub(super) fn run(id: &str, directory: &Path) -> anyhow::Result<ExitCode> {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let (family, name) = id.split_once('/').unwrap_or_default();
    ensure!(
        is_name(family) && is_name(name),
        "`{id}` is no name of a rule: write family/name in lower case letters, digits and _"
    );
    let file = directory.join(family).join(format!("{name}.sql"));
    ensure!(!file.exists(), "{} is there already", file.display());
    fs::create_dir_all(directory.join(family)).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::write(&file, SKELETON).with_context(|| format!("cannot write {}", file.display()))?;
    output::line(&format!("{}", file.display()))?;
    output::note(&format!(
        "next: keywatch detectors check {}; keywatch backtest --rules {} HISTORY; keywatch detectors record {} HISTORY",
        file.display(),
        directory.display(),
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}
