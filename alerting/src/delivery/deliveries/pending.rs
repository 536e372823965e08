//! What waits for a destination, in the order in which it is told.

use std::collections::BTreeMap;

use keywatch_store::Instant;

use super::{Deliveries, Queued, rank};
use crate::delivery::occasion::{Occasion, PendingNotification, SentPage};
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
        let of_it = || self.by_key.iter().filter(|(_, queued)| queued.waiting.contains(destination));
        let first = self.first_waiting(destination, incidents);
        let held_back = |queued: &Queued| {
            let of_incident = first.get(incidents.resolve(&queued.record.incident));
            queued.is_answer() && of_incident.is_some_and(|first| *first < queued.number)
        };
        let mut waiting: Vec<(&String, &Queued)> =
            of_it().filter(|(key, queued)| !held_back(queued) && !under_way(key)).collect();
        let order = |one: &(&String, &Queued), other: &(&String, &Queued)| {
            (rank(&one.1.record), one.0).cmp(&(rank(&other.1.record), other.0))
        };
        // Of ten thousand that wait for a receiver, few are next.
        if waiting.len() > most {
            waiting.select_nth_unstable_by(most - 1, order);
        }
        waiting.truncate(most);
        waiting.sort_unstable_by(order);
        let deliveries = waiting.into_iter().map(|(key, queued)| PendingNotification {
            key: key.clone(),
            occasion: queued.occasion.clone(),
            record: queued.record.clone(),
            pages: self.pages_of(&queued.record, incidents),
            redriven: queued.redriven,
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
        let waits = |(key, queued): (&String, &Queued)| queued.waiting.contains(destination) && !under_way(key);
        self.by_key.iter().any(waits) || self.answers(destination, known).any(|pending| !under_way(&pending.key))
    }

    /// The place of the first notification of each incident that waits for `destination`, where anything waits for that.
    fn first_waiting<'a>(&'a self, destination: &str, incidents: &'a Incidents) -> BTreeMap<&'a str, u64> {
        let waiting = || self.by_key.values().filter(|queued| queued.waiting.contains(destination));
        let mut first = BTreeMap::new();
        if waiting().any(Queued::is_answer) {
            for queued in waiting() {
                let first = first.entry(incidents.resolve(&queued.record.incident)).or_insert(queued.number);
                *first = (*first).min(queued.number);
            }
        }
        first
    }

    fn pages_of(&self, record: &AlertRecord, incidents: &Incidents) -> Vec<SentPage> {
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
            let queued =
                self.by_key.values().rev().find(|told| incidents.resolve(&told.record.incident) == of_response)?;
            Some(PendingNotification {
                key,
                occasion: Occasion::Answered(Box::new(progress.clone())),
                record: queued.record.clone(),
                pages: self.pages_of(&queued.record, incidents),
                redriven: 0,
            })
        })
    }
}
