//! Going on with a loss: what stands of a log becomes a log again, and the loss stands in it under the name of who accepted
//! it.
//!
//! The new log is written beside the damaged one. Up to the first loss its batches are the old ones, byte for byte, so that
//! whoever noted a head of that time can still hold it against the log. In the place of each loss comes a `source.gap` for
//! every system that it may have hit; what stands behind it is written anew, at later or earlier positions and with the log
//! times that it had. Then the two change places, and the damaged one stays as it was under another name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::check::{Check, Known, Progress, Report};
use super::damage::Loss;
use super::directory::{self, cannot_write, sync_directory};
use super::disk::Disk;
use super::head_file::{HeadFile, Heads};
use super::replacement::{COMPLETE, NEW, finish};
use super::state::{self, ChainLink};
use super::walk::{Step, WholeBatch};
use super::{EmbeddedLog, Options};
use crate::event::Origin;
use crate::log::TopicHead;
use crate::log::hash_chain::Key;
use crate::{Clock, Error, Event, Instant, Log, Topic, line};

/// Who accepts a loss, and what for.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The person.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Systems that lost records, beside those of which records stand.
    pub systems: Vec<String>,
    /// When.
    pub at: Instant,
    /// Names in the directory that were made from the log and go aside with it.
    pub made_from_it: Vec<String>,
}

/// What an acceptance did.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What was found, and so what is lost.
    pub report: Report,
    /// Records of `source.gap` written.
    pub gaps: usize,
    /// Records that stood behind a loss and were written anew.
    pub salvaged: u64,
    /// Where the damaged log lies now.
    pub set_aside: PathBuf,
}

/// Goes on with what stands of the log in a directory.
///
/// # Errors
/// As [`super::check`]; [`Error::Storage`] when nothing is wrong with the log, or its key or clock is not known any more.
pub fn accept_loss(
    path: impl AsRef<Path>,
    options: &Options,
    acceptance: &Acceptance,
    mut progress: impl FnMut(Progress),
) -> Result<Accepted, Error> {
    let path = path.as_ref();
    let _lock = directory::lock(path)?;
    finish(path)?;
    let refuse = |problem: &str| Error::Storage { path: path.to_owned(), problem: problem.to_owned() };
    let mut check = Check { path, options, progress: &mut progress };
    let known = check.known();
    let report = check.run(&known, |_, _| Ok(()))?;
    if report.damage.is_empty() {
        return Err(refuse("nothing is wrong with this log, so that there is no loss to accept"));
    }
    let key = known.key.clone().ok_or_else(|| refuse("its key is missing, and nothing can be written without it"))?;
    let clock =
        report.clock.ok_or_else(|| refuse("nothing says any more which clock it had; restore it from a copy"))?;
    let new =
        NewLog { directory: path.join(NEW), key, clock, options, acceptance, systems: systems(&report, acceptance) };
    let (gaps, salvaged) = new.write(&mut check, &known)?;
    let set_aside = free_name(path);
    new.complete(&set_aside)?;
    finish(path)?;
    Ok(Accepted { report, gaps, salvaged, set_aside: path.join(set_aside) })
}

fn systems(report: &Report, acceptance: &Acceptance) -> BTreeSet<String> {
    report.systems.iter().chain(&acceptance.systems).cloned().collect()
}

fn free_name(path: &Path) -> String {
    let names = (1_u32..).map(|number| format!("damaged-{number}"));
    names.into_iter().find(|name| !path.join(name).exists()).expect("not all numbers are taken")
}

/// The log that takes the damaged one's place.
struct NewLog<'a> {
    directory: PathBuf,
    key: Key,
    clock: Clock,
    options: &'a Options,
    acceptance: &'a Acceptance,
    systems: BTreeSet<String>,
}

/// What was written so far.
#[derive(Default)]
struct Written {
    gaps: usize,
    salvaged: u64,
    /// Losses of the conclusions, which are told in the events.
    concluded: Vec<Loss>,
    /// Whether a loss stands before, so that batches are written anew.
    behind_loss: bool,
}

