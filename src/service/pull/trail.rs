//! AWS `CloudTrail` out of its bucket, or a directory that is a copy of it: log files one by one as they come, each digest file once
//! those that it lists have had time to come too. What a digest does not prove is told as `source.gap`.
//!
//! Files are read again from some minutes before the newest; what was taken is known by the ids of its events. One that cannot be
//! read holds up no other ([`super::aside`]), and one that no digest lists is told ([`super::unlisted`]).

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keywatch_ingest::feeds::cloudtrail::trail::{
    Gap, Hour, PublicKeys, chain, hour_before, is_digest, is_log, own_hour,
};
use keywatch_ingest::{Problem, Reject};
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant};

use super::aside::Aside;
use super::bucket::{Bucket, Listed, too_many};
use super::cursor::Cursor;
use super::objects::{Object, Unread};
use super::puller::{Page, Pull, blocking_look};
use super::service::{Class, Trouble};
use super::stale::Stale;
use super::trail_keys::read_trail_keys;
use super::unlisted::Unlisted;
use crate::limits::{PULL_TRAIL_DIGEST_SECONDS_MAX, PULL_TRAIL_LISTED_SECONDS_MAX, PULL_TRAIL_NEXT_SECONDS};

/// A trail.
pub(super) struct Trail(Arc<Inner>);

struct Inner {
    bucket: Bucket,
    /// File of the public keys. It is read again for each digest.
    keys_file: PathBuf,
    /// What it held when it could last be read.
    keys: Mutex<PublicKeys>,
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
    /// Digests before those that are due, of which only what they list is asked: another process has proved them.
    recalled: HashSet<Object>,
    /// Whether a list was seen.
    is_begun: bool,
    /// Digests that were listed, by chain and key, in which the time stands.
    digests: BTreeSet<(String, String)>,
    aside: Aside,
    /// When the oldest was written that the next list has again, since too many wait aside.
    left: Option<Instant>,
    unlisted: Unlisted,
    stale: Stale,
}

impl Files {
    /// Leaves an object to the next list, before which nobody begins behind it.
    fn leave(&mut self, object: &Object) {
        self.left = Some(self.left.map_or(object.written, |left| left.min(object.written)));
    }
}

/// What became of an object.
enum Outcome {
    /// It was read, or never can be.
    Done,
    /// It waits aside; others can go on.
    Aside,
}

impl Trail {
    /// A trail of which nothing was asked yet.
    ///
    /// # Errors
    /// The file of keys cannot be read, or holds none.
    pub(super) fn new(
        bucket: Bucket,
        keys_file: PathBuf,
        origin: Origin,
        start: Option<Instant>,
        overlap_nanoseconds: i64,
    ) -> anyhow::Result<Trail> {
        let (keys, files) = (Mutex::new(read_trail_keys(&keys_file)?), Mutex::default());
        Ok(Trail(Arc::new(Inner { bucket, keys_file, keys, origin, start, overlap_nanoseconds, files })))
    }
}

impl Pull for Trail {
    async fn page(&self, cursor: &Cursor, now: Instant) -> Result<Page, Trouble> {
        let (inner, newest) = (Arc::clone(&self.0), cursor.newest);
        blocking_look(move || inner.look(newest, now)).await
    }
}

