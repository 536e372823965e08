//! Digest files of `CloudTrail` among what is imported: they are no records, and prove the log files beside them where their
//! public keys are given. Knows how keys of objects stand to directories, and nothing of what a digest holds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use keywatch_ingest::Feed;
use keywatch_ingest::feeds::cloudtrail::trail::{PublicKeys, chain, hour_before, is_digest};
use keywatch_store::event::Origin;
use keywatch_store::{Instant, line};

use crate::output;
use crate::service::pull::bucket::Bucket;
use crate::service::pull::objects::Unread;
use crate::service::pull::start::read_trail_keys;

const FEED: &str = "cloudtrail";

/// The public keys of a file.
///
/// # Errors
/// The feed has no digests; the file cannot be read, or holds no key.
pub(super) fn keys(file: &Path, feed: &dyn Feed) -> anyhow::Result<PublicKeys> {
    ensure!(feed.name() == FEED, "--trail-keys: only for --feed {FEED}");
    read_trail_keys(file)
}

/// Takes the digest files out of those that are read as records, and says how many they were.
pub(super) fn take_digests(feed: &dyn Feed, files: &mut Vec<PathBuf>) -> usize {
    let before = files.len();
    if feed.name() == FEED {
        files.retain(|file| !is_digest(&file.to_string_lossy()));
    }
    before - files.len()
}

/// That digests were there and nobody asked what they prove; there are no gaps then.
pub(super) fn say_unproved(digests: usize) -> usize {
    if digests > 0 {
        output::note(&format!("{digests} digest files prove nothing without --trail-keys, and were passed over"));
    }
    0
}

/// Holds the digests of each directory against one another and against the log files; writes what does not agree as events, and
/// says how many there are.
///
/// # Errors
/// A directory cannot be read, or what is found cannot be written.
pub(super) fn prove(
    keys: &PublicKeys,
    paths: &[PathBuf],
    origin: &Origin,
    out: &mut impl Write,
) -> anyhow::Result<usize> {
    let (mut digests, mut proved, mut gaps) = (0, 0, 0);
    for directory in paths.iter().filter(|path| path.is_dir()) {
        let bucket = Bucket::Directory(directory.clone());
        let objects = bucket.objects(Instant(0))?;
        let mut names: Vec<&str> =
            objects.iter().map(|object| object.key.as_str()).filter(|key| is_digest(key)).collect();
        names.sort_unstable();
        let mut last: BTreeMap<String, &str> = BTreeMap::new();
        for name in names {
            digests += 1;
            // In order of their names those of a chain are in order of their times.
            let before = last.insert(chain(name), name);
            let read = |object: &str| bucket.read(object).map_err(Unread::into_words);
            let hour = read(name).and_then(|digest| {
                let hour = hour_before(keys, (name, &digest), before, &read);
                hour.map_err(|problem| format!("is no digest: {}: {}", problem.field, problem.reason))
            });
            match hour {
                Ok(hour) => {
                    proved += hour.proved;
                    gaps += hour.gaps.len();
                    for gap in &hour.gaps {
                        output::note(&format!("{}: {}", gap.missing, gap.cause));
                        writeln!(out, "{}", line::write(&gap.event(origin)))?;
                    }
                }
                Err(cause) => {
                    gaps += 1;
                    output::note(&format!("{name}: {cause}"));
                }
            }
        }
    }
    output::note(&format!("{digests} digest files: {proved} log files are as they were written, {gaps} gaps"));
    Ok(gaps)
}
