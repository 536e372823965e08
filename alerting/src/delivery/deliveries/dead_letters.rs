//! Dead letters: what destinations did not take and what is not tried again by itself, until somebody has it told again or it
//! is forgotten.

use std::collections::BTreeSet;

use keywatch_store::{Event, Instant, Severity};
use serde::Serialize;

use super::{Deliveries, Said};
use crate::delivery::occasion::Occasion;
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::incident::Incidents;
use crate::limits::{DEAD_LETTERS_MAX, INCIDENT_OPEN_NS};

/// Something that a destination did not take and that is not tried again by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Name of the destination.
    pub destination: String,
    /// Idempotency key.
    pub key: String,
    /// The incident.
    pub incident: String,
    /// The trusted environment.
    pub system: String,
    /// Rule id.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happened.
    pub title: String,
    /// What the destination said last.
    pub reason: String,
    /// Log time at which it was put aside.
    pub died: Instant,
}

impl Deliveries {
    pub(super) fn died(&mut self, said: &Said, event: &Event) {
        self.failing.remove(&(said.destination.clone(), said.key.clone()));
        match self.by_key.get_mut(&said.key) {
            Some(telling) => {
                telling.waiting.remove(&said.destination);
                let reason = event.reason().unwrap_or_default().to_owned();
                telling.dead.insert(said.destination.clone(), (event.time(), reason));
            }
            None => {
                self.dead.insert((said.destination.clone(), said.key.clone()));
            }
        }
    }

    pub(super) fn redriven(&mut self, said: &Said, incidents: &Incidents) {
        let Some(telling) = self.by_key.get_mut(&said.key) else { return };
        if telling.dead.remove(&said.destination).is_none() {
            return;
        }
        telling.redriven += 1;
        telling.waiting.insert(said.destination.clone());
        let (record, redriven) = (telling.record.clone(), telling.redriven);
        // What ended meanwhile would else stand there for ever.
        if !telling.is_answer()
            && let Some(occasion @ Occasion::Resolved { .. }) = incidents.get(&record.incident).and_then(Occasion::of)
        {
            let key = format!("{}-resolved-again-{redriven}-{}", said.key, self.tellings);
            self.tell(key, record, occasion, BTreeSet::from([said.destination.clone()]));
        }
    }

    /// What was put aside, in the order of its keys.
    pub fn dead_letters(&self) -> impl Iterator<Item = DeadLetter> {
        self.by_key.iter().flat_map(|(key, telling)| {
            telling.dead.iter().map(move |(destination, (died, reason))| DeadLetter {
                destination: destination.clone(),
                key: key.clone(),
                incident: telling.record.incident.clone(),
                system: telling.record.finding.system.clone(),
                rule: telling.record.finding.rule.clone(),
                severity: telling.record.finding.severity,
                title: telling.record.finding.title.clone(),
                reason: reason.clone(),
                died: *died,
            })
        })
    }

    /// The record behind a dead letter, and how often it came back.
    pub(crate) fn dead_record(&self, destination: &str, key: &str) -> Option<(&AlertRecord, u32)> {
        let telling = self.by_key.get(key).filter(|telling| telling.dead.contains_key(destination))?;
        Some((&telling.record, telling.redriven))
    }

    /// Dead letters that nobody redrove are forgotten in the end; their records stay in the log.
    pub(super) fn bury(&mut self, system: &str, now: Instant) {
        let of_system = self.by_key.values_mut().filter(|telling| telling.record.finding.system == system);
        let is_kept = |died: Instant| died.saturating_add(INCIDENT_OPEN_NS) >= now;
        of_system.for_each(|telling| telling.dead.retain(|_, (died, _)| is_kept(*died)));
        let mut dead: Vec<(Instant, String)> = Vec::new();
        for (key, telling) in &self.by_key {
            dead.extend(telling.dead.values().map(|(died, _)| (*died, key.clone())));
        }
        if dead.len() > DEAD_LETTERS_MAX {
            dead.sort_unstable();
            for (_, key) in &dead[..dead.len() - DEAD_LETTERS_MAX] {
                if let Some(telling) = self.by_key.get_mut(key) {
                    telling.dead.clear();
                }
            }
        }
    }
}
