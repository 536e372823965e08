//! AWS `CloudTrail` out of its bucket, or a directory that is a copy of it: log files one by one as they come, each digest file once
//! those that it lists have had time to come too. What a digest does not prove is told as `source.gap`.
//!
//! Files are read again from some minutes before the newest; what was taken is known by the ids of its events.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use keywatch_ingest::feeds::cloudtrail::trail::{
    Gap, PublicKeys, chain, hour_before, is_backfill, is_digest, is_log, own_hour,
};
use keywatch_ingest::{Problem, Reject};
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant};
use tokio::task::spawn_blocking;

use super::bucket::Bucket;
use super::cursor::Cursor;
use super::objects::{Object, Unread};
use super::puller::{Page, Pull};
use super::service::{Class, Trouble};
use crate::limits::PULL_TRAIL_DIGEST_SECONDS_MAX;

/// A trail.
pub(super) struct Trail(Arc<Inner>);

struct Inner {
    bucket: Bucket,
    keys: PublicKeys,
    /// Who gaps are written under.
    origin: Origin,
    /// Where to begin where nothing was read yet; now, where it is not said.
    start: Option<Instant>,
    overlap_nanoseconds: i64,
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    /// Those that this process has read.
    read: HashSet<Object>,
    /// Those that were listed and come next.
    due: VecDeque<Object>,
    /// Digests that were listed, by chain and key, in which the time stands.
    digests: BTreeSet<(String, String)>,
}

impl Trail {
    pub(super) fn new(
        bucket: Bucket,
        keys: PublicKeys,
        origin: Origin,
        start: Option<Instant>,
        overlap_nanoseconds: i64,
    ) -> Trail {
        Trail(Arc::new(Inner { bucket, keys, origin, start, overlap_nanoseconds, files: Mutex::default() }))
    }
}

impl Pull for Trail {
    async fn page(&self, cursor: &Cursor, now: Instant) -> Result<Page, Trouble> {
        let (inner, newest) = (Arc::clone(&self.0), cursor.newest);
        let looked = spawn_blocking(move || inner.look(newest, now)).await;
        looked.unwrap_or_else(|error| Err(Trouble::new(Class::Unreachable, format!("a look broke off: {error}"))))
    }
}

