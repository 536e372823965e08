//! Events of old blocks in a file, and beside it how far they go, so that a run that was broken off goes on where it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use keywatch_ingest::chain::follow::Used;
use serde::{Deserialize, Serialize};

/// How far a file goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// The source of the chain.
    pub(super) source: String,
    /// First block of the range.
    pub(super) from: u64,
    /// Its last one.
    pub(super) to: u64,
    /// The block that is read next.
    pub(super) next: u64,
    /// Events of the blocks before it.
    pub(super) events: u64,
    /// Bytes that these take.
    bytes: u64,
    /// How many addresses of wallets with a descriptor these blocks showed to be used, by branch.
    pub(super) used: Used,
}

/// A file that is being written.
pub(super) struct EventFile {
    out: BufWriter<File>,
    /// Where it stands how far the file goes.
    beside: PathBuf,
    progress: Progress,
}

impl EventFile {
    /// How far the file at `path` goes that was begun before, if one was.
    ///
    /// # Errors
    /// What stands beside it cannot be read.
    pub(super) fn begun(path: &Path) -> anyhow::Result<Option<Progress>> {
        let beside = beside(path);
        match fs::read_to_string(&beside) {
            Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| beside.display().to_string())?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| beside.display().to_string()),
        }
    }

    /// Makes a new file for the events of a range of blocks.
    ///
    /// # Errors
    /// There is one already, or it cannot be made.
    pub(super) fn create(path: &Path, source: &str, from: u64, to: u64) -> anyhow::Result<EventFile> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.with_context(|| path.display().to_string())?;
        let progress =
            Progress { source: source.to_owned(), from, to, next: from, events: 0, bytes: 0, used: Used::new() };
        Ok(EventFile { out: BufWriter::new(file), beside: beside(path), progress })
    }

    /// Opens one that was begun; what was written of the block that broke off is taken out.
    ///
    /// # Errors
    /// It is shorter than what stands beside it says, or cannot be opened.
    pub(super) fn go_on(path: &Path, progress: Progress) -> anyhow::Result<EventFile> {
        let beside = beside(path);
        let file = OpenOptions::new().write(true).open(path);
        let mut file = file.with_context(|| path.display().to_string())?;
        let bytes = file.metadata()?.len();
        ensure!(
            bytes >= progress.bytes,
            "{} has {bytes} bytes and not the {} of {}; delete both to begin anew",
            path.display(),
            progress.bytes,
            beside.display()
        );
        file.set_len(progress.bytes)?;
        file.seek(SeekFrom::Start(progress.bytes))?;
        Ok(EventFile { out: BufWriter::new(file), beside, progress })
    }

    /// Keeps that everything before the block `next` is written, with so many events.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(super) fn keep(&mut self, next: u64, events: u64, used: Used) -> anyhow::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_data()?;
        let bytes = self.out.stream_position()?;
        self.progress = Progress { next, events, bytes, used, ..self.progress.clone() };
        let whole = self.beside.with_extension("new");
        fs::write(&whole, serde_json::to_string(&self.progress)?)?;
        fs::rename(whole, &self.beside).with_context(|| self.beside.display().to_string())
    }

    /// The file is whole.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        match fs::remove_file(&self.beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| self.beside.display().to_string())
            }
            _ => Ok(()),
        }
    }
}

impl Write for EventFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".progress");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_of_a_block_that_broke_off_is_written_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let used = Used::from([("wpkh/0".to_owned(), 7)]);
        let mut file = EventFile::create(&path, "node", 5, 9).unwrap();
        assert_eq!(EventFile::begun(&path).unwrap(), None, "nothing is kept of it yet");
        file.write_all(b"one\n").unwrap();
        file.keep(7, 1, used.clone()).unwrap();
        file.write_all(b"tw").unwrap();
        file.flush().unwrap();
        drop(file);

        let progress = EventFile::begun(&path).unwrap().unwrap();
        assert_eq!((progress.from, progress.to, progress.next, progress.events), (5, 9, 7, 1));
        assert_eq!(progress.used, used);
        let mut file = EventFile::go_on(&path, progress).unwrap();
        file.write_all(b"two\n").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(EventFile::begun(&path).unwrap(), None);
        assert!(EventFile::create(&path, "node", 5, 9).is_err(), "a file that is whole is written over by nobody");
    }

    #[test]
    fn a_file_that_lost_what_it_had_is_not_gone_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let mut file = EventFile::create(&path, "node", 5, 9).unwrap();
        file.write_all(b"one\n").unwrap();
        file.keep(7, 1, Used::new()).unwrap();
        fs::write(&path, "o").unwrap();
        let progress = EventFile::begun(&path).unwrap().unwrap();
        let refused = EventFile::go_on(&path, progress).err().unwrap().to_string();
        assert!(refused.contains("has 1 bytes and not the 4 of"), "{refused}");
    }
}
