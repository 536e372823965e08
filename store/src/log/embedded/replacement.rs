//! How the log that an acceptance wrote takes the place of the damaged one: whoever opens or looks through a log brings
//! to its end what was broken off. It does not know what the new log holds.

use std::fs;
use std::path::Path;

use super::directory::{cannot_write, sync_directory};
use crate::Error;

/// The directory in which the new log is written.
pub(super) const NEW: &str = "accepting";

/// The file that says that it is complete, and what moves where.
pub(super) const COMPLETE: &str = "complete";

/// Brings an acceptance to its end that was broken off: what was complete takes its place, what was not goes away.
pub(super) fn finish(path: &Path) -> Result<(), Error> {
    let new = path.join(NEW);
    let failed = |error: std::io::Error| cannot_write(&new, &error);
    if !new.exists() {
        return Ok(());
    }
    if let Ok(moves) = fs::read_to_string(new.join(COMPLETE)) {
        let mut names = moves.lines();
        let aside = path.join(names.next().unwrap_or("damaged"));
        fs::create_dir_all(&aside).map_err(failed)?;
        for name in ["data", "head"] {
            let (stands, goes, comes) = (path.join(name), aside.join(name), new.join(name));
            if comes.exists() {
                if stands.exists() && !goes.exists() {
                    fs::rename(&stands, &goes).map_err(failed)?;
                }
                fs::rename(&comes, &stands).map_err(failed)?;
            }
        }
        for (stands, goes) in names.map(|name| (path.join(name), aside.join(name))) {
            if stands.exists() && !goes.exists() {
                fs::rename(&stands, &goes).map_err(failed)?;
            }
        }
        sync_directory(&new).and_then(|()| sync_directory(&aside.join("data"))).map_err(failed)?;
    }
    fs::remove_dir_all(&new).map_err(failed)
}
