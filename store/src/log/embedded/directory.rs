//! The log's directory: made once, locked while open, and the key that its writer signs with.
//!
//! ```text
//! <directory>/LOCK            held by the process that has the log open
//! <directory>/<role>.key      64 hexadecimal digits, readable by the owner alone
//! <directory>/head            where each topic ends (`head_file`)
//! <directory>/data/           the storage crate's files
//! <directory>/ids/            the index of ids, which is made of the log and may be deleted
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::limits::LOCK_WAIT_MS_MAX;
use crate::log::hash_chain::Key;

/// Makes the directory if it is not there and locks it until the file is dropped.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).map_err(|error| cannot_write(path, &error))?;
    let file = OpenOptions::new().create(true).append(true).open(path.join("LOCK"));
    let file = file.map_err(|error| cannot_write(path, &error))?;
    wait_for_lock(&file, path, LOCK_WAIT_MS_MAX)?;
    Ok(file)
}

/// Locks a file that may still be held for a moment: by threads that close it, or by a child process that was forked while it
/// was open and has not yet begun its own program.
pub(super) fn wait_for_lock(file: &File, path: &Path, milliseconds_max: u32) -> Result<(), Error> {
    for _ in 0..milliseconds_max {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            Err(TryLockError::Error(error)) => return Err(cannot_write(path, &error)),
        }
    }
    Err(Error::InUse { path: path.to_owned() })
}

/// Where a role's key lies unless the options say otherwise.
pub(super) fn key_file(path: &Path, role: &str) -> PathBuf {
    path.join(format!("{role}.key"))
}

/// Where the index of ids lies.
pub(super) fn ids(path: &Path) -> PathBuf {
    path.join("ids")
}

/// The key of a role that `file` holds, as 64 hexadecimal digits.
///
/// # Errors
/// [`Error::Storage`] where the file cannot be read, or holds no key.
pub fn read_key(file: &Path) -> Result<Key, Error> {
    let text = fs::read_to_string(file).map_err(|error| {
        storage(file, format!("cannot read the key that this log was written with: {error}; restore it"))
    })?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim(), &mut secret)
        .map_err(|_| storage(file, "is not 64 hexadecimal digits; restore the key".to_owned()))?;
    Ok(Key::new(&secret))
}

/// Draws a key and writes it, unless a key lies there already. It appears under its name whole or not at all.
pub(in crate::log) fn create_key(file: &Path) -> Result<(), Error> {
    if file.exists() {
        return Ok(());
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| storage(file, format!("cannot draw a key: {error}")))?;
    let draft = file.with_extension("key.new");
    let written = write_private(&draft, &hex::encode(secret)).and_then(|()| fs::rename(&draft, file));
    written.and_then(|()| sync_directory(file)).map_err(|error| cannot_write(file, &error))
}

/// Writes the key in `from` to a file that is not there yet.
///
/// # Errors
/// As of [`read_key`]; [`Error::Storage`] where the file is there.
pub(super) fn copy_key(from: &Path, to: &Path) -> Result<(), Error> {
    read_key(from)?;
    if to.exists() {
        return Err(storage(to, "there is a key already; name a directory without a log".to_owned()));
    }
    let text = fs::read_to_string(from).map_err(|error| storage(from, error.to_string()))?;
    let draft = to.with_extension("key.new");
    let written = write_private(&draft, text.trim()).and_then(|()| fs::rename(&draft, to));
    written.and_then(|()| sync_directory(to)).map_err(|error| cannot_write(to, &error))
}

fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut handle = options.open(file)?;
    writeln!(handle, "{text}")?;
    handle.sync_all()
}

/// Makes a new name in the directory of `file` durable.
pub(in crate::log) fn sync_directory(file: &Path) -> std::io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

pub(in crate::log) fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::CannotWrite { path: path.to_owned(), problem: error.to_string() }
}

fn storage(path: &Path, problem: String) -> Error {
    Error::Storage { path: path.to_owned(), problem }
}
