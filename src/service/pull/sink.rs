//! Log files out of a bucket, one by one as they come: hours that a log sink wrote. Nothing says which files should lie there, so
//! one that is missing is not noticed; the silence of the source is.
//!
//! Files are read again from some minutes before the newest, and a file that grew is read as a whole; what was taken is known by
//! the ids of its events. A file that is larger than one body is read in parts, each to the end of a line. It knows no format
//! but that.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keywatch_ingest::{Problem, Reject};
use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;

use super::bucket::{Bucket, Listed, too_many};
use super::cursor::Cursor;
use super::objects::{Object, Part, Unread};
use super::puller::{Page, Pull, blocking_look};
use super::service::{Class, Trouble};
use crate::limits::{
    PULL_PAGE_MILLISECONDS, PULL_SINK_FILE_BYTES_MAX, PULL_SINK_PART_BYTES, PULL_SINK_SETTLED_SECONDS,
    PULL_SINK_WAITS_SECONDS_MAX,
};

/// The log files of a bucket.
pub(super) struct Sink(Arc<Inner>);

struct Inner {
    bucket: Bucket,
    /// Where to begin where nothing was read yet; now, where it is not said.
    start: Option<Instant>,
    overlap_nanoseconds: i64,
    /// Bytes of a file that is read in parts.
    file_bytes_max: u64,
    files: Mutex<Files>,
}

/// What a look gives of a file.
enum Given {
    /// The rest of it, which may be nothing.
    All(Vec<u8>),
    /// Lines of it, and from which byte on others follow.
    Lines(Vec<u8>, u64),
    /// The rest is not read, and why.
    Rejected(String),
}

#[derive(Default)]
struct Files {
    /// Where the first list began.
    begun: Option<Instant>,
    /// Those that this process has read.
    read: HashSet<Object>,
    /// Those that were listed and come next.
    due: VecDeque<Object>,
    /// How far those are read that are read in parts.
    parts: HashMap<Object, u64>,
    /// Those of them that could not be read; the next list has them again.
    aside: Vec<Object>,
    /// When each of these was first asked for in vain.
    failed: HashMap<Object, Instant>,
    /// When a file was last read.
    answered: Option<Instant>,
}

impl Sink {
    pub(super) fn new(bucket: Bucket, start: Option<Instant>, overlap_nanoseconds: i64) -> Sink {
        let file_bytes_max = PULL_SINK_FILE_BYTES_MAX;
        Sink(Arc::new(Inner { bucket, start, overlap_nanoseconds, file_bytes_max, files: Mutex::default() }))
    }
}

impl Pull for Sink {
    async fn page(&self, cursor: &Cursor, now: Instant) -> Result<Page, Trouble> {
        let (inner, newest) = (Arc::clone(&self.0), cursor.newest);
        blocking_look(move || inner.look(newest, now)).await
    }
}

impl Inner {
    /// The next file; where none is known any more, what has come since.
    fn look(&self, newest: Option<Instant>, now: Instant) -> Result<Page, Trouble> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = Page { newest, ..Page::default() };
        if files.due.is_empty() {
            let reach = |newest: Instant| newest.saturating_add(-self.overlap_nanoseconds);
            // Until something was read, each list begins where the first did.
            let begun = *files.begun.get_or_insert(self.start.unwrap_or(now));
            let since = newest.map_or(begun, reach).min(now);
            let listed = self.bucket.objects(since);
            let listed = listed.map_err(|error| Trouble::new(Class::Unreachable, format!("{error:#}")))?;
            page.newest = newest.or(Some(since));
            let Files { read, due, aside, failed, parts, .. } = &mut *files;
            parts.retain(|object, _| object.written >= since);
            aside.clear();
            failed.retain(|object, _| object.written >= since);
            read.retain(|object| object.written >= since);
            let Listed { files: listed, has_more } = listed;
            due.extend(listed.into_iter().filter(|object| is_records(&object.key) && !read.contains(object)));
            if has_more && due.is_empty() {
                return Err(Trouble::new(Class::Malformed, too_many(since)));
            }
        }
        let Some(object) = files.due.pop_front() else { return Ok(page) };
        match self.give(&object, files.parts.get(&object).copied()) {
            Err(Unread::Later(cause)) if files.waits(&object, now) => {
                // Whoever may make one file unreadable holds up no other.
                let problem = format!("{} {cause}", object.key);
                files.aside.push(object);
                let mut trouble = Trouble::new(Class::Unreachable, problem);
                trouble.rest = (!files.due.is_empty()).then_some(Duration::from_millis(PULL_PAGE_MILLISECONDS));
                return Err(trouble);
            }
            Err(Unread::Later(cause) | Unread::Large(cause) | Unread::No(cause)) | Ok(Given::Rejected(cause)) => {
                let problem = Problem::new("file", format!("{} {cause}", object.key));
                page.rejects.push(Reject::new(&problem, None, object.key.as_bytes()));
            }
            Ok(Given::All(content)) => {
                page.body = content;
                files.answered = Some(now);
            }
            Ok(Given::Lines(content, next)) => {
                page.body = content;
                files.answered = Some(now);
                // Whoever goes on from here reads it from its beginning.
                page.next = Some(format!("{}#{next}", object.key));
                page.newest = Some(files.reached(&object));
                files.parts.insert(object.clone(), next);
                files.due.push_front(object);
                return Ok(page);
            }
        }
        files.parts.remove(&object);
        page.newest = Some(files.reached(&object));
        // The place of a list that goes on is another each time; what counts is the time.
        page.next = (!files.due.is_empty()).then(|| object.key.clone());
        // Times are whole seconds: what is added within this one does not show in them.
        if object.written < now.saturating_add(-PULL_SINK_SETTLED_SECONDS * SECOND_NS) {
            files.read.insert(object);
        }
        Ok(page)
    }
}

