//! The durable outbox as the log knows it: what was to be told to which destination, what each destination took, and what
//! was put aside. A fold; sends nothing. What waits stands in `pending`, what was put aside in `dead_letters`.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::delivery::occasion::Occasion;
use crate::delivery::standing::{DueEscalation, Standing};
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::handling::Status;
use crate::lifecycle::incident::{Incident, Incidents};
use crate::lifecycle::pairs;
use crate::response::intent::Progress;
use crate::response::responses::Responses;

mod dead_letters;
mod pending;

pub use dead_letters::DeadLetter;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Queued {
    record: AlertRecord,
    occasion: Occasion,
    waiting: BTreeSet<String>,
    /// Its place among all that was ever told.
    #[serde(default)]
    number: u64,
    /// Destinations that will not be tried again, with when and why.
    #[serde(default)]
    dead: BTreeMap<String, (Instant, String)>,
    #[serde(default)]
    redriven: u32,
}

/// What the records of deliveries say.
#[derive(Deserialize)]
struct DeliveryRecord {
    #[serde(default)]
    incident: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    destination: String,
    #[serde(default)]
    destinations: Vec<String>,
    #[serde(default)]
    dead: bool,
    #[serde(default)]
    since: Option<i64>,
    #[serde(default)]
    minutes: u32,
    #[serde(default, rename = "said")]
    statuses: BTreeMap<String, String>,
}

/// The outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    by_key: BTreeMap<String, Queued>,
    /// (destination, response) → the status it was told last.
    #[serde(with = "pairs")]
    told: BTreeMap<(String, String), String>,
    /// (destination, key) put aside.
    dead: BTreeSet<(String, String)>,
    /// (destination, key) → wall-clock time of the first failure, unix seconds.
    #[serde(default, with = "pairs")]
    failing: BTreeMap<(String, String), i64>,
    #[serde(default)]
    standing: Standing,
    /// How much was ever told.
    #[serde(default, rename = "tellings")]
    queued_ever: u64,
}

impl Deliveries {
    /// Takes in a record about deliveries.
    pub(crate) fn apply(&mut self, event: &Event, incidents: &Incidents) {
        let Ok(delivery) = DeliveryRecord::deserialize(event.detail().value()) else { return };
        match event.kind() {
            "alert.notified" => self.notified(&delivery),
            "alert.failed" if delivery.dead => self.died(&delivery, event),
            "alert.failed" => self.failed(&delivery),
            "alert.redriven" => self.redriven(&delivery, incidents),
            "alert.escalated" => self.escalated(&delivery, event, incidents),
            _ => {}
        }
    }

    /// An incident pages; `incident` is it, with the page in it.
    pub(crate) fn paged(&mut self, record: AlertRecord, incident: Option<&Incident>) {
        let first = record.key == record.incident;
        let occasion = if first { Occasion::Opened } else { Occasion::Updated };
        if let Some(incident) = incident {
            self.standing.told(&incident.id, &record, incident.handling.status == Status::Open);
        }
        let waiting = record.destinations.iter().cloned().collect();
        self.tell(record.key.clone(), record, occasion, waiting);
    }

    /// What was told last of an incident.
    pub(crate) fn last_told(&self, incident: &str) -> Option<&AlertRecord> {
        self.standing.last_told(incident)
    }

    /// Incidents turned out to be the same as `into`.
    pub(crate) fn merged(&mut self, merges: &[String], into: &str) {
        self.standing.merged(merges, into);
    }

    /// Somebody has acknowledged or resolved an incident: whoever was told of it is told of that.
    pub(crate) fn answered(&mut self, incident: &Incident) {
        // That it was reopened is told with its next page.
        let Some(occasion) = Occasion::of(incident) else { return };
        let Some((record, destinations)) = self.standing.answered(&incident.id) else { return };
        let key = format!("{}-{}-{}", incident.id, incident.handling.status, incident.handling.acts);
        self.tell(key, record, occasion, destinations);
    }

    fn tell(&mut self, key: String, record: AlertRecord, occasion: Occasion, waiting: BTreeSet<String>) {
        self.queued_ever += 1;
        let number = self.queued_ever;
        self.by_key.insert(key, Queued { record, occasion, waiting, number, dead: BTreeMap::new(), redriven: 0 });
    }

