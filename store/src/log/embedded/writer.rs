//! The writer: one thread that takes whatever appends wait, admits their events, frames them into batches, commits all
//! of it with one sync, and only then answers.
//!
//! It never goes on after a failed commit: what the admission took in and the disk did not would be skipped as repeats.
//! Opening the log again starts from what is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use sha2::{Digest, Sha256};

use super::clocks::{Clocks, JumpGuard};
use super::disk::{Change, Disk};
use super::head_file::HeadFile;
use super::recovery::{Recovered, generation};
use super::shared::Shared;
use super::state::{self, ChainLink, SystemPlace};
use super::time_index::TimeIndex;
use crate::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, BATCH_SYSTEMS_MAX, COMMIT_BYTES_MAX};
use crate::line::Template;
use crate::log::TopicHead;
use crate::log::admission::{self, Admission, Admitted, Fingerprint};
use crate::log::hash_chain::{Head, Key, Row};
use crate::log::ids::TopicIds;
use crate::{Appended, Clock, Error, Event, Instant, Position, Topic};

/// An append that waits for the writer.
pub(super) struct Request {
    pub(super) topic: Topic,
    pub(super) events: Vec<Prepared>,
    pub(super) answer: SyncSender<Appended>,
}

/// An event with what could be worked out before its turn came.
pub(super) struct Prepared {
    event: Event,
    template: Template,
    fingerprint: Fingerprint,
}

impl Prepared {
    pub(super) fn new(event: Event) -> Prepared {
        let template = Template::of(&event);
        let fingerprint = admission::fingerprint_of(&template);
        Prepared { event, template, fingerprint }
    }

    pub(super) fn line_bytes(&self) -> usize {
        self.template.as_str().len()
    }
}

/// The state of the writer's thread.
pub(super) struct Writer {
    pub(super) disk: Arc<Disk>,
    pub(super) shared: Arc<Shared>,
    pub(super) role: String,
    pub(super) key: Key,
    pub(super) clock: Clock,
    pub(super) clocks: Box<dyn Clocks>,
    pub(super) guard: JumpGuard,
    pub(super) topics: [TopicWriter; 2],
    pub(super) head_file: HeadFile,
    /// Ids of a topic that are held in memory.
    pub(super) recent_ids_max: usize,
}

pub(super) struct TopicWriter {
    topic: Topic,
    tip: ChainLink,
    /// The latest log time in the last batch.
    latest: Instant,
    admission: Admission,
    times: HashMap<String, TimeIndex>,
    drafts: Vec<Draft>,
    /// The room of the last batch's lines, for the next one.
    room: String,
    /// Ids that the admission does not hold.
    ids: TopicIds,
}

impl From<Recovered> for TopicWriter {
    fn from(recovered: Recovered) -> TopicWriter {
        let Recovered { topic, tip, latest, admission, times, ids, .. } = recovered;
        TopicWriter { topic, tip, latest, admission, times, drafts: Vec::new(), room: String::new(), ids }
    }
}

impl Writer {
    /// Serves appends until all senders are gone or writing fails.
    pub(super) fn run(mut self, queue: &Receiver<Request>) {
        while let Ok(request) = queue.recv() {
            if let Err(error) = self.turn(gather(request, queue)) {
                tracing::error!(path = %self.disk.path().display(), %error, "the log's writer stops");
                break;
            }
        }
        self.shared.stop(&Error::Closed);
    }

    fn turn(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let (answers, appends): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|request| (request.answer, (request.topic, request.events))).unzip();
        // Whoever waits finds its answer's sender dropped and then asks why; so the reason is noted before.
        let written = self.write(appends).inspect_err(|error| self.shared.stop(error))?;
        for (answer, appended) in answers.into_iter().zip(written) {
            // A caller that no longer waits has its events in the log all the same.
            let _ = answer.send(appended);
        }
        for topic in &mut self.topics {
            topic.hand_over_ids(self.recent_ids_max).inspect_err(|error| self.shared.stop(error))?;
        }
        Ok(())
    }

    fn write(&mut self, appends: Vec<(Topic, Vec<Prepared>)>) -> Result<Vec<Appended>, Error> {
        let now = match self.clock {
            Clock::Wall => self.guard.now(&*self.clocks)?,
            Clock::Recorded => Instant::UNASSIGNED,
        };
        let admit = |(topic, events): (Topic, Vec<Prepared>)| self.topics[topic.index()].admit(events, now);
        let appended = appends.into_iter().map(admit).collect::<Result<_, Error>>()?;
        self.commit()?;
        Ok(appended)
    }

    fn commit(&mut self) -> Result<(), Error> {
        let mut change = self.disk.change();
        let [events, conclusions] = &mut self.topics;
        let moved = events.put(&mut change, &self.role, &self.key);
        let concluded = conclusions.put(&mut change, &self.role, &self.key);
        if moved.is_empty() && concluded.is_empty() {
            return Ok(());
        }
        change.commit()?;
        // After the commit, so that a head is never ahead of its log; before any answer, so that it is never behind what
        // somebody relies on.
        self.head_file.write([events.head(), conclusions.head()])?;
        self.shared.publish(|view| {
            for topic in [events, conclusions] {
                let shown = &mut view.topics[topic.topic.index()];
                (shown.tip, shown.latest) = (topic.tip, topic.latest);
            }
            view.times.extend(moved.into_iter().map(|(system, place)| (system, place.time)));
        });
        Ok(())
    }
}

/// The first append and those that wait behind it, up to the size of one commit.
fn gather(first: Request, queue: &Receiver<Request>) -> Vec<Request> {
    let bytes_of = |request: &Request| request.events.iter().map(Prepared::line_bytes).sum::<usize>();
    let mut bytes = bytes_of(&first);
    let mut requests = vec![first];
    while bytes < COMMIT_BYTES_MAX {
        let Ok(request) = queue.try_recv() else { break };
        bytes += bytes_of(&request);
        requests.push(request);
    }
    requests
}