impl NewLog<'_> {
    fn write(&self, check: &mut Check<'_>, known: &Known) -> Result<(usize, u64), Error> {
        let log = self.begin(check, known)?;
        let mut written = Written::default();
        let mut topic = Topic::Conclusions;
        check.run(known, |of, step| {
            written.behind_loss &= of == topic;
            topic = of;
            match step {
                Step::Batch(batch) => put(&log, of, &batch, &mut written),
                Step::Loss(loss) => {
                    written.behind_loss = true;
                    match of {
                        Topic::Conclusions => written.concluded.push(loss),
                        Topic::Events => self.put_gaps(&log, &loss, &mut written)?,
                    }
                    Ok(())
                }
            }
        })?;
        for loss in std::mem::take(&mut written.concluded) {
            self.put_gaps(&log, &loss, &mut written)?;
        }
        if written.gaps == 0 {
            self.put_gaps(&log, &nothing_lost(&log), &mut written)?;
        }
        Ok((written.gaps, written.salvaged))
    }

    /// An empty log that begins where the damaged one was kept from.
    fn begin(&self, check: &Check<'_>, known: &Known) -> Result<EmbeddedLog, Error> {
        let failed = |error: std::io::Error| cannot_write(&self.directory, &error);
        fs::create_dir_all(&self.directory).map_err(failed)?;
        let scratch = super::scratch::Scratch::of(check.path)?;
        let damaged = scratch.open()?;
        let kept = Topic::ALL.map(|topic| known.kept(&damaged, topic));
        drop((damaged, scratch));
        let disk = Disk::open(&self.directory)?;
        let mut change = disk.change();
        state::put_clock(&mut change, Clock::Recorded, &self.key);
        for topic in Topic::ALL {
            state::put_kept(&mut change, topic, kept[topic.index()], &self.key);
            state::put_tip(&mut change, topic, kept[topic.index()], &self.key);
        }
        change.commit()?;
        drop(disk);
        let heads = kept.map(|ChainLink { position, hash }| TopicHead { position, hash, ..TopicHead::START });
        drop(HeadFile::open(&self.directory, &self.key, &Heads { clock: Clock::Recorded, topics: heads })?);
        EmbeddedLog::open(&self.directory, Options { key_file: Some(self.key_file(check)), ..self.recorded() })
    }

    fn key_file(&self, check: &Check<'_>) -> PathBuf {
        let options = self.options;
        options.key_file.clone().unwrap_or_else(|| directory::key_file(check.path, &options.role))
    }

    fn recorded(&self) -> Options {
        Options { role: self.options.role.clone(), ..Options::new(Clock::Recorded) }
    }

    fn put_gaps(&self, log: &EmbeddedLog, loss: &Loss, written: &mut Written) -> Result<(), Error> {
        let systems = loss.systems.as_ref().unwrap_or(&self.systems);
        let gaps: Vec<Event> = systems.iter().map(|system| self.gap(system, loss)).collect();
        written.gaps += gaps.len();
        log.append(Topic::Events, gaps).map(drop)
    }

    fn gap(&self, system: &str, loss: &Loss) -> Event {
        let Acceptance { by, reason, at, .. } = self.acceptance;
        let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
        let id = format!("gap/{}/{}/{}/{at}", loss.topic.name(), loss.from.0, loss.to.0);
        let mut event = Event::builder(&origin, &id, "source.gap", *at);
        // The log is one with recorded times while it is written: the gap stands just before what follows it.
        event.time(loss.before.unwrap_or_default().saturating_add(-1)).actor(by).reason(reason);
        event.detail(&serde_json::json!({
            "topic": loss.topic.name(),
            "from_position": loss.from.0,
            "to_position": loss.to.0,
            "records": loss.records(),
            "from_time": loss.after.map(|time| time.to_string()),
            "to_time": loss.before.map(|time| time.to_string()),
            "cause": loss.problem,
            "accepted_by": by,
        }));
        event.build_own()
    }

    /// Gives the log its clock back, and says that it may take its place.
    fn complete(&self, set_aside: &str) -> Result<(), Error> {
        let failed = |error: std::io::Error| cannot_write(&self.directory, &error);
        let heads = super::head_file::read(&self.directory, &self.key);
        let heads = heads.ok().flatten().expect("it was written a moment ago");
        drop(HeadFile::open(&self.directory, &self.key, &Heads { clock: self.clock, topics: heads.topics })?);
        let disk = Disk::open(&self.directory)?;
        let mut change = disk.change();
        state::put_clock(&mut change, self.clock, &self.key);
        change.commit()?;
        drop(disk);
        let names = [set_aside].into_iter().chain(self.acceptance.made_from_it.iter().map(String::as_str));
        let draft = self.directory.join("complete.new");
        let complete = self.directory.join(COMPLETE);
        fs::write(&draft, names.collect::<Vec<_>>().join("\n"))
            .and_then(|()| fs::File::open(&draft)?.sync_all())
            .and_then(|()| fs::rename(&draft, &complete))
            .and_then(|()| sync_directory(&complete))
            .map_err(failed)
    }
}

fn put(log: &EmbeddedLog, topic: Topic, batch: &WholeBatch, written: &mut Written) -> Result<(), Error> {
    let lines = std::sync::Arc::new(batch.lines.clone());
    let mut events = Vec::with_capacity(batch.head.rows.len());
    let mut start = 0;
    for row in &batch.head.rows {
        let end = start + row.line_bytes as usize;
        events.push(line::read_kept(&lines, start..end.saturating_sub(1))?);
        start = end;
    }
    log.append(topic, events)?;
    if written.behind_loss {
        written.salvaged += batch.head.rows.len() as u64;
    } else if log.head(topic).hash != batch.hash {
        let problem = "a batch before the loss could not be taken over as it was; this is a defect of keywatch";
        return Err(Error::Tampered { position: batch.head.first.0, problem: problem.to_owned() });
    }
    Ok(())
}

/// Damage that took no record along is told too: somebody went on without knowing more than that.
fn nothing_lost(log: &EmbeddedLog) -> Loss {
    let head = log.head(Topic::Events);
    let loss = Loss::new(Topic::Events, head.position, head.position).between(Some(head.time), Some(head.time));
    loss.because("files of the log were damaged; no record is known to be missing")
}
