//! How much room the file system of the log has. Asked for when metrics are gathered, since nobody tells of it.

use std::path::Path;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes that an ordinary user may still write.
    pub(crate) free: u64,
    /// Bytes in all.
    pub(crate) size: u64,
}

/// The room of the file system that `path` is on; `None` where it cannot be asked.
pub(crate) fn room(path: &Path) -> Option<Room> {
    let system = rustix::fs::statvfs(path).ok()?;
    Some(Room {
        free: system.f_bavail.saturating_mul(system.f_frsize),
        size: system.f_blocks.saturating_mul(system.f_frsize),
    })
}
