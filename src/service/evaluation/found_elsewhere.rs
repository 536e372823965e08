//! Findings that another process concludes, for a process that only responds: each is taken when it has been read, and not
//! before the records up to the one that decided it are known here, as where one process does both. It decides nothing, but
//! for one thing: what says that it was decided later than that can be would be waited for, and all behind it. Nothing is waited
//! for without an end: the system of a finding may say nothing any more.

use std::collections::BTreeMap;
use std::time::{self, Duration};

use keywatch_alerting::is_early;
use keywatch_alerting::limits::FINDING_EARLY_NS_MAX;
use keywatch_store::{Event, Finding, Instant, Log, Position, Topic};
use serde::Deserialize;

use crate::limits::PIPELINE_RECORDS_MAX;

/// The findings that come.
pub(super) struct FoundElsewhere {
    /// Next record of the conclusions topic.
    next: Position,
    /// By system, log time of the last record that is known here.
    known: BTreeMap<String, Instant>,
    waiting: Option<Waiting>,
}

/// How long findings are waited for that the records of their system do not come up to.
struct Waiting {
    since: time::Instant,
    /// Where the events ended then: what decided a finding stands before.
    events: Position,
    /// Where the conclusions ended then: those before have waited as long.
    conclusions: Position,
}

/// What came.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Findings whose time has come, in the order of the log.
    pub(super) findings: Vec<Finding>,
    /// Those that say that they were decided later than they can have been, and the log time of the record that says so.
    pub(super) refused: Vec<(Finding, Instant)>,
}

impl FoundElsewhere {
    /// Those from there on.
    pub(super) fn new(next: Position) -> FoundElsewhere {
        FoundElsewhere { next, known: BTreeMap::new(), waiting: None }
    }

    /// These records are known now.
    pub(super) fn observe(&mut self, events: &[Event]) {
        for event in events {
            if let Some(known) = self.known.get_mut(event.system()) {
                *known = event.time();
            } else {
                self.known.insert(event.system().to_owned(), event.time());
            }
        }
    }

    /// The next findings, in the order of the log, where all events before `position` are known. Nothing where there is nothing
    /// to read, or where what decided the next one is not known here yet. Those that `is_planned` says are decided on are left
    /// out: this process's own are as late as its conclusions, which may be later than any event of the system. One that is
    /// [early](is_early) is set apart and not waited for; one that is early by less is waited for no longer than that.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn read(
        &mut self,
        log: &dyn Log,
        position: Position,
        is_planned: impl Fn(&Finding) -> bool,
        now: time::Instant,
    ) -> anyhow::Result<Option<Found>> {
        let concluded = log.read(Topic::Conclusions, self.next, PIPELINE_RECORDS_MAX)?;
        let (begun, mut found) = (self.next, Found::default());
        for event in concluded {
            if event.kind() == "finding.created"
                && let Ok(finding) = Finding::deserialize(event.detail().value())
                && !is_planned(&finding)
            {
                // Nothing is recorded before it is decided. What was heard of the system counts too: another broker's clock.
                let recorded = event.time();
                let known = log.time_of(&finding.system).unwrap_or_default().max(recorded);
                if is_early(&finding, known) {
                    found.refused.push((finding, recorded));
                } else if self.is_due(&finding, log, position) || self.has_waited(log, position, now) {
                    found.findings.push(finding);
                } else {
                    break;
                }
            }
            self.next = self.next.plus(1);
        }
        Ok((self.next > begun).then_some(found))
    }

    fn is_due(&self, finding: &Finding, log: &dyn Log, position: Position) -> bool {
        let reaches = |time: Instant| time >= finding.decided;
        if self.known.get(&finding.system).copied().is_some_and(reaches) {
            return true;
        }
        // A system of which nothing was said since this process began. In this order: what comes in between is known too.
        log.time_of(&finding.system).is_none_or(reaches) && position >= log.end(Topic::Events)
    }

    /// Whether the next one was waited for as long as any is. One wait does for all that stood in the conclusions when it began.
    fn has_waited(&mut self, log: &dyn Log, position: Position, now: time::Instant) -> bool {
        if let Some(Waiting { since, events, conclusions }) = &self.waiting
            && self.next < *conclusions
        {
            let longest = Duration::from_nanos(FINDING_EARLY_NS_MAX.unsigned_abs());
            return position >= *events && now.saturating_duration_since(*since) > longest;
        }
        let (events, conclusions) = (log.end(Topic::Events), log.end(Topic::Conclusions));
        self.waiting = Some(Waiting { since: now, events, conclusions });
        false
    }
}
