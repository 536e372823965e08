//! Incidents as receivers know them: under which keys each was told, who knows of it, and whom it goes on to while nobody
//! acknowledges it. A fold; it does not know what people made of an incident, which is asked of [`Incidents`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use serde::{Deserialize, Serialize};

use crate::delivery::occasion::{Occasion, PendingNotification, SentPage};
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::handling::Status;
use crate::lifecycle::incident::{Incident, Incidents};
use crate::limits::{INCIDENT_KEPT_NS, RESOLVED_SAID_AGAIN_NS, STANDING_INCIDENTS_MAX, STANDING_KEYS_MAX};

/// A step of an escalation that is still to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    due: Instant,
    minutes: u32,
    receivers: Vec<String>,
}

/// An escalation that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DueEscalation {
    /// What was told last.
    pub(crate) record: AlertRecord,
    /// Key under which it is told.
    pub(crate) key: String,
    /// For how long nobody has acknowledged it.
    pub(crate) minutes: u32,
    /// Whom it goes on to.
    pub(crate) receivers: Vec<String>,
}

/// One incident as receivers know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownIncident {
    /// What was told last.
    record: AlertRecord,
    pages: VecDeque<SentPage>,
    destinations: BTreeSet<String>,
    steps: Vec<Step>,
    /// Whom it went on to since it was last acknowledged.
    escalated: BTreeSet<String>,
    escalations: u32,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    told: BTreeMap<String, KnownIncident>,
}

impl Standing {
    /// The incident of that id pages. Where nobody has acknowledged it, the page's escalation begins.
    pub(crate) fn told(&mut self, incident: &str, record: &AlertRecord, is_open: bool) {
        let told = self.told.entry(incident.to_owned()).or_insert_with(|| KnownIncident::new(record));
        told.record = record.clone();
        told.note(incident, &record.key, paged_at(record));
        told.destinations.extend(record.destinations.iter().cloned());
        if is_open {
            told.begin_escalation(record);
        }
        let rank = |told: &KnownIncident| (told.record.finding.severity, told.record.finding.decided);
        if self.told.len() > STANDING_INCIDENTS_MAX
            && let Some(least) = self.told.iter().min_by_key(|(_, told)| rank(told))
        {
            let least = least.0.clone();
            self.told.remove(&least);
        }
    }

    /// Incidents turned out to be the same as `into`: what was told of them was told of it.
    pub(crate) fn merged(&mut self, merges: &[String], into: &str) {
        for merged in merges {
            let Some(other) = self.told.remove(merged) else { continue };
            match self.told.get_mut(into) {
                Some(told) => told.absorb(other),
                None => {
                    self.told.insert(into.to_owned(), other);
                }
            }
        }
    }

    /// Somebody has acknowledged or resolved the incident: it goes on to nobody. What was told last, and who knows of it.
    pub(crate) fn answered(&mut self, incident: &str) -> Option<(AlertRecord, BTreeSet<String>)> {
        let told = self.told.get_mut(incident)?;
        told.steps.clear();
        told.escalated.clear();
        Some((told.record.clone(), told.destinations.clone()))
    }

    /// The incident went on to `receivers` under a key of its own. What they are told.
    pub(crate) fn escalated(
        &mut self,
        incident: &str,
        key: &str,
        receivers: &[String],
        at: Instant,
    ) -> Option<AlertRecord> {
        let told = self.told.get_mut(incident)?;
        told.escalations += 1;
        told.note(incident, key, at);
        told.destinations.extend(receivers.iter().cloned());
        told.escalated.extend(receivers.iter().cloned());
        let escalated = &told.escalated;
        told.steps.iter_mut().for_each(|step| step.receivers.retain(|name| !escalated.contains(name)));
        told.steps.retain(|step| !step.receivers.is_empty());
        Some(told.record.clone())
    }

    /// Whom the incident went on to since it was last acknowledged.
    pub(crate) fn escalated_to(&self, incident: &str) -> impl Iterator<Item = &String> {
        self.told.get(incident).into_iter().flat_map(|told| &told.escalated)
    }

    /// The next step of each incident that nobody has acknowledged in the time that its route gives.
    pub(crate) fn due_escalations(
        &self,
        incidents: &Incidents,
        now: impl Fn(&str) -> Instant,
    ) -> impl Iterator<Item = DueEscalation> {
        let is_open = |id: &str| incidents.get(id).is_some_and(|incident| incident.handling.status == Status::Open);
        self.told.iter().filter(move |(id, _)| is_open(id)).filter_map(move |(_, told)| {
            let now = now(&told.record.finding.system);
            let step = told.steps.iter().filter(|step| step.due <= now).min_by_key(|step| step.due)?;
            Some(DueEscalation {
                record: told.record.clone(),
                key: format!("{}-escalated-{}", told.record.key, told.escalations),
                minutes: step.minutes,
                receivers: step.receivers.clone(),
            })
        })
    }

