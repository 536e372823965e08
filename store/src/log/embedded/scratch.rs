//! A second directory with what stands of a log's storage, which the storage crate may open without harm to the first.
//!
//! Tables are never changed once written and are linked; journals get only the commits that verify; the rest is copied.

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::cannot_write;
use super::disk::Disk;
use super::files;
use crate::Error;

/// The directory; it is removed when dropped.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one within the log's directory, where files can be linked.
    pub(super) fn of(directory: &Path) -> Result<Scratch, Error> {
        let scratch = Scratch { path: directory.join("scratch") };
        scratch.clear()?;
        let filled = fill(&directory.join("data"), &scratch.path.join("data"));
        filled.map_err(|error| cannot_write(&scratch.path, &error))?;
        Ok(scratch)
    }

    /// Opens what stands; where the crate will not have it, without the tables that do not match their checksums.
    pub(super) fn open(&self) -> Result<Disk, Error> {
        let data = self.path.join("data");
        files::mend_manifests(&data, false);
        Disk::open(&self.path).or_else(|_| {
            files::mend_manifests(&data, true);
            Disk::open(&self.path)
        })
    }

    fn clear(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot_write(&self.path, &error)),
            _ => Ok(()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(%error, "a directory of scratch files stays behind");
        }
    }
}

fn fill(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let target = to.join(&name);
        let kept = from.file_name().is_some_and(|folder| folder == "tables" || folder == "blobs");
        if path.is_dir() {
            fill(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "jnl") {
            fs::write(&target, files::sound_commits(&fs::read(&path)?))?;
        } else if !kept || fs::hard_link(&path, &target).is_err() {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
