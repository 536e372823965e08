//! Files that the configuration names and that are read as a whole: secrets, and what decision points are asked.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// The text of a file.
///
/// # Errors
/// It cannot be read; the file is named.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