impl Inner {
    /// The next file; where none is known any more, what has come since.
    fn look(&self, newest: Option<Instant>, now: Instant) -> Result<Page, Trouble> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let files = &mut *files;
        let mut page = Page { newest, ..Page::default() };
        if files.due.is_empty() {
            self.list(files, &mut page, newest, now)?;
        }
        let again = files.aside.next(now);
        let mut is_done = again.is_some_and(|object| matches!(self.take(files, object, &mut page, now), Outcome::Done));
        while !is_done && let Some(object) = files.due.pop_front() {
            is_done = matches!(self.take(files, object, &mut page, now), Outcome::Done);
            if files.aside.is_down().is_some() {
                break;
            }
        }
        // What is told now is told by this page; nothing is where there is none.
        if let Some(cause) = files.aside.is_down() {
            let mut trouble = Trouble::new(Class::Unreachable, cause);
            // Whoever makes many unreadable does not hold up for long what was written after them.
            trouble.rest = (!files.due.is_empty()).then_some(Duration::from_secs(PULL_TRAIL_NEXT_SECONDS));
            return Err(trouble);
        }
        page.more = files.aside.next(now).is_some();
        let unreadable = files.aside.tell(now).into_iter().map(|(object, cause)| unreadable(&object, &cause));
        page.events.extend(unreadable.map(|gap| gap.event(&self.origin)));
        page.events.extend(files.stale.gaps().iter().map(|gap| gap.event(&self.origin)));
        if files.due.is_empty() && !files.aside.waits(is_digest) {
            page.events.extend(files.unlisted.gaps().iter().map(|gap| gap.event(&self.origin)));
        }
        let begin = files.aside.begin().into_iter().chain(files.left).min();
        page.newest = page.newest.map(|newest| begin.map_or(newest, |begin| begin.min(newest)));
        Ok(page)
    }

    /// What lies in the bucket, and what of it comes next.
    fn list(&self, files: &mut Files, page: &mut Page, newest: Option<Instant>, now: Instant) -> Result<(), Trouble> {
        let reach = |newest: Instant| newest.saturating_add(-self.overlap_nanoseconds);
        let since = newest.map_or_else(|| self.start.unwrap_or(now), reach);
        let from = reach(since.min(now)).saturating_add(-LOOKED_BACK_NS);
        let Listed { files: listed, has_more } =
            self.bucket.objects(from).map_err(|error| Trouble::new(Class::Unreachable, format!("{error:#}")))?;
        files.aside.answered();
        files.left = None;
        // What is younger than the youngest of a list that is cut is not known to be missing.
        let known_to =
            if has_more { listed.last().map_or(from, |youngest| reach(youngest.written)) } else { reach(now) };
        if !has_more {
            files.stale.look(&listed, now);
        }
        page.newest = newest.or(Some(since));
        let digests = listed.iter().filter(|object| is_digest(&object.key));
        files.digests = digests.map(|object| (chain(&object.key), object.key.clone())).collect();
        // A file of a copy may have come before its digest or after, and a digest comes once what it lists has had time to.
        files.unlisted.look(
            &listed,
            from.saturating_add(self.overlap_nanoseconds),
            known_to.saturating_add(-LISTED_NS),
        );
        // A digest waits for as long again, and clocks differ: what is looked at twice is taken once.
        let digests_since = newest.map_or(since, |_| reach(since));
        let begins_at = |object: &Object| if is_digest(&object.key) { from } else { since };
        files.read.retain(|object| object.written >= begins_at(object));
        let is_first = !std::mem::replace(&mut files.is_begun, true);
        let mut recalled = Vec::new();
        for object in listed {
            let is_new = !files.read.contains(&object) && !files.aside.has(&object);
            if !is_new || object.written < begins_at(&object) || !self.is_due(&object, now) {
                continue;
            }
            if is_first && is_digest(&object.key) && object.written < digests_since {
                recalled.push(object);
            } else {
                files.due.push_back(object);
            }
        }
        files.due.extend(recalled.iter().cloned());
        files.recalled.extend(recalled);
        if has_more && files.due.is_empty() {
            return Err(Trouble::new(Class::Malformed, too_many(from)));
        }
        Ok(())
    }

    /// Reads an object into the page.
    fn take(&self, files: &mut Files, object: Object, page: &mut Page, now: Instant) -> Outcome {
        let read = self.bucket.read_signed(&object.key);
        if let Err(Unread::Later(cause)) = &read {
            tracing::warn!(
                source = self.origin.source,
                object = object.key,
                cause,
                "a file of a trail cannot be read; it is tried again later"
            );
            if !files.aside.unreadable(&object, cause, now) {
                files.leave(&object);
            }
            return Outcome::Aside;
        }
        files.aside.read();
        // The place of a list that goes on is another each time; what counts is the time.
        page.next = (!files.due.is_empty()).then(|| object.key.clone());
        match read {
            Err(unread) => page.rejects.push(reject(&object.key, &unread.into_words())),
            Ok((content, signature)) if is_digest(&object.key) => {
                if let Err(cause) = self.prove(files, &object, (&content, signature.as_deref()), page, now) {
                    if !files.aside.unproved(&object, &cause, now) {
                        files.leave(&object);
                    }
                    return Outcome::Done;
                }
            }
            Ok((content, _)) => page.body = content,
        }
        files.aside.done(&object);
        if !files.recalled.remove(&object) {
            page.newest = Some(object.written);
        }
        files.read.insert(object);
        Outcome::Done
    }

    /// A digest waits until what it lists has had time to come: a copy is not made in the order of the bucket.
    fn is_due(&self, object: &Object, now: Instant) -> bool {
        let settled = object.written <= now.saturating_add(-self.overlap_nanoseconds);
        is_log(&object.key) || is_digest(&object.key) && settled
    }

    /// The hour before a digest, and its own where its signature is known. Otherwise why it has to be looked at again: what could not
    /// be asked for is no gap, until it was asked for often enough.
    fn prove(
        &self,
        files: &mut Files,
        object: &Object,
        (digest, signature): (&[u8], Option<&str>),
        page: &mut Page,
        now: Instant,
    ) -> Result<(), String> {
        let key = object.key.as_str();
        let (is_recalled, is_last) = (files.recalled.contains(object), files.aside.is_exhausted(object, now));
        let later = RefCell::new(None);
        let read = |listed: &str| {
            if later.borrow().is_some() || is_recalled && is_log(listed) {
                return Err("was not asked for".to_owned());
            }
            self.bucket.read(listed).map_err(|unread| {
                if let Unread::Later(cause) = &unread
                    && !is_last
                {
                    *later.borrow_mut() = Some(format!("{listed} {cause}"));
                }
                unread.into_words()
            })
        };
        let keys = self.keys();
        let before = before(&files.digests, key);
        let hours = hour_before(&keys, (key, digest), before, &read).and_then(|before| {
            let own = signature.map(|signature| own_hour(&keys, (key, digest), signature, &read)).transpose()?;
            Ok([before, own.unwrap_or_default()])
        });
        let verified = hours.iter().flatten().flat_map(|hour| &hour.verified);
        verified.for_each(|verified| files.unlisted.listed.add(verified, object.written));
        if let Some(cause) = later.take() {
            return Err(cause);
        }
        match hours {
            _ if is_recalled => {}
            Ok(hours) => page.events.extend(self.told(key, &hours)),
            Err(problem) => {
                page.rejects.push(reject(key, &format!("is no digest: {}: {}", problem.field, problem.reason)));
            }
        }
        Ok(())
    }

    fn told(&self, digest: &str, hours: &[Hour]) -> Vec<Event> {
        let proved: usize = hours.iter().map(|hour| hour.proved).sum();
        tracing::debug!(digest, proved, "a digest of a trail");
        hours.iter().flat_map(|hour| &hour.gaps).map(|gap| gap.event(&self.origin)).collect()
    }

    /// The keys as they stand in their file now; where it cannot be read, as they last stood there.
    fn keys(&self) -> PublicKeys {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match read_trail_keys(&self.keys_file) {
            Ok(read) => *keys = read,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(source = self.origin.source, error, "the keys of a trail stay as they were");
            }
        }
        keys.clone()
    }
}

/// How far back a look sees digests, to know whether they still come.
const LOOKED_BACK_NS: i64 = 2 * PULL_TRAIL_DIGEST_SECONDS_MAX * SECOND_NS;

/// How long after it was written a log file has to be listed: a copy knows it with the digest after that of its hour.
const LISTED_NS: i64 = PULL_TRAIL_LISTED_SECONDS_MAX * SECOND_NS;

/// The last digest of the same chain before that one.
fn before<'a>(digests: &'a BTreeSet<(String, String)>, key: &str) -> Option<&'a str> {
    let own = chain(key);
    let before = digests.range(..(own.clone(), key.to_owned())).next_back();
    before.filter(|(chain, _)| *chain == own).map(|(_, key)| key.as_str())
}

fn unreadable(object: &Object, cause: &str) -> Gap {
    let what = if is_digest(&object.key) { "digest" } else { "log file" };
    let from = object.written.saturating_add(-3_600 * SECOND_NS);
    Gap::new(&object.key, &format!("the {what} is passed over: it {cause}"), from, object.written)
}

fn reject(key: &str, cause: &str) -> Reject {
    Reject::new(&Problem::new("file", format!("{key} {cause}")), None, key.as_bytes())
}

#[cfg(test)]
mod tests;
