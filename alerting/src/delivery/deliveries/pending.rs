//! What waits for a destination, in the order in which it is told.

use std::collections::BTreeMap;

use keywatch_store::Instant;

use super::{Deliveries, Telling, rank};
use crate::delivery::occasion::{Occasion, PendingNotification, ToldAs};
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::incident::Incidents;
use crate::response::intent::Step;
use crate::response::responses::Responses;

impl Deliveries {
    /// What `destination` has to hear again, because it forgets what is not said again.
    pub(crate) fn repeated<'a>(
        &'a self,
        destination: &'a str,
        incidents: &'a Incidents,
        now: impl Fn(&str) -> Instant + 'a,
    ) -> impl Iterator<Item = PendingNotification> + 'a {
        self.standing.repeated(destination, incidents, now)
    }

    /// The first `most` that `destination` has not taken yet and whose key is not `under_way`: worst first, then oldest
    /// first; the outcomes of responses after that. That an incident was acknowledged or resolved waits until what was told
    /// of it before is settled: a pager that hears of the end first would never hear of it.
    #[must_use]
    pub fn undelivered(
        &self,
        destination: &str,
        known: (&Responses, &Incidents),
        under_way: impl Fn(&str) -> bool,
        most: usize,
    ) -> Vec<PendingNotification> {
        if most == 0 {
            return Vec::new();
        }
        let incidents = known.1;
        let of_it = || self.by_key.iter().filter(|(_, telling)| telling.waiting.contains(destination));
        let first = self.first_waiting(destination, incidents);
        let held_back = |telling: &Telling| {
            let of_incident = first.get(incidents.resolve(&telling.record.incident));
            telling.is_answer() && of_incident.is_some_and(|first| *first < telling.number)
        };
        let mut waiting: Vec<(&String, &Telling)> =
            of_it().filter(|(key, telling)| !held_back(telling) && !under_way(key)).collect();
        let order = |one: &(&String, &Telling), other: &(&String, &Telling)| {
            (rank(&one.1.record), one.0).cmp(&(rank(&other.1.record), other.0))
        };
        // Of ten thousand that wait for a receiver, few are next.
        if waiting.len() > most {
            waiting.select_nth_unstable_by(most - 1, order);
        }
        waiting.truncate(most);
        waiting.sort_unstable_by(order);
        let deliveries = waiting.into_iter().map(|(key, telling)| PendingNotification {
            key: key.clone(),
            occasion: telling.occasion.clone(),
            record: telling.record.clone(),
            told_as: self.told_as(&telling.record, incidents),
            redriven: telling.redriven,
        });
        let answers = self.answers(destination, known).filter(|pending| !under_way(&pending.key));
        deliveries.chain(answers).take(most).collect()
    }

    /// Whether anything waits for `destination` that is not `under_way`.
    pub(crate) fn is_waiting(
        &self,
        destination: &str,
        known: (&Responses, &Incidents),
        under_way: impl Fn(&str) -> bool,
    ) -> bool {
        let waits = |(key, telling): (&String, &Telling)| telling.waiting.contains(destination) && !under_way(key);
        self.by_key.iter().any(waits) || self.answers(destination, known).any(|pending| !under_way(&pending.key))
    }

    /// The place of the first telling of each incident that waits for `destination`, where anything waits for that.
    fn first_waiting<'a>(&'a self, destination: &str, incidents: &'a Incidents) -> BTreeMap<&'a str, u64> {
        let waiting = || self.by_key.values().filter(|telling| telling.waiting.contains(destination));
        let mut first = BTreeMap::new();
        if waiting().any(Telling::is_answer) {
            for telling in waiting() {
                let first = first.entry(incidents.resolve(&telling.record.incident)).or_insert(telling.number);
                *first = (*first).min(telling.number);
            }
        }
        first
    }

    fn told_as(&self, record: &AlertRecord, incidents: &Incidents) -> Vec<ToldAs> {
        self.standing.known_as(incidents.resolve(&record.incident))
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
            Some(PendingNotification {
                key,
                occasion: Occasion::Answered(Box::new(progress.clone())),
                record: telling.record.clone(),
                told_as: self.told_as(&telling.record, incidents),
                redriven: 0,
            })
        })
    }
}
