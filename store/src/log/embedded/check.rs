//! Looking through a whole log that nobody has open: every file, every batch, and whether it reaches its head.
//!
//! It goes on behind damage and changes nothing: the storage crate only gets a scratch directory to open.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::Options;
use super::damage::{Damage, FileDamage};
use super::directory;
use super::disk::Disk;
use super::files::{self, Found};
use super::head_file::{self, Heads};
use super::scratch::Scratch;
use super::state::{self, ChainLink};
use super::walk::{Checks, Step, WholeBatch};
use crate::limits::GAPS_SHOWN_MAX;
use crate::log::TopicHead;
use crate::log::hash_chain::Key;
use crate::{Clock, Error, Event, Position, Topic, line};

/// What a look through a log found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The log's clock, where that is still known.
    pub clock: Option<Clock>,
    /// What the head file says of each topic, where it can be read.
    pub heads: Option<[TopicHead; 2]>,
    /// Whether the writer's key was at hand, so that MACs were checked too.
    pub signed: bool,
    /// The events and the conclusions.
    pub topics: [TopicReport; 2],
    /// Systems that have a record.
    pub systems: BTreeSet<String>,
    /// What is wrong.
    pub damage: Damage,
    /// Records `source.gap` of keywatch's own: what the log says itself that it lacks. The first of them.
    pub gaps: Vec<Event>,
    /// How many more there are.
    pub more_gaps: u64,
}

/// What stands of one topic.
#[derive(Clone, Copy, Debug)]
pub struct TopicReport {
    /// Position of the oldest record that should stand.
    pub oldest: Position,
    /// Batches that verify.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Where it ends.
    pub end: TopicHead,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many further bytes of files were read.
    Bytes(u64),
    /// So many further records were checked.
    Records(u64),
}

/// A look through the log in `path`.
pub(super) struct Check<'a> {
    pub(super) path: &'a Path,
    pub(super) options: &'a Options,
    pub(super) progress: &'a mut dyn FnMut(Progress),
}

/// What is known of a log before its batches are gone through.
pub(super) struct Known {
    pub(super) key: Option<Key>,
    pub(super) heads: Option<Heads>,
    damage: Damage,
}

/// Looks through the log in a directory. Options say whose key its batches carry; its clock does not matter.
///
/// # Errors
/// [`Error::InUse`] while a process has it open, [`Error::CannotWrite`] where the scratch directory cannot be made,
/// [`Error::Damaged`] when too little stands to look through it.
pub fn check(path: impl AsRef<Path>, options: &Options, mut progress: impl FnMut(Progress)) -> Result<Report, Error> {
    let path = path.as_ref();
    if !path.is_dir() {
        return Err(Error::Storage { path: path.to_owned(), problem: "there is no such directory".to_owned() });
    }
    let _lock = directory::lock(path)?;
    super::replacement::finish(path)?;
    let mut check = Check { path, options, progress: &mut progress };
    let known = check.known();
    let (mut gaps, mut more_gaps) = (Vec::new(), 0);
    let report = check.run(&known, |topic, step| {
        if let (Topic::Events, Step::Batch(batch)) = (topic, step) {
            for gap in said_to_lack(&batch) {
                if gaps.len() < GAPS_SHOWN_MAX {
                    gaps.push(gap);
                } else {
                    more_gaps += 1;
                }
            }
        }
        Ok(())
    })?;
    Ok(Report { gaps, more_gaps, ..report })
}

/// The records of a batch that say that records of the log are missing. What a source lacks is no matter of the log.
fn said_to_lack(batch: &WholeBatch) -> impl Iterator<Item = Event> {
    let lines = batch.lines.lines().filter(|line| line.contains("\"source.gap\""));
    let events = lines.filter_map(|line| line::read_kept(&Arc::new(line.to_owned()), 0..line.len()).ok());
    events.filter(|event| {
        let is_own = event.kind() == "source.gap" && event.source() == "keywatch";
        is_own && event.detail().value()["missing"].is_null()
    })
}

