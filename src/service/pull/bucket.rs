//! A bucket, or a directory that is a copy of one, mounted or synchronised: its objects by key, as they were before gzip. It
//! knows no format, and reads nothing outside of the directory, whatever a key says.

use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, ensure};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::transport::body;
use keywatch_store::Instant;

use super::azure_blob::AzureBlob;
use super::objects::{Entry, Object, Part, Unread};
use super::s3::S3;
use crate::limits::{PULL_TRAIL_DEPTH_MAX, PULL_TRAIL_FILES_MAX, PULL_TRAIL_LOOKED_MAX};

/// Where objects lie.
#[derive(Clone, Debug)]
pub(crate) enum Bucket {
    /// A directory, which may not be there yet.
    Directory(PathBuf),
    /// The bucket itself.
    S3(S3),
    /// A container of Azure, which is one too.
    Azure(AzureBlob),
}

/// What was written somewhere.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The files, the oldest first.
    pub(crate) files: Vec<Object>,
    /// Whether younger ones lie there that are not among them.
    pub(crate) has_more: bool,
}

/// Why a list that is cut gives nothing new, and what to set.
pub(super) fn too_many(since: Instant) -> String {
    format!(
        "more than {PULL_TRAIL_FILES_MAX} files were written there since {since}, of which all that are kept of a list were read: \
         set a shorter overlap_seconds, or have the source write fewer and larger files"
    )
}

/// The oldest files of many.
struct Oldest {
    files: BinaryHeap<Object>,
    files_max: usize,
    has_more: bool,
}

impl Oldest {
    fn new(files_max: usize) -> Oldest {
        Oldest { files: BinaryHeap::new(), files_max, has_more: false }
    }

    fn add(&mut self, object: Object) {
        self.files.push(object);
        if self.files.len() > self.files_max {
            self.files.pop();
            self.has_more = true;
        }
    }

    fn listed(self) -> Listed {
        Listed { files: self.files.into_sorted_vec(), has_more: self.has_more }
    }
}

impl Bucket {
    /// The files that were written since then, the oldest first and not more than are kept. Links are not followed. It blocks.
    ///
    /// Of the bucket itself, places of years, months and days (`2025/02/21`) that ended two days before are not listed. A copy
    /// has files of old days when somebody copies them.
    ///
    /// # Errors
    /// It cannot be read, or holds too much.
    pub(crate) fn objects(&self, since: Instant) -> anyhow::Result<Listed> {
        let mut oldest_files = Oldest::new(PULL_TRAIL_FILES_MAX);
        let days = since.saturating_add(-2 * DAY_NS).to_string();
        let oldest = days.get(..10).unwrap_or_default().replace('-', "/");
        let mut looked = 0;
        let mut open = vec![(String::new(), 0)];
        while let Some((place, depth)) = open.pop() {
            let mut each = |entry: Entry| {
                looked += 1;
                ensure!(
                    looked <= PULL_TRAIL_LOOKED_MAX,
                    "more than {PULL_TRAIL_LOOKED_MAX} files and directories lie there; have old ones expire, or moved elsewhere"
                );
                match entry {
                    Entry::File(object) if object.written < since => {}
                    Entry::File(object) => oldest_files.add(object),
                    Entry::Directory(key) if self.is_old(&key, &oldest) => {}
                    // Nobody who writes logs goes so deep, and whoever else puts a file there stops no look.
                    Entry::Directory(key) if depth >= PULL_TRAIL_DEPTH_MAX => {
                        tracing::warn!(place = key, "a directory lies too deep and is not read");
                    }
                    Entry::Directory(key) => open.push((key, depth + 1)),
                }
                Ok(())
            };
            self.list(&place, &mut each).with_context(|| format!("cannot list `{place}`"))?;
        }
        Ok(oldest_files.listed())
    }

    /// Whether a place is one of a year, a month or a day that ended before `oldest`.
    fn is_old(&self, place: &str, oldest: &str) -> bool {
        match self {
            Bucket::Directory(_) => false,
            Bucket::S3(_) => is_before(place, oldest),
            Bucket::Azure(_) => is_before_of_azure(place, oldest),
        }
    }

