//! Dead letters: what destinations did not take and what is not tried again by itself, until somebody has it told again or it
//! is forgotten.

use std::collections::BTreeSet;

use keywatch_store::{Event, Instant, Severity};
use serde::Serialize;

use super::{Deliveries, DeliveryRecord};
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
    pub(super) fn died(&mut self, delivery: &DeliveryRecord, event: &Event) {
        self.failing.remove(&(delivery.destination.clone(), delivery.key.clone()));
        match self.by_key.get_mut(&delivery.key) {
            Some(queued) => {
                queued.waiting.remove(&delivery.destination);
                let reason = event.reason().unwrap_or_default().to_owned();
                queued.dead.insert(delivery.destination.clone(), (event.time(), reason));
            }
            None => {
                self.dead.insert((delivery.destination.clone(), delivery.key.clone()));
            }
        }
    }

    pub(super) fn redriven(&mut self, delivery: &DeliveryRecord, incidents: &Incidents) {
        let Some(queued) = self.by_key.get_mut(&delivery.key) else { return };
        if queued.dead.remove(&delivery.destination).is_none() {
            return;
        }
        queued.redriven += 1;
        queued.waiting.insert(delivery.destination.clone());
        let (record, redriven) = (queued.record.clone(), queued.redriven);
        // What ended meanwhile would else stand there for ever.
        if !queued.is_answer()
            && let Some(occasion @ Occasion::Resolved { .. }) = incidents.get(&record.incident).and_then(Occasion::of)
        {
            let key = format!("{}-resolved-again-{redriven}-{}", delivery.key, self.queued_ever);
            self.tell(key, record, occasion, BTreeSet::from([delivery.destination.clone()]));
        }
    }

    /// What was put aside, in the order of its keys.
    pub fn dead_letters(&self) -> impl Iterator<Item = DeadLetter> {
        self.by_key.iter().flat_map(|(key, queued)| {
            queued.dead.iter().map(move |(destination, (died, reason))| DeadLetter {
                destination: destination.clone(),
                key: key.clone(),
                incident: queued.record.incident.clone(),
                system: queued.record.finding.system.clone(),
                rule: queued.record.finding.rule.clone(),
                severity: queued.record.finding.severity,
                title: queued.record.finding.title.clone(),
                reason: reason.clone(),
                died: *died,
            })
        })
    }

    /// The record behind a dead letter, and how often it came back.
    pub(crate) fn dead_record(&self, destination: &str, key: &str) -> Option<(&AlertRecord, u32)> {
        let queued = self.by_key.get(key).filter(|queued| queued.dead.contains_key(destination))?;
        Some((&queued.record, queued.redriven))
    }

    /// Dead letters that nobody redrove are forgotten in the end; their records stay in the log.
    pub(super) fn bury(&mut self, system: &str, now: Instant) {
        let of_system = self.by_key.values_mut().filter(|queued| queued.record.finding.system == system);
        let is_kept = |died: Instant| died.saturating_add(INCIDENT_OPEN_NS) >= now;
        of_system.for_each(|queued| queued.dead.retain(|_, (died, _)| is_kept(*died)));
        let mut dead: Vec<(Instant, String)> = Vec::new();
        for (key, queued) in &self.by_key {
            dead.extend(queued.dead.values().map(|(died, _)| (*died, key.clone())));
        }
        if dead.len() > DEAD_LETTERS_MAX {
            dead.sort_unstable();
            for (_, key) in &dead[..dead.len() - DEAD_LETTERS_MAX] {
                if let Some(queued) = self.by_key.get_mut(key) {
                    queued.dead.clear();
                }
            }
        }
    }
}
