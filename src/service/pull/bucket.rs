//! A directory that is a copy of a bucket, mounted or synchronised: its objects by key, as they were before gzip. It knows no
//! format, and reads nothing outside of the directory, whatever a key says.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, ensure};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::transport::body;
use keywatch_store::Instant;

use crate::limits::pull::{PULL_TRAIL_DEPTH_MAX, PULL_TRAIL_FILES_MAX};

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    root: PathBuf,
}

/// A file in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Object {
    /// When it was written there.
    pub(crate) written: Instant,
    /// Its place below the directory, as a bucket names it.
    pub(crate) key: String,
}

impl Bucket {
    /// A directory that may not be there yet.
    pub(crate) fn new(root: &Path) -> Bucket {
        Bucket { root: root.to_owned() }
    }

    /// The files that were written since then, the oldest first. Directories of days (`2025/02/21`) that ended two days before
    /// are not gone into. Links are not followed.
    ///
    /// # Errors
    /// It cannot be read, or holds too much.
    pub(crate) fn objects(&self, since: Instant) -> anyhow::Result<Vec<Object>> {
        let mut found = Vec::new();
        let days = since.saturating_add(-2 * DAY_NS).to_string();
        let oldest = days.get(..10).unwrap_or_default().replace('-', "/");
        let mut looked = 0;
        let mut open = vec![(self.root.clone(), String::new(), 0)];
        while let Some((directory, key, depth)) = open.pop() {
            let about = || format!("cannot read {}", directory.display());
            ensure!(depth < PULL_TRAIL_DEPTH_MAX, "{}: more than {PULL_TRAIL_DEPTH_MAX} deep", directory.display());
            for entry in directory.read_dir().with_context(about)? {
                let entry = entry.with_context(about)?;
                looked += 1;
                ensure!(
                    looked <= PULL_TRAIL_FILES_MAX,
                    "{}: more than {PULL_TRAIL_FILES_MAX} files; keep fewer days there",
                    self.root.display()
                );
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                let key = if key.is_empty() { name } else { format!("{key}/{name}") };
                let kind = entry.file_type().with_context(about)?;
                if kind.is_dir() && !is_before(&key, &oldest) {
                    open.push((entry.path(), key, depth + 1));
                } else if kind.is_file() {
                    // It may be gone again.
                    let Some(written) = entry.metadata().ok().and_then(|metadata| written(&metadata)) else { continue };
                    found.extend((written >= since).then_some(Object { written, key }));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// An object as it was before gzip.
    ///
    /// # Errors
    /// Why it cannot be read, in words that stand behind its name.
    pub(crate) fn read(&self, key: &str) -> Result<Vec<u8>, String> {
        let inside = !key.is_empty() && Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err("names no place in the bucket".to_owned());
        }
        let mut bytes = Vec::new();
        let path = self.root.join(key);
        let opened = File::open(&path).and_then(|file| file.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("is missing".to_owned()),
            Err(error) => return Err(format!("cannot be read: {error}")),
            Ok(_) => {}
        }
        let encoding = bytes.starts_with(&[0x1f, 0x8b]).then_some("gzip");
        let decoded =
            body::decode(encoding, &bytes, BODY_BYTES_MAX).map_err(|error| format!("cannot be read: {error}"));
        decoded.map(std::borrow::Cow::into_owned)
    }
}

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Whether a directory is one of a day, and that day is before `oldest` (`2025/02/21`).
fn is_before(key: &str, oldest: &str) -> bool {
    let day = key.len().checked_sub(oldest.len()).and_then(|at| key.get(at..)).unwrap_or_default();
    let is_day = day.len() == 10
        && day
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'/' } else { byte.is_ascii_digit() });
    is_day && day < oldest
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
        let bucket = Bucket::new(&root);
        assert_eq!(bucket.read("AWSLogs/a.json").unwrap(), b"{}");
        assert_eq!(bucket.read("AWSLogs/b.json").unwrap_err(), "is missing");
        let absolute = directory.path().join("secret").display().to_string();
        for key in ["../secret", "AWSLogs/../../secret", absolute.as_str(), ""] {
            assert_eq!(bucket.read(key).unwrap_err(), "names no place in the bucket", "{key}");
        }
    }

    #[test]
    fn files_are_listed_by_when_they_were_written_and_old_days_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for day in ["2025/02/18", "2025/02/19", "2025/02/21"] {
            fs::create_dir_all(directory.path().join("a").join(day)).unwrap();
            fs::write(directory.path().join("a").join(day).join("x.json"), "{}").unwrap();
        }
        let bucket = Bucket::new(directory.path());
        // The files are of now; what counts for a day is its directory.
        let keys = |since: &str| -> Vec<String> {
            let mut keys: Vec<String> =
                bucket.objects(since.parse().unwrap()).unwrap().into_iter().map(|object| object.key).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys("2025-02-21T05:00:00Z"), ["a/2025/02/19/x.json", "a/2025/02/21/x.json"]);
        assert_eq!(keys("2025-02-20T05:00:00Z").len(), 3);
        assert_eq!(keys("2100-01-01T00:00:00Z").len(), 0);
        assert!(is_before("p/2025/02/18", "2025/02/19") && !is_before("p/2025/02/19", "2025/02/19"));
        assert!(!is_before("p/2025", "2025/02/19") && !is_before("2025-02-18", "2025/02/19"));
    }
}