impl TopicWriter {
    pub(super) fn head(&self) -> TopicHead {
        TopicHead { position: self.tip.position, time: self.latest, hash: self.tip.hash }
    }

    fn admit(&mut self, events: Vec<Prepared>, now: Instant) -> Result<Appended, Error> {
        let pending: usize = self.drafts.iter().map(|draft| draft.rows.len()).sum();
        let first = self.tip.position.plus(pending);
        let mut appended = Appended { first, written: Vec::with_capacity(events.len()), repeats: 0, conflicts: 0 };
        for Prepared { event, template, fingerprint } in events {
            match self.admission.admit_beside(event, fingerprint, now, |id| self.ids.find(id))? {
                Admitted::New(event) => {
                    self.draft().push(&event, &template, fingerprint);
                    appended.written.push(*event);
                }
                Admitted::Conflict(event) => {
                    let conflict = Prepared::new(*event);
                    self.draft().push(&conflict.event, &conflict.template, conflict.fingerprint);
                    appended.conflicts += 1;
                    appended.written.push(conflict.event);
                }
                Admitted::Repeat => appended.repeats += 1,
            }
        }
        Ok(appended)
    }

    /// Has the index take over the ids of what is committed, when they are many.
    fn hand_over_ids(&mut self, recent_max: usize) -> Result<(), Error> {
        if self.admission.ids() < recent_max {
            return self.ids.tidy();
        }
        self.ids.put(generation(&mut self.admission, &self.times, self.tip))
    }

    fn draft(&mut self) -> &mut Draft {
        if self.drafts.last().is_none_or(Draft::is_full) {
            let lines = std::mem::take(&mut self.room);
            self.drafts.push(Draft { lines, ..Draft::default() });
        }
        self.drafts.last_mut().expect("there is one now")
    }

    /// Puts the drafts and what they change into `change`; the systems that have a new record and where they stand.
    fn put(&mut self, change: &mut Change<'_>, role: &str, key: &Key) -> Vec<(String, SystemPlace)> {
        let mut lasts: BTreeMap<String, Position> = BTreeMap::new();
        let mut activated = BTreeSet::new();
        for mut draft in std::mem::take(&mut self.drafts) {
            activated.append(&mut draft.activated);
            lasts.extend(draft.systems.iter().map(|system| (system.clone(), self.tip.position)));
            self.put_batch(draft, change, role, key);
        }
        if !lasts.is_empty() {
            state::put_tip(change, self.topic, self.tip, key);
        }
        for system in activated {
            if let Some(delays) = self.admission.delays(&system) {
                state::put_delays(change, self.topic, &system, delays, key);
            }
        }
        let mut places = Vec::with_capacity(lasts.len());
        for (system, last) in lasts {
            let place = self.place(&system, last);
            state::put_system(change, self.topic, &system, place, key);
            places.push((system, place));
        }
        places
    }

    fn place(&mut self, system: &str, last: Position) -> SystemPlace {
        let time = self.admission.time_of(system).unwrap_or_default();
        let oldest = self.times.get_mut(system).and_then(|times| times.forget(time));
        SystemPlace { time, remembered_from: oldest.unwrap_or(last), last }
    }

    fn put_batch(&mut self, draft: Draft, change: &mut Change<'_>, role: &str, key: &Key) {
        let first = self.tip.position;
        let Draft { systems, rows, mut lines, .. } = draft;
        let head = Head {
            topic: self.topic,
            role: role.to_owned(),
            first,
            previous: self.tip.hash,
            lines_hash: Sha256::digest(lines.as_bytes()).into(),
            systems,
            rows,
        };
        for row in &head.rows {
            let system = &head.systems[usize::from(row.system)];
            if !self.times.contains_key(system) {
                self.times.insert(system.clone(), TimeIndex::default());
            }
            self.times.get_mut(system).expect("it was just put there if it was not").note(first, row.time);
        }
        let (bytes, hash) = head.seal(key);
        self.latest = head.latest().unwrap_or(self.latest);
        change.put_batch(self.topic, first, bytes, lines.as_bytes());
        lines.clear();
        self.room = lines;
        self.tip = ChainLink { position: head.end(), hash };
    }
}

/// A batch that is being filled.
#[derive(Default)]
struct Draft {
    systems: Vec<String>,
    rows: Vec<Row>,
    lines: String,
    /// Systems whose inventory it activates.
    activated: BTreeSet<String>,
}

impl Draft {
    fn is_full(&self) -> bool {
        self.lines.len() >= BATCH_BYTES_MAX
            || self.rows.len() >= BATCH_RECORDS_MAX
            || self.systems.len() >= BATCH_SYSTEMS_MAX
    }

    fn push(&mut self, event: &Event, template: &Template, fingerprint: Fingerprint) {
        let before = self.lines.len();
        template.fill(event.time(), event.late(), &mut self.lines);
        self.lines.push('\n');
        if event.kind() == "inventory.activated" {
            self.activated.insert(event.system().to_owned());
        }
        let system = self.system(event.system());
        self.rows.push(Row {
            system,
            time: event.time(),
            line_bytes: u32::try_from(self.lines.len() - before).expect("a line is limited to far less"),
            id: event.event_id(),
            fingerprint,
        });
    }

    fn system(&mut self, name: &str) -> u16 {
        let found = self.systems.iter().position(|system| system == name);
        let index = found.unwrap_or_else(|| {
            self.systems.push(name.to_owned());
            self.systems.len() - 1
        });
        u16::try_from(index).expect("a batch is limited to far fewer systems")
    }
}