impl Inner {
    /// A file, or lines of it from where the look before has come to.
    fn give(&self, object: &Object, part_from: Option<u64>) -> Result<Given, Unread> {
        let from = match part_from {
            Some(from) => from,
            None => match self.bucket.read(&object.key) {
                Err(Unread::Large(_)) => 0,
                read => return read.map(Given::All),
            },
        };
        let lines = self.bucket.read_part(&object.key, Part { from, bytes_max: PULL_SINK_PART_BYTES })?;
        let rejected =
            |why: &str| Ok(Given::Rejected(format!("is read up to byte {from}, and not from there on: {why}")));
        if from == 0 && lines.starts_with(&[0x1f, 0x8b]) {
            return rejected("it is compressed, and larger than a body");
        }
        if from >= self.file_bytes_max && !lines.is_empty() {
            return rejected(&format!(
                "it has more than {} bytes; have the sink write smaller files",
                self.file_bytes_max
            ));
        }
        if lines.len() < PULL_SINK_PART_BYTES {
            return Ok(Given::All(lines));
        }
        let Some(end) = lines.iter().rposition(|byte| *byte == b'\n') else {
            return rejected(&format!("there is a line of more than {PULL_SINK_PART_BYTES} bytes"));
        };
        let mut lines = lines;
        lines.truncate(end + 1);
        let next = from + lines.len() as u64;
        Ok(Given::Lines(lines, next))
    }
}

impl Files {
    /// How far everything is read with that file: what waits aside is asked for again, also by whoever goes on from here.
    fn reached(&self, object: &Object) -> Instant {
        let waits = self.aside.iter().map(|object| object.written).min();
        waits.unwrap_or(object.written).min(object.written)
    }

    /// Whether a file that could not be read is worth asking for again. While nothing can be read, all are.
    fn waits(&mut self, object: &Object, now: Instant) -> bool {
        let since = *self.failed.entry(object.clone()).or_insert(now);
        let others_came = self.answered.is_some_and(|answered| answered > since);
        !others_came || now.0.saturating_sub(since.0) < PULL_SINK_WAITS_SECONDS_MAX * SECOND_NS
    }
}