    fn notified(&mut self, delivery: &DeliveryRecord) {
        self.failing.remove(&(delivery.destination.clone(), delivery.key.clone()));
        if let Some(queued) = self.by_key.get_mut(&delivery.key) {
            queued.waiting.remove(&delivery.destination);
        }
        for (response, status) in &delivery.statuses {
            self.told.insert((delivery.destination.clone(), response.clone()), status.clone());
        }
    }

    fn failed(&mut self, delivery: &DeliveryRecord) {
        if let Some(since) = delivery.since {
            self.failing.entry((delivery.destination.clone(), delivery.key.clone())).or_insert(since);
        }
    }

    fn escalated(&mut self, delivery: &DeliveryRecord, event: &Event, incidents: &Incidents) {
        let incident = incidents.resolve(&delivery.incident);
        let receivers = &delivery.destinations;
        if let Some(record) = self.standing.escalated(incident, &delivery.key, receivers, event.time()) {
            let occasion = Occasion::Escalated { minutes: delivery.minutes };
            self.tell(delivery.key.clone(), record, occasion, receivers.iter().cloned().collect());
        }
    }

    /// When `destination` first failed to take what is told under `key`: wall-clock time, unix seconds.
    pub(crate) fn failing_since(&self, destination: &str, key: &str) -> Option<i64> {
        self.failing.get(&(destination.to_owned(), key.to_owned())).copied()
    }

    /// How many notifications `destination` has not taken yet, and when the oldest finding among them was decided. Outcomes
    /// of responses are left out.
    #[must_use]
    pub fn waiting(&self, destination: &str) -> (usize, Option<Instant>) {
        self.waiting_records(destination).fold((0, None), |(count, oldest), record| {
            let decided = record.finding.decided;
            (count + 1, Some(oldest.map_or(decided, |oldest: Instant| oldest.min(decided))))
        })
    }

    /// The worst and oldest of what waits for a destination.
    pub(crate) fn worst_waiting<'a>(&'a self, destination: &'a str) -> Option<&'a AlertRecord> {
        self.waiting_records(destination).min_by(|one, other| rank(one).cmp(&rank(other)))
    }

    fn waiting_records<'a>(&'a self, destination: &'a str) -> impl Iterator<Item = &'a AlertRecord> {
        let waiting = self.by_key.values().filter(move |queued| queued.waiting.contains(destination));
        waiting.map(|queued| &queued.record)
    }

    /// Incidents that nobody has acknowledged in the time that their route gives.
    pub(crate) fn due_escalations(
        &self,
        incidents: &Incidents,
        now: impl Fn(&str) -> Instant,
    ) -> impl Iterator<Item = DueEscalation> {
        self.standing.due_escalations(incidents, now)
    }

    /// Whom an incident went on to since it was last acknowledged.
    pub(crate) fn escalated_to(&self, incident: &str) -> impl Iterator<Item = &String> {
        self.standing.escalated_to(incident)
    }

    /// Forgets what every destination took and whose incident waits for no response.
    pub(crate) fn sweep(&mut self, responses: &Responses, incidents: &Incidents, system: &str, now: Instant) {
        self.standing.sweep(incidents);
        self.bury(system, now);
        let unsettled = |incident: &str| {
            let of_incident = |progress: &&Progress| incidents.resolve(&progress.response.incident) == incident;
            responses.iter().filter(of_incident).any(|progress| {
                let status = progress.status();
                let told = self.told.iter().filter(|((_, response), _)| *response == progress.response.id);
                progress.is_open() || told.clone().any(|(_, last)| *last != status)
            })
        };
        let done: Vec<String> = self
            .by_key
            .iter()
            .filter(|(_, queued)| queued.is_settled() && !unsettled(incidents.resolve(&queued.record.incident)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in done {
            self.by_key.remove(&key);
        }
        let is_answer = |key: &str| key.split('-').next().is_some_and(|response| responses.get(response).is_some());
        self.told.retain(|(_, response), _| responses.get(response).is_some());
        self.dead.retain(|(_, key)| is_answer(key));
        let by_key = &self.by_key;
        self.failing.retain(|(_, key), _| by_key.contains_key(key) || is_answer(key));
    }
}

impl Queued {
    /// It tells what people made of an incident.
    fn is_answer(&self) -> bool {
        matches!(self.occasion, Occasion::Acknowledged { .. } | Occasion::Resolved { .. })
    }

    fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.dead.is_empty()
    }
}

fn rank(record: &AlertRecord) -> (std::cmp::Reverse<Severity>, Instant, &str) {
    (std::cmp::Reverse(record.finding.severity), record.finding.decided, &record.key)
}