impl Inner {
    /// The next file; where none is known any more, what has come since.
    fn look(&self, newest: Option<Instant>, now: Instant) -> Result<Page, Trouble> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = Page { newest, ..Page::default() };
        if files.due.is_empty() {
            let reach = |newest: Instant| newest.saturating_add(-self.overlap_nanoseconds);
            let since = newest.map_or_else(|| self.start.unwrap_or(now), reach);
            let listed = self.bucket.objects(since.min(now).saturating_add(-LOOKED_BACK_NS));
            let listed = listed.map_err(|error| Trouble::new(Class::Unreachable, format!("{error:#}")))?;
            page.events = self.stale(&listed, now);
            page.newest = newest.or(Some(since));
            let digests = listed.iter().filter(|object| is_digest(&object.key));
            files.digests = digests.map(|object| (chain(&object.key), object.key.clone())).collect();
            // A digest waits for as long again, and clocks differ: what is looked at twice is taken once.
            let digests_since = newest.map_or(since, |_| reach(since));
            let begins_at = |object: &Object| if is_digest(&object.key) { digests_since } else { since };
            files.read.retain(|object| object.written >= begins_at(object));
            let new =
                listed.into_iter().filter(|object| object.written >= begins_at(object) && self.is_due(object, now));
            let Files { read, due, .. } = &mut *files;
            due.extend(new.filter(|object| !read.contains(object)));
        }
        let Some(object) = files.due.front().cloned() else { return Ok(page) };
        match self.bucket.read_signed(&object.key) {
            // It stays the next.
            Err(Unread::Later(cause)) => return Err(unreachable(&object.key, &cause)),
            Err(Unread::No(cause)) => page.rejects.push(reject(&object.key, &cause)),
            Ok((content, signature)) if is_digest(&object.key) => {
                let own = chain(&object.key);
                let before = files.digests.range(..(own.clone(), object.key.clone())).next_back();
                let before = before.filter(|(chain, _)| *chain == own);
                let before = before.map(|(_, key)| key.as_str());
                self.prove((&object.key, &content), before, signature.as_deref(), &mut page)?;
            }
            Ok((content, _)) => page.body = content,
        }
        files.due.pop_front();
        page.newest = Some(object.written);
        // The place of a list that goes on is another each time; what counts is the time.
        page.next = (!files.due.is_empty()).then(|| object.key.clone());
        files.read.insert(object);
        Ok(page)
    }

    /// A digest waits until what it lists has had time to come: a copy is not made in the order of the bucket.
    fn is_due(&self, object: &Object, now: Instant) -> bool {
        let settled = object.written <= now.saturating_add(-self.overlap_nanoseconds);
        is_log(&object.key) || is_digest(&object.key) && settled
    }

    /// The hour before a digest, and its own where its signature is known.
    fn prove(
        &self,
        (key, digest): (&str, &[u8]),
        before: Option<&str>,
        signature: Option<&str>,
        page: &mut Page,
    ) -> Result<(), Trouble> {
        // What could not be asked for is no gap: the digest is looked at again.
        let later = RefCell::new(None);
        let read = |object: &str| {
            if later.borrow().is_some() {
                return Err("was not asked for".to_owned());
            }
            self.bucket.read(object).map_err(|unread| {
                if let Unread::Later(cause) = &unread {
                    *later.borrow_mut() = Some(unreachable(object, cause));
                }
                unread.into_words()
            })
        };
        let proved = hour_before(&self.keys, (key, digest), before, &read).and_then(|before| {
            let own = signature.map(|signature| own_hour(&self.keys, (key, digest), signature, &read)).transpose()?;
            Ok([before, own.unwrap_or_default()])
        });
        if let Some(trouble) = later.take() {
            return Err(trouble);
        }
        match proved {
            Ok(hours) => {
                let proved: usize = hours.iter().map(|hour| hour.proved).sum();
                tracing::debug!(digest = key, proved, "a digest of a trail");
                let gaps = hours.iter().flat_map(|hour| &hour.gaps);
                page.events.extend(gaps.map(|gap| gap.event(&self.origin)));
            }
            Err(problem) => {
                page.rejects.push(reject(key, &format!("is no digest: {}: {}", problem.field, problem.reason)));
            }
        }
        Ok(())
    }

    /// That no digest has come for hours, the same record for as long as it is the same digest. Each chain has to go on: a trail
    /// of many regions has one in each.
    fn stale(&self, listed: &[Object], now: Instant) -> Vec<Event> {
        let digests = listed.iter().filter(|object| is_digest(&object.key) && !is_backfill(&object.key));
        let last: BTreeMap<String, &Object> = digests.map(|object| (chain(&object.key), object)).collect();
        let is_late = |last: &&Object| now.0.saturating_sub(last.written.0) > PULL_TRAIL_DIGEST_SECONDS_MAX * SECOND_NS;
        let gap = |last: &Object| Gap {
            missing: "the digest files".to_owned(),
            cause: format!("none has come since {} of {}", last.key, last.written),
            from: last.written,
            to: last.written.saturating_add(PULL_TRAIL_DIGEST_SECONDS_MAX * SECOND_NS),
        };
        last.into_values().filter(is_late).map(|last| gap(last).event(&self.origin)).collect()
    }
}

/// How far back a look sees digests, to know whether they still come.
const LOOKED_BACK_NS: i64 = 2 * PULL_TRAIL_DIGEST_SECONDS_MAX * SECOND_NS;

fn unreachable(key: &str, cause: &str) -> Trouble {
    Trouble::new(Class::Unreachable, format!("{key} {cause}"))
}

fn reject(key: &str, cause: &str) -> Reject {
    Reject::new(&Problem::new("file", format!("{key} {cause}")), None, key.as_bytes())
}
