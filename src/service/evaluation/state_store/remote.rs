//! The snapshots of one state of one partition in a bucket.
//!
//! | object | what it is |
//! |---|---|
//! | `<position>-<upload>.<number>` | a part of what [`SnapshotFiles`] wrote |
//! | `<position>.manifest` | says which parts there are ([`Manifest`]), and is written last |
//!
//! What two processes send at once does not mix: each upload has parts of its own, and the last manifest counts. It does not
//! know when something is sent.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use keywatch_store::{Log, Position, Topic};
use tokio::time::{Instant, sleep, timeout};

use super::manifest::{Key, Manifest, Part};
use crate::limits::{
    STATE_LIST_BYTES_MAX, STATE_LIST_PAGES_MAX, STATE_MANIFEST_BYTES_MAX, STATE_NAME_BYTES_MAX, STATE_PART_BYTES_MAX,
    STATE_PARTS_MAX, STATE_PATIENCE_SECONDS_MAX, STATE_PAUSE_MS, STATE_REJECTED_MAX,
};
use crate::service::evaluation::snapshot_files::SnapshotFiles;
use crate::service::evaluation::snapshots::LogTooShort;
use crate::service::s3::bucket::{Bucket, Failure};
use crate::service::s3::sigv4::encoded;
use crate::service::s3::xml::{each, inner, unescaped};

/// Snapshots that stay.
const KEPT: usize = 2;

/// Digits of a position in the name of an object.
const POSITION_DIGITS: usize = 20;

/// How a bucket is dealt with.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Bytes of a part.
    pub(super) part_bytes: usize,
    /// For how long what fails is tried again.
    pub(super) patience: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { part_bytes: STATE_PART_BYTES_MAX, patience: Duration::from_secs(STATE_PATIENCE_SECONDS_MAX) }
    }
}

/// Where they lie.
#[derive(Clone)]
pub(super) struct Remote {
    /// The bucket.
    pub(super) bucket: Bucket,
    /// What the names of all objects begin with; it ends with a slash.
    pub(super) prefix: String,
    /// The partition and the state, as manifests have them, wherever in a bucket they lie.
    pub(super) place: String,
    /// What people are told of it.
    pub(super) shown: String,
    /// What proves manifests.
    pub(super) key: Key,
    /// How the bucket is dealt with.
    pub(super) pace: Pace,
}

/// What became of a look for a newer snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// The one that is in the directory now; `None` where none there was newer and whole.
    pub(super) position: Option<Position>,
    /// Snapshots that could not be used.
    pub(super) rejected: usize,
}

/// Why nothing was fetched.
#[derive(Debug)]
pub(super) enum Unfetched {
    /// This snapshot cannot be used.
    Rejected(String),
    /// Nothing can be had there, or kept here.
    Unreachable(String),
    /// It has seen more than the log holds.
    TooNew(LogTooShort),
}

impl From<Failure> for Unfetched {
    fn from(failure: Failure) -> Unfetched {
        match failure {
            Failure::Missing | Failure::Whole | Failure::TooLong(_) => Unfetched::Rejected(failure.to_string()),
            Failure::Refused(problem) | Failure::Later(problem) => Unfetched::Unreachable(problem),
        }
    }
}

impl From<anyhow::Error> for Unfetched {
    fn from(error: anyhow::Error) -> Unfetched {
        Unfetched::Unreachable(format!("{error:#}"))
    }
}