    fn list(&self, place: &str, each: &mut dyn FnMut(Entry) -> anyhow::Result<()>) -> anyhow::Result<()> {
        match self {
            Bucket::Directory(root) => list(&root.join(place), place, each),
            Bucket::S3(bucket) => bucket.list(&below(place), each),
            Bucket::Azure(container) => container.list(&below(place), each),
        }
    }

    /// An object as it was before gzip. It blocks.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) fn read(&self, key: &str) -> Result<Vec<u8>, Unread> {
        self.read_signed(key).map(|(content, _)| content)
    }

    /// The same, and the signature that stands in the object's metadata, which a directory does not have.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn read_signed(&self, key: &str) -> Result<(Vec<u8>, Option<String>), Unread> {
        inside(key)?;
        let (bytes, signature) = match self {
            Bucket::Directory(root) => (file(&root.join(key))?, None),
            Bucket::S3(bucket) => bucket.object(key)?,
            Bucket::Azure(container) => (container.object(key)?, None),
        };
        let encoding = bytes.starts_with(&[0x1f, 0x8b]).then_some("gzip");
        let decoded = body::decode(encoding, &bytes, BODY_BYTES_MAX);
        let decoded = decoded.map_err(|error| Unread::No(format!("cannot be read: {error}")))?;
        Ok((decoded.into_owned(), signature))
    }

    /// A part of an object as it lies there; empty behind its end. It blocks.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn read_part(&self, key: &str, part: Part) -> Result<Vec<u8>, Unread> {
        inside(key)?;
        match self {
            Bucket::Directory(root) => part_of(&root.join(key), part).map_err(|error| unread(&error)),
            Bucket::S3(bucket) => bucket.part(key, part),
            Bucket::Azure(container) => container.part(key, part),
        }
    }
}

/// Fails where a key leads out of the bucket.
fn inside(key: &str) -> Result<(), Unread> {
    // A path forgets `.`, and an address that has one is another than what was signed.
    let is_inside = !key.is_empty()
        && Path::new(key).components().all(|part| matches!(part, Component::Normal(_)))
        && key.split('/').all(|part| part != ".");
    if is_inside { Ok(()) } else { Err(Unread::No("names no place in the bucket".to_owned())) }
}

/// The prefix of what lies below a place.
fn below(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!("{place}/") }
}

fn list(directory: &Path, place: &str, each: &mut dyn FnMut(Entry) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let about = || format!("cannot read {}", directory.display());
    for entry in directory.read_dir().with_context(about)? {
        let entry = entry.with_context(about)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let key = if place.is_empty() { name } else { format!("{place}/{name}") };
        let kind = entry.file_type().with_context(about)?;
        if kind.is_dir() {
            each(Entry::Directory(key))?;
        } else if kind.is_file() {
            // It may be gone again.
            let Some(written) = entry.metadata().ok().and_then(|metadata| written(&metadata)) else { continue };
            each(Entry::File(Object { written, key }))?;
        }
    }
    Ok(())
}

fn file(path: &Path) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() > BODY_BYTES_MAX => Err(Unread::Large(format!("has more than {BODY_BYTES_MAX} bytes"))),
        Ok(_) => Ok(bytes),
        Err(error) => Err(unread(&error)),
    }
}

