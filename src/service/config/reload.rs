//! `[[credentials]]` of the configuration file read once more while keywatch runs, and checked as at the start against
//! everything else as it was then. Opens no file but that one.

use std::path::Path;

use anyhow::{Context, ensure};
use keywatch_store::Inventory;

use super::credential::{Credential, Signature};
use super::{Config, check, parse, read};

/// Who may send as the file says now.
///
/// # Errors
/// As of [`super::load`].
pub(crate) fn credentials(running: &Config, inventory: &Inventory) -> anyhow::Result<Vec<Credential>> {
    let file = running.file.display().to_string();
    let text = read(&running.file).with_context(|| format!("cannot read {file}"))?;
    // A disk that is full, or somebody who writes it anew, leaves it empty for a while. That takes out nobody.
    ensure!(!text.trim().is_empty(), "{file} is empty");
    let home = running.file.parent().unwrap_or(Path::new(""));
    let mut credentials = parse(&file, &text)?.credentials;
    let signatures = credentials.iter_mut().filter_map(|credential| credential.signature.as_mut());
    for path in signatures.flat_map(Signature::paths) {
        *path = home.join(&*path);
    }
    let changed = Config { credentials, ..running.clone() };
    check(&changed, inventory).context(file)?;
    Ok(changed.credentials)
}
