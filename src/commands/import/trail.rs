//! Digest files of `CloudTrail` among what is imported: they are no records, and prove the log files beside them where their
//! public keys are given. Knows how keys of objects stand to directories, and nothing of what a digest holds.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use keywatch_ingest::Feed;
use keywatch_ingest::feeds::cloudtrail::listed::{Listed, named_time};
use keywatch_ingest::feeds::cloudtrail::trail::{Gap, PublicKeys, chain, hour_before, is_digest, is_log};
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Instant, line};

use crate::output;
use crate::service::pull::bucket::Bucket;
use crate::service::pull::objects::{Object, Unread};
use crate::service::pull::trail_keys::read_trail_keys;

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
    let mut all = Proof::default();
    for directory in paths.iter().filter(|path| path.is_dir()) {
        let bucket = Bucket::Directory(directory.clone());
        let listed = bucket.objects(Instant(0))?;
        ensure!(
            !listed.has_more,
            "{}: more files than are proved at once; name the directory of each account or region apart",
            directory.display()
        );
        let objects = listed.files;
        let mut proof = Proof::of(keys, &bucket, &objects);
        proof.add_unlisted(&objects);
        for gap in &proof.gaps {
            output::note(&format!("{}: {}", gap.missing, gap.cause));
            writeln!(out, "{}", line::write(&gap.event(origin)))?;
        }
        all.digests += proof.digests;
        all.proved += proof.proved;
        all.broken += proof.broken + proof.gaps.len();
    }
    let Proof { digests, proved, broken: gaps, .. } = all;
    output::note(&format!("{digests} digest files: {proved} log files are as they were written, {gaps} gaps"));
    Ok(gaps)
}

/// What the digests of a directory prove.
#[derive(Default)]
struct Proof {
    digests: usize,
    proved: usize,
    /// Digests that are none.
    broken: usize,
    gaps: Vec<Gap>,
    listed: Listed,
}

impl Proof {
    fn of(keys: &PublicKeys, bucket: &Bucket, objects: &[Object]) -> Proof {
        let mut proof = Proof::default();
        let mut names: Vec<&str> =
            objects.iter().map(|object| object.key.as_str()).filter(|key| is_digest(key)).collect();
        names.sort_unstable();
        let mut last: BTreeMap<String, &str> = BTreeMap::new();
        for name in names {
            proof.digests += 1;
            // In order of their names those of a chain are in order of their times.
            let before = last.insert(chain(name), name);
            let read = |object: &str| bucket.read(object).map_err(Unread::into_words);
            let hour = read(name).and_then(|digest| {
                let hour = hour_before(keys, (name, &digest), before, &read);
                hour.map_err(|problem| format!("is no digest: {}: {}", problem.field, problem.reason))
            });
            match hour {
                Ok(hour) => {
                    proof.proved += hour.proved;
                    proof.gaps.extend(hour.gaps);
                    hour.verified.iter().for_each(|verified| proof.listed.add(verified, verified.ends));
                }
                Err(cause) => {
                    proof.broken += 1;
                    output::note(&format!("{name}: {cause}"));
                }
            }
        }
        proof
    }

    /// Log files that no digest lists although one speaks of their hour. Of which none speaks, as of the newest hour, is said and no
    /// gap: a copy has it later.
    fn add_unlisted(&mut self, objects: &[Object]) {
        let mut unproved = Vec::new();
        for object in objects.iter().filter(|object| is_log(&object.key) && !self.listed.has(&object.key)) {
            let time = named_time(&object.key).unwrap_or(object.written);
            // What was written at the end of an hour may come into the digest of the next.
            let is_proved = |time: Instant| self.listed.covers(&object.key, time);
            if is_proved(time) && is_proved(time.saturating_add(LATE_NS)) {
                self.gaps.push(self.listed.gap(&object.key, time));
            } else {
                unproved.push(object.key.as_str());
            }
        }
        if let Some(first) = unproved.first() {
            let count = unproved.len();
            output::note(&format!("{count} log files are of hours that no digest here proves, the first is {first}"));
        }
    }
}

/// How long after the time of its name a log file may come.
const LATE_NS: i64 = 15 * 60 * SECOND_NS;
