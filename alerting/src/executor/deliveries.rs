//! What is told beyond the pages themselves: to whom an incident goes on, what is said again, how the receivers do, and what
//! was put aside.

use keywatch_store::{Event, Topic};

use super::Executor;
use crate::delivery::deliveries::DeadLetter;
use crate::delivery::outbox::ReceiverStatus;
use crate::error::Error;
use crate::lifecycle::record;

impl Executor {
    /// Tells further receivers of incidents that nobody has acknowledged in time.
    pub(super) async fn escalate(&self) -> Result<(), Error> {
        let _turn = self.turn().await?;
        let alert_log = &self.shared.alert_log;
        let records: Vec<Event> = self.with_state(|state| {
            let now = |system: &str| alert_log.time_of(system);
            let due = state.deliveries().due_escalations(state.incidents(), now);
            due.map(|due| record::escalated(&due)).collect()
        });
        alert_log.append(Topic::Conclusions, records)?;
        Ok(())
    }

    /// Says again what stands, to each receiver that wants it, and that keywatch lives. Call it every
    /// [`REPEAT_SECONDS`](crate::limits::REPEAT_SECONDS).
    pub async fn repeat(&self) {
        self.shared.outbox.repeat().await;
    }

    /// What was put aside, in the order of its keys.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.with_state(|state| state.deliveries().dead_letters().collect())
    }

    /// How each receiver does.
    #[must_use]
    pub fn receivers(&self) -> Vec<ReceiverStatus> {
        self.shared.outbox.status()
    }

    /// Tries dead letters again, on the word of `person`: those of `destination` in systems that they `see`, or only the one
    /// under `key`. How many.
    ///
    /// # Errors
    /// [`Error::NoDeadLetter`] when there is none, or [`Error::Log`].
    pub async fn redrive(
        &self,
        destination: &str,
        key: Option<&str>,
        person: &str,
        sees: impl Fn(&str) -> bool,
    ) -> Result<usize, Error> {
        let _turn = self.turn().await?;
        let alert_log = &self.shared.alert_log;
        let records: Vec<Event> = self.with_state(|state| {
            let deliveries = state.deliveries();
            let letters =
                deliveries.dead_letters().filter(|letter| letter.destination == destination && sees(&letter.system));
            let asked = letters.filter(|letter| key.is_none_or(|key| key == letter.key));
            let redriven = asked.filter_map(|letter| {
                let (record, before) = deliveries.dead_record(destination, &letter.key)?;
                Some(record::redriven(record, &letter.key, destination, before, person))
            });
            redriven.collect()
        });
        if records.is_empty() {
            return Err(Error::NoDeadLetter { destination: destination.to_owned() });
        }
        let redriven = alert_log.append(Topic::Conclusions, records)?;
        self.shared.outbox.dispatch();
        Ok(redriven.len())
    }
}