impl Remote {
    /// Sends the snapshot of a position, which lies in a file: its parts, then the manifest; then deletes what is old.
    ///
    /// # Errors
    /// The file cannot be read, or the bucket does not take it. What was sent by then is no snapshot, and is deleted when it
    /// is old.
    pub(super) async fn upload(&self, path: &Path, position: Position) -> anyhow::Result<()> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let bytes = file.metadata()?.len();
        let fits = bytes.div_ceil(self.pace.part_bytes as u64) <= STATE_PARTS_MAX as u64;
        ensure!(fits, "{bytes} bytes are more than {STATE_PARTS_MAX} parts of {}", self.pace.part_bytes);
        let mut upload = [0; 8];
        getrandom::fill(&mut upload).map_err(|error| anyhow!("no random bytes: {error}"))?;
        let upload = hex::encode(upload);
        let mut parts = Vec::new();
        loop {
            let mut content = Vec::new();
            (&file).take(self.pace.part_bytes as u64).read_to_end(&mut content)?;
            if content.is_empty() {
                break;
            }
            let name = format!("{:0width$}-{upload}.{:04}", position.0, parts.len(), width = POSITION_DIGITS);
            self.put(&name, &content).await.with_context(|| name.clone())?;
            parts.push(Part::of(name, &content));
        }
        let manifest = Manifest { place: self.place.clone(), position: position.0, parts };
        let name = manifest_name(position);
        self.put(&name, manifest.sealed(&self.key)?.as_bytes()).await.context(name)?;
        if let Err(failure) = self.delete_old(position).await {
            // The next upload tries it again.
            tracing::warn!(place = self.shown, problem = %failure, "old snapshots in the bucket were not deleted");
        }
        Ok(())
    }

    /// Fetches the newest snapshot that is whole and newer than what is whole in the directory.
    ///
    /// # Errors
    /// The bucket does not answer, or a snapshot there is newer than the log. That nothing usable is there is no error.
    pub(super) async fn fetch(&self, files: &SnapshotFiles, log: &dyn Log) -> Result<Fetched, Unfetched> {
        let names = timeout(self.pace.patience, self.patiently(|| self.names())).await;
        let names = names.unwrap_or_else(|_| Err(Failure::Later("the bucket does not answer in time".to_owned())))?;
        let mut positions: Vec<Position> = names.iter().filter_map(|name| position_of_manifest(name)).collect();
        positions.sort_unstable();
        positions.reverse();
        // One that is damaged here is none; it takes a look through the whole of it to know that.
        let own = files.positions()?.into_iter().find(|position| files.read(*position).is_ok());
        let newer = positions.into_iter().filter(|position| own.is_none_or(|own| *position > own));
        let mut rejected = 0;
        for position in newer.take(STATE_REJECTED_MAX) {
            match self.fetch_at(position, files, log).await {
                Ok(()) => return Ok(Fetched { position: Some(position), rejected }),
                Err(Unfetched::Rejected(problem)) => {
                    rejected += 1;
                    let object = self.shown_manifest(position);
                    tracing::warn!(object, problem, "a snapshot in the bucket is left aside");
                }
                Err(unfetched) => return Err(unfetched),
            }
        }
        Ok(Fetched { position: None, rejected })
    }

    async fn fetch_at(&self, position: Position, files: &SnapshotFiles, log: &dyn Log) -> Result<(), Unfetched> {
        let sealed = self.get(&manifest_name(position), STATE_MANIFEST_BYTES_MAX).await?;
        let manifest = Manifest::open(&sealed, &self.key, &self.place, position)
            .map_err(|error| Unfetched::Rejected(format!("{error:#}")))?;
        self.wait_for(position, log).await?;
        let mut file = files.begin()?;
        for part in &manifest.parts {
            let content = self.get(&part.name, part.bytes).await?;
            if !part.is(&content) {
                return Err(Unfetched::Rejected(format!("{} is damaged", part.name)));
            }
            file.write_all(&content).context("what is fetched cannot be written")?;
        }
        Ok(files.finish(position, &file)?)
    }

    /// Waits until the log has what a snapshot has seen: another process may have written that a moment ago.
    async fn wait_for(&self, position: Position, log: &dyn Log) -> Result<(), Unfetched> {
        let until = Instant::now() + self.pace.patience;
        loop {
            let log_end = log.end(Topic::Events);
            if position <= log_end {
                return Ok(());
            }
            if Instant::now() >= until {
                let snapshot = PathBuf::from(self.shown_manifest(position));
                let bucket = Some(self.shown.clone());
                let short = LogTooShort { snapshot, position, log_end, bucket };
                // Another process has what the log here is known to lack.
                return Err(match log.lacks_records() {
                    true => Unfetched::Rejected(short.to_string()),
                    false => Unfetched::TooNew(short),
                });
            }
            sleep(Duration::from_millis(STATE_PAUSE_MS)).await;
        }
    }

    /// Deletes all that is older than the snapshot of that position and the one before it. Manifests go first: what is left
    /// of one is no snapshot. What is newer is another's.
    async fn delete_old(&self, position: Position) -> Result<(), Failure> {
        let mut names = self.patiently(|| self.names()).await?;
        let manifests = names.iter().filter_map(|name| position_of_manifest(name));
        let mut positions: Vec<Position> = manifests.filter(|found| *found <= position).collect();
        positions.sort_unstable();
        positions.dedup();
        positions.reverse();
        let Some(oldest) = positions.get(KEPT - 1) else { return Ok(()) };
        names.retain(|name| position_of(name).is_some_and(|found| found < *oldest));
        names.sort_by_key(|name| position_of_manifest(name).is_none());
        for name in names {
            let key = format!("{}{name}", self.prefix);
            self.patiently(|| self.bucket.delete(&key)).await?;
        }
        Ok(())
    }

    /// Names of all objects that lie there and are of a snapshot; what somebody else has put there is not held.
    async fn names(&self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..STATE_LIST_PAGES_MAX {
            let token = next.map(|token| format!("continuation-token={}&", encoded(&token, false)));
            let query = format!("{}list-type=2&prefix={}", token.unwrap_or_default(), encoded(&self.prefix, false));
            let (answer, _) = self.bucket.get("", &query, STATE_LIST_BYTES_MAX).await?;
            let text = String::from_utf8_lossy(&answer);
            if !text.contains("<ListBucketResult") {
                return Err(Failure::Refused("it answers with no list of a bucket".to_owned()));
            }
            let keys = each(&text, "Contents").filter_map(|object| inner(object, "Key")).map(unescaped);
            let keys = keys.filter_map(|key| key.strip_prefix(&self.prefix).map(str::to_owned));
            names.extend(keys.filter(|name| name.len() <= STATE_NAME_BYTES_MAX && position_of(name).is_some()));
            next = inner(&text, "NextContinuationToken").map(unescaped);
            if next.is_none() || inner(&text, "IsTruncated") != Some("true") {
                return Ok(names);
            }
        }
        Err(Failure::Refused("its list has no end".to_owned()))
    }

    async fn get(&self, name: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let key = format!("{}{name}", self.prefix);
        self.patiently(|| self.bucket.get(&key, "", bytes_max)).await.map(|(content, _)| content)
    }

    async fn put(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let key = format!("{}{name}", self.prefix);
        self.patiently(|| self.bucket.put(&key, content.to_vec())).await
    }

    /// Asks until there is an answer, as long as another attempt may help and patience lasts.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let until = Instant::now() + self.pace.patience;
        loop {
            match ask().await {
                Err(Failure::Later(_)) if Instant::now() < until => sleep(Duration::from_millis(STATE_PAUSE_MS)).await,
                outcome => return outcome,
            }
        }
    }

    fn shown_manifest(&self, position: Position) -> String {
        format!("{}{}", self.shown, manifest_name(position))
    }
}

fn manifest_name(position: Position) -> String {
    format!("{:0width$}.manifest", position.0, width = POSITION_DIGITS)
}

/// The position that an object of such a name belongs to.
fn position_of(name: &str) -> Option<Position> {
    let digits = name.get(..POSITION_DIGITS).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().map(Position)
}

fn position_of_manifest(name: &str) -> Option<Position> {
    position_of(name).filter(|position| *name == manifest_name(*position))
}