impl Check<'_> {
    /// Goes through everything. `visit` gets each batch and each loss, the conclusions first.
    pub(super) fn run(
        &mut self,
        known: &Known,
        mut visit: impl FnMut(Topic, Step) -> Result<(), Error>,
    ) -> Result<Report, Error> {
        let mut damage = known.damage.clone();
        damage
            .files
            .extend(files::check_tables(&self.path.join("data"), |bytes| (self.progress)(Progress::Bytes(bytes))));
        let scratch = Scratch::of(self.path)?;
        let disk = scratch.open().map_err(|error| known.with(error, self.path))?;
        let kind = known.key.as_ref().and_then(|key| state::kind(&disk, key, self.path).ok()).flatten();
        let checks = Checks { disk: &disk, role: &self.options.role, key: known.key.as_ref() };
        let mut systems = BTreeSet::new();
        let mut topics = [TopicReport::NONE; 2];
        for topic in [Topic::Conclusions, Topic::Events] {
            let kept = known.kept(&disk, topic);
            let report = &mut topics[topic.index()];
            report.oldest = kept.position;
            let head = known.heads.map(|heads| heads.topics[topic.index()]);
            report.end = checks.walk(topic, kept, head.as_ref(), |step| {
                match &step {
                    Step::Loss(loss) => damage.losses.push(loss.clone()),
                    Step::Batch(batch) => {
                        let names = |head: TopicHead| head.position == batch.head.end() && head.hash != batch.hash;
                        if head.is_some_and(names) {
                            let problem = format!("it names another batch before position {}", batch.head.end().0);
                            damage.files.push(FileDamage::new(&head_file::path(self.path), problem));
                        }
                        report.count(batch);
                        systems.extend(batch.head.systems.iter().cloned());
                        (self.progress)(Progress::Records(batch.head.rows.len() as u64));
                    }
                }
                visit(topic, step)
            })?;
        }
        let has_head = kind.is_some_and(|kind| kind.has_head);
        if has_head && known.key.is_some() && !head_file::path(self.path).exists() && !systems.is_empty() {
            damage.files.push(FileDamage::new(&head_file::path(self.path), "it is missing"));
        }
        let clock = kind.map(|kind| kind.clock).or(known.heads.map(|heads| heads.clock));
        let heads = known.heads.map(|heads| heads.topics);
        Ok(Report {
            clock,
            heads,
            signed: known.key.is_some(),
            topics,
            systems,
            damage,
            gaps: Vec::new(),
            more_gaps: 0,
        })
    }

    /// What the files beside the batches say.
    pub(super) fn known(&self) -> Known {
        let key_file = self.options.key_file.clone();
        let key_file = key_file.unwrap_or_else(|| directory::key_file(self.path, &self.options.role));
        let key = directory::read_key(&key_file).ok();
        let mut damage = Damage::default();
        let heads = match key.as_ref().map(|key| head_file::read(self.path, key)) {
            Some(Err(file)) => {
                damage.files.push(file);
                None
            }
            heads => heads.and_then(Result::ok).flatten(),
        };
        let data = self.path.join("data");
        match files::inspect(&data) {
            Found::Log(inspection) => {
                let short = |topic: &Topic| {
                    heads.is_some_and(|heads| inspection.reaches(*topic, &heads.topics[topic.index()]) == Some(false))
                };
                let cut = inspection.torn.as_ref().filter(|_| Topic::ALL.iter().any(short));
                damage.files.extend(cut.map(|torn| FileDamage::new(torn, "its last commit does not verify")));
                damage.files.extend(inspection.damage);
            }
            Found::Nothing | Found::Begun => damage.files.push(FileDamage::new(&data, "it is missing or empty")),
        }
        Known { key, heads, damage }
    }
}

impl Known {
    /// Where the kept part of a topic begins, as far as that can be read.
    pub(super) fn kept(&self, disk: &Disk, topic: Topic) -> ChainLink {
        let kept = self.key.as_ref().map(|key| state::kept(disk, topic, key));
        kept.and_then(Result::ok).unwrap_or(ChainLink::START)
    }

    /// The error together with what was known before it.
    fn with(&self, error: Error, path: &Path) -> Error {
        match error {
            Error::Damaged { damage, .. } if !self.damage.is_empty() => {
                let files = self.damage.files.iter().cloned().chain(damage.files).collect();
                Damage { losses: damage.losses, files }.of(path)
            }
            error => error,
        }
    }
}

impl TopicReport {
    const NONE: TopicReport = TopicReport { oldest: Position(0), batches: 0, records: 0, end: TopicHead::START };

    fn count(&mut self, batch: &WholeBatch) {
        self.batches += 1;
        self.records += batch.head.rows.len() as u64;
    }
}
