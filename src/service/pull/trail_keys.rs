//! The file of public keys that the digests of trails are proved with. It does not know whose they are.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use keywatch_ingest::Problem;
use keywatch_ingest::feeds::cloudtrail::trail::PublicKeys;

/// The public keys of trails that a file holds.
///
/// # Errors
/// It cannot be read, or holds none.
pub(crate) fn read_trail_keys(file: &Path) -> anyhow::Result<PublicKeys> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    PublicKeys::parse(&text).map_err(|Problem { field, reason }| {
        anyhow!("{}: {field}: {reason} (`aws cloudtrail list-public-keys` prints such a file)", file.display())
    })
}