    /// What was told last of the incident.
    pub(crate) fn last_told(&self, incident: &str) -> Option<&AlertRecord> {
        self.told.get(incident).map(|told| &told.record)
    }

    /// Every page of the incident, the last one last; nothing where it was never told.
    pub(crate) fn known_as(&self, incident: &str) -> Vec<SentPage> {
        self.told.get(incident).map(|told| told.pages.iter().cloned().collect()).unwrap_or_default()
    }

    /// What `destination` has to hear again: what stands, and for a while what has ended or was replaced.
    pub(crate) fn repeated<'a>(
        &'a self,
        destination: &'a str,
        incidents: &'a Incidents,
        now: impl Fn(&str) -> Instant + 'a,
    ) -> impl Iterator<Item = PendingNotification> + 'a {
        let of_it = self.told.iter().filter(move |(_, told)| told.destinations.contains(destination));
        of_it.filter_map(move |(id, told)| {
            let incident = incidents.get(id)?;
            let now = now(&incident.system);
            Some(PendingNotification {
                key: told.record.key.clone(),
                occasion: occasion(incident, now)?,
                record: told.record.clone(),
                pages: told.recent_pages(now),
                redriven: 0,
            })
        })
    }

    /// Forgets incidents that are forgotten.
    pub(crate) fn sweep(&mut self, incidents: &Incidents) {
        self.told.retain(|id, _| incidents.get(id).is_some());
    }
}

impl KnownIncident {
    fn new(record: &AlertRecord) -> KnownIncident {
        KnownIncident {
            record: record.clone(),
            pages: VecDeque::new(),
            destinations: BTreeSet::new(),
            steps: Vec::new(),
            escalated: BTreeSet::new(),
            escalations: 0,
        }
    }

    fn note(&mut self, incident: &str, key: &str, at: Instant) {
        if self.pages.len() == STANDING_KEYS_MAX {
            self.pages.pop_front();
        }
        let finding = &self.record.finding;
        self.pages.push_back(SentPage {
            key: key.to_owned(),
            incident: incident.to_owned(),
            rule: finding.rule.clone(),
            severity: finding.severity,
            at,
        });
    }

    /// Whoever is to come in anyway, by an earlier page, comes in then: a page does not put it off.
    fn begin_escalation(&mut self, record: &AlertRecord) {
        for step in &record.escalations {
            let due = paged_at(record).saturating_add(i64::from(step.after_minutes) * 60 * SECOND_NS);
            let earlier = self.steps.iter().filter(|earlier| earlier.due <= due);
            let known: BTreeSet<&String> =
                earlier.flat_map(|earlier| &earlier.receivers).chain(&self.escalated).collect();
            let receivers: Vec<String> = step.receivers.iter().filter(|name| !known.contains(name)).cloned().collect();
            if !receivers.is_empty() {
                self.steps.push(Step { due, minutes: step.after_minutes, receivers });
            }
        }
    }

    fn absorb(&mut self, other: KnownIncident) {
        self.pages.extend(other.pages);
        self.pages.make_contiguous().sort_by_key(|page| page.at);
        while self.pages.len() > STANDING_KEYS_MAX {
            self.pages.pop_front();
        }
        self.destinations.extend(other.destinations);
        self.steps.extend(other.steps);
        self.escalated.extend(other.escalated);
        self.escalations += other.escalations;
    }

    /// The last page, and those that it has replaced not long ago.
    fn recent_pages(&self, now: Instant) -> Vec<SentPage> {
        let replaced = self.pages.iter().skip(1).map(|next| Some(next.at)).chain([None]);
        let recent = |at: Option<Instant>| at.is_none_or(|at| at.saturating_add(RESOLVED_SAID_AGAIN_NS) >= now);
        let pages = self.pages.iter().zip(replaced).filter(|(_, replaced)| recent(*replaced));
        pages.map(|(page, _)| page.clone()).collect()
    }
}

/// When people are told of it.
fn paged_at(record: &AlertRecord) -> Instant {
    record.paged.unwrap_or(record.finding.decided)
}

/// How an incident stands at `now`; nothing where there is nothing to be said again.
fn occasion(incident: &Incident, now: Instant) -> Option<Occasion> {
    match Occasion::of(incident) {
        Some(resolved @ Occasion::Resolved { .. }) => {
            let at = incident.handling.resolved.as_ref().map_or(now, |(.., at)| *at);
            (at.saturating_add(RESOLVED_SAID_AGAIN_NS) >= now).then_some(resolved)
        }
        _ => (incident.last.saturating_add(INCIDENT_KEPT_NS) >= now).then_some(Occasion::Updated),
    }
}