/// Whether a file holds records; sinks write some of their own beside them.
fn is_records(key: &str) -> bool {
    [".json", ".json.gz"].iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn objects(directory: &Path) -> Inner {
        let start = Some("2020-01-01T00:00:00Z".parse().unwrap());
        let bucket = Bucket::Directory(directory.to_owned());
        let file_bytes_max = PULL_SINK_FILE_BYTES_MAX;
        Inner { bucket, start, overlap_nanoseconds: 0, file_bytes_max, files: Mutex::default() }
    }

    /// The bodies of looks until there is nothing more.
    fn bodies(objects: &Inner) -> Vec<String> {
        let now = "2100-01-01T00:00:00Z".parse().unwrap();
        let mut bodies = Vec::new();
        loop {
            let page = objects.look(None, now).unwrap();
            if page.body.is_empty() {
                return bodies;
            }
            bodies.push(String::from_utf8(page.body).unwrap());
        }
    }

    #[test]
    fn each_file_is_read_once_and_one_that_grew_once_more() {
        let directory = tempfile::tempdir().unwrap();
        let hour = directory.path().join("activity/2025/02/21");
        fs::create_dir_all(&hour).unwrap();
        fs::write(hour.join("05.json"), "{\"a\":1}").unwrap();
        fs::write(hour.join("_manifest"), "nothing of a feed's").unwrap();
        let objects = objects(directory.path());
        assert_eq!(bodies(&objects), ["{\"a\":1}"]);
        assert!(bodies(&objects).is_empty());
        fs::write(hour.join("05.json"), "{\"a\":1}\n{\"a\":2}").unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_mins(1);
        fs::File::options().write(true).open(hour.join("05.json")).unwrap().set_modified(later).unwrap();
        assert_eq!(bodies(&objects), ["{\"a\":1}\n{\"a\":2}"]);
    }

    /// A file of that many lines, each of 64 KiB.
    fn lines(directory: &Path, lines: usize) -> String {
        let line = |number: usize| format!("{{\"n\":{number},\"filler\":\"{}\"}}\n", "x".repeat(64 << 10));
        let text: String = (0..lines).map(line).collect();
        fs::write(directory.join("05.json"), &text).unwrap();
        text
    }

    #[test]
    fn a_file_that_is_larger_than_a_body_is_read_in_parts_each_of_whole_lines() {
        let directory = tempfile::tempdir().unwrap();
        let text = lines(directory.path(), 600);
        assert!(text.len() > keywatch_ingest::limits::BODY_BYTES_MAX);
        let objects = objects(directory.path());
        let parts = bodies(&objects);
        assert!(parts.len() > 8 && parts.iter().all(|part| part.ends_with('\n')), "{}", parts.len());
        assert!(parts.concat() == text, "nothing is lost, and nothing comes twice");
        assert!(bodies(&objects).is_empty());
    }

    #[test]
    fn p7_what_is_behind_the_limit_of_a_file_is_rejected_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let text = lines(directory.path(), 600);
        let objects = Inner { file_bytes_max: 6 << 20, ..objects(directory.path()) };
        let now = "2100-01-01T00:00:00Z".parse().unwrap();
        let mut read = String::new();
        let rejects = loop {
            let page = objects.look(None, now).unwrap();
            if page.body.is_empty() {
                break page.rejects;
            }
            read.push_str(str::from_utf8(&page.body).unwrap());
        };
        assert!(text.starts_with(&read) && (6 << 20..10 << 20).contains(&read.len()), "{}", read.len());
        let said = &rejects[0].reason;
        let expected = format!("05.json is read up to byte {}, and not from there on: it has more than", read.len());
        assert!(rejects.len() == 1 && said.contains(&expected), "{said}");
        assert!(bodies(&objects).is_empty(), "it is not asked for again");
    }

    #[test]
    fn a_file_that_was_written_just_now_is_read_once_more() {
        const WRITTEN: i64 = 1_740_000_000;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("05.json");
        fs::write(&file, "{}").unwrap();
        let written = std::time::UNIX_EPOCH + Duration::from_mins(29_000_000);
        fs::File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
        let objects = objects(directory.path());
        let read = [1, 2, PULL_SINK_SETTLED_SECONDS + 1, PULL_SINK_SETTLED_SECONDS + 2].map(|later| {
            let page = objects.look(None, Instant((WRITTEN + later) * SECOND_NS)).unwrap();
            !page.body.is_empty()
        });
        assert_eq!(read, [true, true, true, false]);
    }

    #[test]
    fn many_that_cannot_be_read_are_passed_without_a_long_rest() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("05.json"), "{}").unwrap();
        let objects = objects(directory.path());
        let due = (0..).zip(["05.json/a.json", "05.json/b.json", "05.json"]);
        let due = due.map(|(at, key)| Object { written: Instant(at), key: key.to_owned() });
        objects.files.lock().unwrap().due.extend(due);
        let look = || objects.look(None, Instant(3_600 * SECOND_NS));
        for _ in 0..2 {
            let rest = look().unwrap_err().rest;
            assert_eq!(rest, Some(Duration::from_millis(PULL_PAGE_MILLISECONDS)));
        }
        let page = look().unwrap();
        assert_eq!((page.body, page.newest), (b"{}".to_vec(), Some(Instant(0))), "whoever goes on asks for all");
    }

    #[test]
    fn a_file_is_given_up_when_others_came_for_a_day() {
        let object = Object { written: Instant(1), key: "05.json".into() };
        let mut files = Files::default();
        let at = |hours: i64| Instant(hours * 3_600 * SECOND_NS);
        assert!(files.waits(&object, at(0)) && files.waits(&object, at(48)), "nothing can be read");
        files.answered = Some(at(1));
        assert!(files.waits(&object, at(23)));
        assert!(!files.waits(&object, at(24)));
    }

    #[test]
    fn sinks_write_other_files_too() {
        let at = "cloudaudit.googleapis.com/activity/2025/02/21/05:00:00_05:59:59";
        assert!(
            is_records(&format!("{at}_S0.json"))
                && is_records(&format!("{at}_A0:1_S0.json"))
                && is_records("a.json.gz")
        );
        assert!(!is_records("a.txt") && !is_records("a.json.tmp"));
    }
}
