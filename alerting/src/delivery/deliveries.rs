//! The durable outbox as the log knows it: what was to be told to which destination, and what each destination took.
//! A fold; sends nothing.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::incident::Incidents;
use crate::lifecycle::saved::pairs;
use crate::response::intent::{Progress, Step};
use crate::response::responses::Responses;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Occasion {
    /// A new incident.
    Opened,
    /// An incident that became worse.
    Updated,
    /// The outcome of a response that was still open when its incident was told.
    Answered(Box<Progress>),
}

/// Something that a destination has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingNotification {
    /// Idempotency key.
    pub key: String,
    /// What is told.
    pub occasion: Occasion,
    /// The alert, as its record says.
    pub record: AlertRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Telling {
    record: AlertRecord,
    occasion: Occasion,
    waiting: BTreeSet<String>,
}

/// The outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    by_key: BTreeMap<String, Telling>,
    /// (destination, response) → the status it was told last.
    #[serde(with = "pairs")]
    told: BTreeMap<(String, String), String>,
    /// (destination, key) put aside.
    dead: BTreeSet<(String, String)>,
}

impl Deliveries {
    pub(crate) fn opened(&mut self, record: AlertRecord, occasion: Occasion) {
        let waiting = record.destinations.iter().cloned().collect();
        self.by_key.insert(record.key.clone(), Telling { record, occasion, waiting });
    }

    pub(crate) fn notified(&mut self, destination: &str, key: &str, said: &BTreeMap<String, String>) {
        if let Some(telling) = self.by_key.get_mut(key) {
            telling.waiting.remove(destination);
        }
        for (response, status) in said {
            self.told.insert((destination.to_owned(), response.clone()), status.clone());
        }
    }

    pub(crate) fn died(&mut self, destination: &str, key: &str) {
        match self.by_key.get_mut(key) {
            Some(telling) => {
                telling.waiting.remove(destination);
            }
            None => {
                self.dead.insert((destination.to_owned(), key.to_owned()));
            }
        }
    }

    /// The first `most` that `destination` has not taken yet and whose key is not `under_way`: worst first, then oldest
    /// first; the outcomes of responses after that.
    #[must_use]
    pub fn undelivered(
        &self,
        destination: &str,
        known: (&Responses, &Incidents),
        under_way: impl Fn(&str) -> bool,
        most: usize,
    ) -> Vec<PendingNotification> {
        let waiting = self.by_key.values().filter(|telling| telling.waiting.contains(destination));
        let mut waiting: Vec<&Telling> = waiting.filter(|telling| !under_way(&telling.record.key)).collect();
        waiting.sort_by(|one, other| rank(&one.record).cmp(&rank(&other.record)));
        let deliveries = waiting.into_iter().map(|telling| PendingNotification {
            key: telling.record.key.clone(),
            occasion: telling.occasion.clone(),
            record: telling.record.clone(),
        });
        let answers = self.answers(destination, known).filter(|pending| !under_way(&pending.key));
        deliveries.chain(answers).take(most).collect()
    }

    /// How many alerts `destination` has not taken yet, and when the oldest of them was decided. Outcomes of responses are
    /// left out.
    #[must_use]
    pub fn waiting(&self, destination: &str) -> (usize, Option<Instant>) {
        let waiting = self.by_key.values().filter(|telling| telling.waiting.contains(destination));
        waiting.fold((0, None), |(count, oldest), telling| {
            let decided = telling.record.finding.decided;
            (count + 1, Some(oldest.map_or(decided, |oldest: Instant| oldest.min(decided))))
        })
    }

    fn answers<'a>(
        &'a self,
        destination: &'a str,
        (responses, incidents): (&'a Responses, &'a Incidents),
    ) -> impl Iterator<Item = PendingNotification> + 'a {
        let told = self.told.iter().filter(move |((to, _), _)| to == destination);
        told.filter_map(move |((_, response), status)| {
            let progress = responses.get(response)?;
            let settled = matches!(progress.step, Step::Verified { .. });
            let key = format!("{response}-{}", progress.status());
            let dead = self.dead.contains(&(destination.to_owned(), key.clone()));
            if !settled || dead || progress.status() == *status {
                return None;
            }
            let of_response = incidents.resolve(&progress.response.incident);
            let telling =
                self.by_key.values().rev().find(|told| incidents.resolve(&told.record.incident) == of_response)?;
            let occasion = Occasion::Answered(Box::new(progress.clone()));
            Some(PendingNotification { key, occasion, record: telling.record.clone() })
        })
    }

    /// Forgets what every destination took and whose incident waits for no response.
    pub(crate) fn sweep(&mut self, responses: &Responses, incidents: &Incidents) {
        let unsettled = |incident: &str| {
            let of_incident = |progress: &&Progress| incidents.resolve(&progress.response.incident) == incident;
            responses.iter().filter(of_incident).any(|progress| {
                let status = progress.status();
                let told = self.told.iter().filter(|((_, response), _)| *response == progress.response.id);
                progress.is_open() || told.clone().any(|(_, said)| *said != status)
            })
        };
        let done: Vec<String> = self
            .by_key
            .iter()
            .filter(|(_, telling)| {
                telling.waiting.is_empty() && !unsettled(incidents.resolve(&telling.record.incident))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in done {
            self.by_key.remove(&key);
        }
        self.told.retain(|(_, response), _| responses.get(response).is_some());
        self.dead.retain(|(_, key)| key.split('-').next().is_some_and(|response| responses.get(response).is_some()));
    }
}

fn rank(record: &AlertRecord) -> (std::cmp::Reverse<Severity>, Instant, &str) {
    (std::cmp::Reverse(record.finding.severity), record.finding.decided, &record.key)
}
