//! Segments on disk: one file a topic, to which each is appended with its length and sealed with the log's key.
//!
//! What cannot be read or does not follow on what stands before it ends the file: the rest is made again. A disk that takes
//! no more costs the next start time and nothing else.

use std::fs::{self, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::segment::Segment;
use crate::Topic;
use crate::limits::SEGMENT_BYTES_MAX;
use crate::log::hash_chain::Key;

/// The 2 is the form of segments; those of another are made again.
const MAGIC: &[u8] = b"keywatch segments 2\n";

/// Where segments are kept; nowhere once writing has failed.
#[derive(Debug)]
pub(super) struct File(Option<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    name: String,
    key: Key,
    out: BufWriter<fs::File>,
}

impl File {
    /// Keeps nothing.
    pub(super) fn none() -> File {
        File(None)
    }

    /// Opens or makes the file, and reads what stands in it.
    pub(super) fn open(directory: &Path, topic: Topic, key: &Key) -> (File, Vec<Segment>) {
        let (path, name) = (directory.join(topic.name()), format!("segments/{}", topic.name()));
        let (found, length) = read(&path, &name, key);
        let opened = fs::create_dir_all(directory).and_then(|()| {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(length)?;
            let mut out = BufWriter::new(file);
            if length == 0 {
                out.write_all(MAGIC)?;
            }
            Ok(Open { path: path.clone(), name, key: key.clone(), out })
        });
        match opened {
            Ok(open) => (File(Some(open)), found),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "segments cannot be kept; each start makes them again");
                (File(None), found)
            }
        }
    }

    pub(super) fn append(&mut self, segment: &Segment) {
        self.write(|open| {
            let frame = open.frame(segment);
            open.out.write_all(&frame)
        });
    }

    pub(super) fn flush(&mut self) {
        self.write(|open| open.out.flush());
    }

    /// Leaves the first of what stands in it, which are these.
    pub(super) fn keep_first(&mut self, segments: &[Segment]) {
        self.write(|open| open.replace(segments.iter()));
    }

    /// Leaves these.
    pub(super) fn rewrite(&mut self, segments: &[Arc<Segment>]) {
        self.write(|open| open.replace(segments.iter().map(Arc::as_ref)));
    }

    fn write(&mut self, write: impl FnOnce(&mut Open) -> std::io::Result<()>) {
        let Some(open) = &mut self.0 else { return };
        if let Err(error) = write(open) {
            tracing::warn!(path = %open.path.display(), %error, "segments are kept no more; the next start makes them");
            self.0 = None;
        }
    }
}

impl Open {
    fn frame(&self, segment: &Segment) -> Vec<u8> {
        let sealed = self.key.seal_value(self.name.as_bytes(), &segment.to_bytes());
        let length = u32::try_from(sealed.len()).expect("a segment is limited in records");
        [length.to_be_bytes().as_slice(), &sealed].concat()
    }

    fn replace<'a>(&mut self, segments: impl Iterator<Item = &'a Segment>) -> std::io::Result<()> {
        let draft = self.path.with_extension("unfinished");
        let mut out = BufWriter::new(fs::File::create(&draft)?);
        out.write_all(MAGIC)?;
        for segment in segments {
            out.write_all(&self.frame(segment))?;
        }
        out.flush()?;
        fs::rename(&draft, &self.path)?;
        self.out = BufWriter::new(OpenOptions::new().append(true).open(&self.path)?);
        Ok(())
    }
}

/// The sealed segments at the beginning of the file that follow on one another, and how many bytes they take.
fn read(path: &Path, name: &str, key: &Key) -> (Vec<Segment>, u64) {
    let Ok(file) = fs::File::open(path) else { return (Vec::new(), 0) };
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut magic = [0; MAGIC.len()];
    if file.read_exact(&mut magic).is_err() || magic != *MAGIC {
        return (Vec::new(), 0);
    }
    let (mut found, mut length): (Vec<Segment>, u64) = (Vec::new(), MAGIC.len() as u64);
    let mut sealed = Vec::new();
    while let Some(segment) = next(&mut file, &mut sealed, name, key) {
        let follows = found.last().is_none_or(|last| last.end <= segment.first);
        if !follows || segment.first >= segment.end {
            break;
        }
        length += 4 + sealed.len() as u64;
        found.push(segment);
    }
    (found, length)
}

fn next(file: &mut impl Read, sealed: &mut Vec<u8>, name: &str, key: &Key) -> Option<Segment> {
    let mut length = [0; 4];
    file.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length) as usize;
    if length > SEGMENT_BYTES_MAX {
        return None;
    }
    sealed.resize(length, 0);
    file.read_exact(sealed).ok()?;
    Segment::from_bytes(key.open_value(name.as_bytes(), sealed)?)
}