fn part_of(path: &Path, part: Part) -> io::Result<Vec<u8>> {
    let (mut file, mut bytes) = (File::open(path)?, Vec::new());
    file.seek(SeekFrom::Start(part.from))?;
    file.take(part.bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unread(error: &io::Error) -> Unread {
    if error.kind() == io::ErrorKind::NotFound {
        return Unread::No("is missing".to_owned());
    }
    Unread::Later(format!("cannot be read: {error}"))
}

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Whether a place in a container was before `oldest`, where Azure writes `y=2025/m=02/d=21`: whoever calls a resource group
/// `2019` hides nothing in it.
fn is_before_of_azure(key: &str, oldest: &str) -> bool {
    let date = key.rsplit_once("/y=").map(|(_, date)| date.replace("/m=", "/").replace("/d=", "/"));
    date.is_some_and(|date| is_before(&date, oldest))
}

/// Whether a directory is one of a year, a month or a day, and that was before `oldest` (`2025/02/21`).
fn is_before(key: &str, oldest: &str) -> bool {
    [10, 7, 4].into_iter().any(|length| {
        let at = key.len().checked_sub(length).filter(|at| *at == 0 || key.as_bytes()[at - 1] == b'/');
        let date = at.and_then(|at| key.get(at..)).unwrap_or_default();
        let is_part = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'/' } else { byte.is_ascii_digit() };
        let is_date = !date.is_empty() && date.bytes().enumerate().all(is_part);
        is_date && oldest.get(..length).is_some_and(|oldest| date < oldest)
    })
}

fn written(metadata: &fs::Metadata) -> Option<Instant> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Instant(i64::try_from(since.as_nanos()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_a_key_leads_nowhere_but_into_the_bucket() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("bucket");
        fs::create_dir_all(root.join("AWSLogs")).unwrap();
        fs::write(directory.path().join("secret"), "s").unwrap();
        fs::write(root.join("AWSLogs/a.json"), "{}").unwrap();
        let bucket = Bucket::Directory(root);
        assert_eq!(bucket.read("AWSLogs/a.json").unwrap(), b"{}");
        assert_eq!(bucket.read("AWSLogs/b.json").unwrap_err(), Unread::No("is missing".to_owned()));
        let absolute = directory.path().join("secret").display().to_string();
        for key in ["../secret", "AWSLogs/../../secret", "AWSLogs/./a.json", absolute.as_str(), ""] {
            assert_eq!(bucket.read(key).unwrap_err().into_words(), "names no place in the bucket", "{key}");
        }
    }

    #[test]
    fn p7_a_file_that_lies_too_deep_stops_no_look() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d/".repeat(PULL_TRAIL_DEPTH_MAX));
        fs::create_dir_all(deep.join("d")).unwrap();
        for place in [directory.path(), deep.as_path(), deep.join("d").as_path()] {
            fs::write(place.join("x.json"), "{}").unwrap();
        }
        let found = Bucket::Directory(directory.path().to_owned()).objects(Instant(0)).unwrap();
        assert_eq!(found.files.len(), 2, "{found:?}");
    }

    #[test]
    fn p7_of_too_many_files_the_oldest_are_kept_and_it_is_said_that_there_are_more() {
        let mut oldest = Oldest::new(3);
        for written in [5, 1, 4] {
            oldest.add(Object { written: Instant(written), key: written.to_string() });
        }
        assert!(!oldest.has_more);
        for written in [2, 3, 9] {
            oldest.add(Object { written: Instant(written), key: written.to_string() });
        }
        let Listed { files, has_more } = oldest.listed();
        assert_eq!((files.iter().map(|file| file.written.0).collect::<Vec<_>>(), has_more), (vec![1, 2, 3], true));
    }

    #[test]
    fn files_are_listed_by_when_they_were_written_and_old_days_of_the_bucket_itself_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for day in ["2025/02/18", "2025/02/19", "2025/02/21"] {
            fs::create_dir_all(directory.path().join("a").join(day)).unwrap();
            fs::write(directory.path().join("a").join(day).join("x.json"), "{}").unwrap();
        }
        let bucket = Bucket::Directory(directory.path().to_owned());
        // The files are of now, whatever day their directory is of.
        let keys = |since: &str| -> Vec<String> {
            let mut keys: Vec<String> =
                bucket.objects(since.parse().unwrap()).unwrap().files.into_iter().map(|object| object.key).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys("2025-02-21T05:00:00Z").len(), 3);
        assert_eq!(keys("2100-01-01T00:00:00Z").len(), 0);
        assert!(is_before("p/2025/02/18", "2025/02/19") && !is_before("p/2025/02/19", "2025/02/19"));
        assert!(is_before("p/2024", "2025/02/19") && is_before("p/2025/01", "2025/02/19"));
        for key in ["r=/S/y=2025/m=02/d=18", "r=/S/y=2025/m=01", "r=/S/y=2024"] {
            assert!(is_before_of_azure(key, "2025/02/19"), "{key}");
        }
        for key in ["r=/S/y=2025/m=02/d=19", "r=/S/y=2025/m=02/d=18/h=05", "r=/S/RESOURCEGROUPS/2019", "r=/S/2024/01"] {
            assert!(!is_before_of_azure(key, "2025/02/19"), "{key}");
        }
        for key in ["p/2025", "p/2025/02", "2025-02-18", "p/12024", "p/111122220000", "p", ""] {
            assert!(!is_before(key, "2025/02/19"), "{key}");
        }
    }
}
