//! Files of snapshots in a directory beside the log: a new one takes the place of an old one in one step, the two newest are
//! kept, and what is read is known to be whole. It does not know what is in them.
//!
//! A file is `<position>.<extension>`: what was written, then SHA-256 of it.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use keywatch_store::{EventId, Log, Position, Topic};
use sha2::{Digest, Sha256};

const KEPT: usize = 2;
const DIGEST_BYTES: u64 = 32;

/// The files of one directory.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotFiles {
    directory: PathBuf,
    extension: &'static str,
}

/// Digests what is written through it.
pub(crate) struct Digesting<W = BufWriter<File>> {
    out: W,
    digest: Sha256,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl SnapshotFiles {
    /// Those in a directory, which is made when the first is written.
    pub(crate) fn at(directory: &Path, extension: &'static str) -> SnapshotFiles {
        SnapshotFiles { directory: directory.to_owned(), extension }
    }

    /// Name of their directory.
    pub(crate) fn directory_name(&self) -> String {
        self.directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes the one of a position. A crash leaves the older ones in place.
    ///
    /// # Errors
    /// The directory cannot be written, or `write` fails.
    pub(crate) fn write(
        &self,
        position: Position,
        write: impl FnOnce(&mut Digesting) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut out = Digesting { out: BufWriter::new(self.begin()?), digest: Sha256::new() };
        write(&mut out)?;
        let Digesting { mut out, digest } = out;
        out.write_all(&digest.finalize())?;
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        self.finish(position, &file)
    }

    /// A file for one that is not there yet, digest included. Until it is finished it is none.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn begin(&self) -> anyhow::Result<File> {
        fs::create_dir_all(&self.directory).with_context(|| self.directory.display().to_string())?;
        let unfinished = self.unfinished();
        File::create(&unfinished).with_context(|| unfinished.display().to_string())
    }

    /// Makes what was begun the one of a position.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn finish(&self, position: Position, begun: &File) -> anyhow::Result<()> {
        begun.sync_all()?;
        fs::rename(self.unfinished(), self.path(position))?;
        File::open(&self.directory)?.sync_all()?;
        for old in self.positions()?.into_iter().skip(KEPT) {
            fs::remove_file(self.path(old))?;
        }
        Ok(())
    }

    /// What was written at a position, and how many bytes that is, once it is known to be whole.
    ///
    /// # Errors
    /// It cannot be read, is cut off or damaged.
    pub(crate) fn read(&self, position: Position) -> anyhow::Result<(BufReader<File>, u64)> {
        let mut file = File::open(self.path(position))?;
        let bytes = file.metadata()?.len().checked_sub(DIGEST_BYTES).context("it is cut off")?;
        // Once through for the digest, so that it never lies in memory as a whole.
        let mut through = Digesting { out: std::io::sink(), digest: Sha256::new() };
        std::io::copy(&mut BufReader::new(&file).take(bytes), &mut through)?;
        file.seek(std::io::SeekFrom::Start(bytes))?;
        let mut stated = Vec::new();
        file.read_to_end(&mut stated)?;
        ensure!(through.digest.finalize().as_slice() == stated, "it is damaged");
        file.rewind()?;
        Ok((BufReader::new(file), bytes))
    }

    /// Positions of the snapshots, the newest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn positions(&self) -> anyhow::Result<Vec<Position>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| self.directory.display().to_string()),
        };
        let mut positions = Vec::new();
        for entry in entries {
            let name = PathBuf::from(entry?.file_name());
            let is_one = name.extension().is_some_and(|extension| extension == self.extension);
            let number = name.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            positions.extend(number.filter(|_| is_one).map(Position));
        }
        positions.sort_unstable();
        positions.reverse();
        Ok(positions)
    }

    fn unfinished(&self) -> PathBuf {
        self.directory.join("unfinished")
    }

    /// The file of a position.
    pub(crate) fn path(&self, position: Position) -> PathBuf {
        self.directory.join(format!("{:020}.{}", position.0, self.extension))
    }
}

/// The id of the last record of a topic before a position: who knows it is of the log that holds it.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn id_before(log: &dyn Log, topic: Topic, position: Position) -> anyhow::Result<Option<EventId>> {
    let Some(before) = position.0.checked_sub(1) else { return Ok(None) };
    Ok(log.read(topic, Position(before), 1)?.first().map(keywatch_store::Event::event_id))
}
