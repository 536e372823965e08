//! Performs what [`crate::plan`] decides. It decides nothing itself: every intent is written to the log first, then done,
//! then what happened is written.

mod aftermath;
mod apart;
mod approvals;
mod compromises;
mod deliveries;
mod operations;
mod protections;
mod response_view;
mod retractions;
mod switches;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use backon::Retryable;
use keywatch_store::{Event, Finding, Inventory, Log, Position, Topic};
use tokio::sync::Mutex as Turn;
use tokio::time::timeout;

use crate::delivery::outbox::{Outbox, Schedule};
use crate::delivery::sink::Sink;
use crate::delivery::webhook::WallClock;
use crate::error::Error;
use crate::lifecycle::action::Action;
use crate::lifecycle::alert_log::AlertLog;
use crate::lifecycle::compromise_findings;
use crate::lifecycle::record;
use crate::lifecycle::saved::{Folded, Saved};
use crate::lifecycle::self_monitoring::{
    control_signed, delivery_failed, destination_gone, heartbeat_failed, limit_reached, replica_drifted,
    response_unconfirmed, response_undone, silenced, superseded,
};
use crate::lifecycle::state::AlertState;
use crate::lifecycle::switch_findings;
use crate::limits::{APPEND_SECONDS_MAX, PAGE_HELD_MS_MAX, SILENCE_UNTOLD_NS};
use crate::policy::plan::plan;
use crate::policy::settings::Policy;
use crate::response::intent::{Degree, Progress};
use crate::response::responder::{EnforcementPoint, Outcome, Responder};

pub use apart::is_early;
pub use approvals::{Approval, Undoing};
pub use operations::Operated;
pub use response_view::ResponseView;

/// What the executor works with.
pub struct Dependencies {
    /// The log that it reads its state from and writes to.
    pub log: Arc<dyn Log>,
    /// The operator's settings. Trust groups are taken from the inventory in the log.
    pub policy: Policy,
    /// Decision points by system.
    pub sites: BTreeMap<String, EnforcementPoint>,
    /// Destinations of notifications.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// Waits between attempts at one delivery.
    pub deliveries: Schedule,
    /// Waits between attempts at a decision point; the last one is repeated.
    pub revocations: Schedule,
    /// Stamps revocation documents.
    pub clock: WallClock,
}

/// The executor. Clones share everything.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
}

struct Shared {
    alert_log: Arc<AlertLog>,
    policy: Mutex<Policy>,
    responder: Responder,
    outbox: Arc<Outbox>,
    revocations: Schedule,
    /// Systems whose open responses are being retried.
    retried: Mutex<BTreeSet<String>>,
    /// Held from planning until the intents are in the log, so that no two findings are planned on the same state.
    turn: Turn<()>,
    ways: OnceLock<ways::Ways>,
}

impl Executor {
    /// Rebuilds the state from the log. Nothing is done yet: see [`Executor::resume`].
    ///
    /// # Errors
    /// [`Error::Log`] when the log cannot be read.
    pub fn open(dependencies: Dependencies) -> Result<Executor, Error> {
        Executor::open_from(Saved::default(), dependencies, |_, _| ())
    }

    /// As [`Executor::open`], but goes on from a state that was kept. `seen` is shown every record of the log since then.
    ///
    /// # Errors
    /// As [`Executor::open`].
    pub fn open_from(
        mut saved: Saved,
        dependencies: Dependencies,
        mut seen: impl FnMut(Topic, &Event),
    ) -> Result<Executor, Error> {
        let Dependencies { log, mut policy, sites, sinks, deliveries, revocations, clock } = dependencies;
        policy.trust_groups.append(&mut saved.trust_groups);
        let alert_log = AlertLog::open(log, saved, |topic, event| {
            adopt(&mut policy, event);
            seen(topic, event);
        })?;
        let alert_log = Arc::new(alert_log);
        let outbox = Outbox::new(Arc::clone(&alert_log), sinks, deliveries, Arc::clone(&clock));
        policy.destinations = outbox.destinations();
        let responder = Responder::new(Arc::clone(&alert_log), sites, clock);
        let shared = Shared {
            alert_log,
            policy: Mutex::new(policy),
            responder,
            outbox,
            revocations,
            retried: Mutex::default(),
            turn: Turn::new(()),
            ways: OnceLock::new(),
        };
        Ok(Executor { shared: Arc::new(shared) })
    }

    /// Learns from the records of the events topic from `first` on, as others appended them: decisions, of which probes are
    /// made, and the inventory. Those that it has seen before and its own responses are passed over.
    pub fn observe(&self, first: Position, events: &[Event]) {
        self.shared.alert_log.observe(first, events);
        events.iter().for_each(|event| adopt(&mut self.shared.policy(), event));
    }

    /// Writes the state, so that [`Executor::open_from`] can go on from it; how far it has folded the log.
    ///
    /// # Errors
    /// [`Error::Saved`] when it cannot be written.
    pub fn save(&self, out: impl Write) -> Result<Folded, Error> {
        let trust_groups = self.shared.policy().trust_groups.clone();
        self.shared.alert_log.save(out, &trust_groups)
    }

    /// Records a finding, decides on it, writes the intents down and performs them. Returns once revocations were tried
    /// and deliveries have begun; a finding that was taken before yields nothing.
    ///
    /// # Errors
    /// [`Error::Log`]; then nothing further was done. A decision point that does not answer is no error here: the intent
    /// stands in the log and is retried in the background.
    pub async fn take(&self, finding: &Finding) -> Result<Vec<Action>, Error> {
        self.tell_aftermath(&finding.system, finding.decided).await?;
        let actions = self.intend(finding).await?;
        if actions.iter().any(|action| matches!(action, Action::Revoke(_) | Action::Propose(_))) {
            self.go_ways().await?;
        }
        if actions.iter().any(|action| matches!(action, Action::Revoke(_))) {
            self.respond_before_paging(&finding.system).await?;
        }
        for action in &actions {
            if let Action::Propose(response) = action
                && let Some(reached) = limit_reached(response)
            {
                self.take_own(&reached).await?;
            }
        }
        // What a rule waited for may have been taken back before it decided: the page says so. No response waits for that.
        self.tell_retracted(&finding.system, finding.decided).await?;
        self.shared.outbox.dispatch();
        Ok(actions)
    }

    /// Takes up what the last run left: publishes the revocation documents, finishes open responses, plans findings that
    /// were not planned, delivers what was not taken.
    ///
    /// # Errors
    /// [`Error::Log`] only.
    pub async fn resume(&self) -> Result<(), Error> {
        self.refresh().await?;
        let left: Vec<Finding> = self.shared.alert_log.state().unplanned().cloned().collect();
        for finding in &left {
            self.take(finding).await?;
        }
        for unconfirmed in self.unreported() {
            self.take(&unconfirmed).await?;
        }
        self.shared.outbox.dispatch();
        Ok(())
    }

    /// The heartbeat: publishes the revocation document of every system with a fresh stamp, finishing open responses on
    /// the way, and tells of decision points and destinations that fail. Call it at least every 30 s.
    ///
    /// # Errors
    /// [`Error::Log`] only. Where the log cannot be written for a while, every document is stamped all the same.
    pub async fn refresh(&self) -> Result<(), Error> {
        let systems: Vec<String> = self.shared.responder.systems().map(str::to_owned).collect();
        let mut outage = None;
        for system in systems {
            match self.refresh_system(&system).await {
                Err(error) if error.is_outage() => outage = outage.or(Some(error)),
                refreshed => refreshed?,
            }
        }
        if let Some(error) = outage {
            return Err(error);
        }
        self.go_ways().await?;
        self.record_further_of_ways()?;
        for own in self.unreported() {
            self.take_own(&own).await?;
        }
        for (destination, record) in self.shared.outbox.gone() {
            self.take_own(&destination_gone(&record.finding.system, &destination, record.finding.decided)).await?;
        }
        let mut failing = self.shared.outbox.failing_receivers().into_iter();
        while let Some(receiver) = failing.next() {
            let now = self.shared.alert_log.time_of(&receiver.worst.finding.system);
            if let Err(error) = self.take_own(&delivery_failed(&receiver, now)).await {
                self.shared.outbox.are_untold(std::iter::once(receiver).chain(failing));
                return Err(error);
            }
        }
        self.escalate().await?;
        self.shared.outbox.dispatch();
        Ok(())
    }

    /// Why nothing is done at some decision point: a later document of this same keywatch is in force there. `None` while
    /// none is. For who has to say so where the log cannot be written.
    #[must_use]
    pub fn superseded(&self) -> Option<String> {
        self.shared.responder.superseded().first().map(Error::to_string)
    }

    async fn refresh_system(&self, system: &str) -> Result<(), Error> {
        let refreshed = self.shared.responder.refresh(system).await;
        if let Err(error) = &refreshed
            && !matches!(error, Error::Log(_))
        {
            let now = self.shared.alert_log.time_of(system);
            let failed = || heartbeat_failed(system, error.endpoint(), &error.to_string(), now);
            self.take_own(&superseded(system, error, now).unwrap_or_else(failed)).await?;
        }
        let mut drifts = self.shared.responder.drifts(system).into_iter();
        while let Some(drift) = drifts.next() {
            let now = self.shared.alert_log.time_of(system);
            if let Err(error) = self.take_own(&replica_drifted(system, &drift, now)).await {
                self.shared.responder.are_untold(system, std::iter::once(drift).chain(drifts));
                return Err(error);
            }
        }
        self.settle(system, refreshed).await?;
        self.shared.responder.record_further(system)
    }

    /// Waits until every delivery was taken or put aside.
    pub async fn idle(&self) {
        self.shared.outbox.idle().await;
    }

    /// Names of the destinations of notifications.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        self.shared.outbox.destinations()
    }

    /// Looks at the state.
    pub fn with_state<T>(&self, look: impl FnOnce(&AlertState) -> T) -> T {
        look(&self.shared.alert_log.state())
    }

    /// The turn to decide something. Who has it appends to the log meanwhile: nobody waits behind a log that hangs.
    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        if let Ok(turn) = self.shared.turn.try_lock() {
            return Ok(turn);
        }
        let busy = |seconds| Error::from(keywatch_store::Error::Busy { seconds });
        if let Some(failing) = self.shared.alert_log.failing() {
            return Err(busy(failing.as_secs()));
        }
        let waited = timeout(Duration::from_secs(APPEND_SECONDS_MAX), self.shared.turn.lock()).await;
        waited.map_err(|_| busy(APPEND_SECONDS_MAX))
    }

    async fn intend(&self, finding: &Finding) -> Result<Vec<Action>, Error> {
        let _turn = self.turn().await?;
        let alert_log = &self.shared.alert_log;
        if alert_log.state().is_planned(finding) {
            return Ok(Vec::new());
        }
        // What an earlier run or attempt has written stands there once, also for readers that skip no repeats.
        let is_found = alert_log.state().is_unplanned(finding);
        if !is_found {
            alert_log.append(Topic::Conclusions, vec![record::finding_created(finding)])?;
        }
        let actions = plan(finding, &alert_log.state(), &self.shared.policy());
        let records = record::records(&actions);
        for topic in Topic::ALL {
            let events: Vec<Event> =
                records.iter().filter(|(of, _)| *of == topic).map(|(_, event)| event.clone()).collect();
            alert_log.append(topic, events)?;
        }
        Ok(actions)
    }

    /// Responds, so that the page can say what came of it; a slow decision point holds the page up only so long.
    async fn respond_before_paging(&self, system: &str) -> Result<(), Error> {
        let executor = self.clone();
        let of = system.to_owned();
        let responding = tokio::spawn(async move { executor.respond(&of).await });
        match timeout(Duration::from_millis(PAGE_HELD_MS_MAX), responding).await {
            Ok(Ok(responded)) => responded,
            Ok(Err(error)) => {
                tracing::error!(system, %error, "a response broke off; it is taken up at the next heartbeat");
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    async fn respond(&self, system: &str) -> Result<(), Error> {
        let answered = self.shared.responder.answer(system).await;
        self.settle(system, answered).await
    }

    /// What follows from an attempt at a decision point: a page when the effect is not confirmed, a retry when it did not
    /// answer.
    async fn settle(&self, system: &str, answered: Result<Vec<Outcome>, Error>) -> Result<(), Error> {
        match answered {
            Ok(outcomes) => {
                if outcomes.iter().any(|outcome| outcome.degree == Degree::Unconfirmed) {
                    for unconfirmed in self.unreported() {
                        self.take_own(&unconfirmed).await?;
                    }
                }
                Ok(())
            }
            Err(Error::Log(error)) => Err(error.into()),
            Err(Error::NoPdp { .. }) => self.go_second_path().await,
            Err(_) => {
                self.retry_in_background(system);
                self.go_second_path().await
            }
        }
    }

    /// No decision point has taken it, or not every replica: ways that are kept for that are gone at once, and told of.
    async fn go_second_path(&self) -> Result<(), Error> {
        self.go_ways().await?;
        let about = |progress: &Progress| Executor::about_ways(progress).collect::<Vec<_>>();
        let untold: Vec<Finding> = self.with_state(|state| {
            let findings = state.responses().iter().flat_map(about);
            findings.filter(|finding| !state.is_planned(finding)).collect()
        });
        for finding in &untold {
            self.take_own(finding).await?;
        }
        Ok(())
    }

    /// A finding of keywatch's own asks for no response, so it needs the intents and the deliveries only.
    async fn take_own(&self, finding: &Finding) -> Result<(), Error> {
        self.intend(finding).await?;
        self.shared.outbox.dispatch();
        Ok(())
    }

    /// Findings about responses whose effect is not confirmed, that a limit held up or that were taken back, about silences,
    /// stolen credentials, rules that are switched and an inventory that protects less, as far as nobody was told: whoever wrote
    /// them down may have ended before telling.
    fn unreported(&self) -> Vec<Finding> {
        let state = self.shared.alert_log.state();
        let own = state.responses().iter().flat_map(|progress| {
            let reached = limit_reached(&progress.response).filter(|_| progress.is_waiting());
            let effect = response_unconfirmed(progress).into_iter().chain(self.allowed(progress));
            effect.chain(reached).chain(response_undone(progress)).chain(Executor::about_ways(progress))
        });
        let misused = state.responses().misused();
        let signed = misused.map(|(system, event, time)| control_signed(system, event, time));
        let silences = state.silences().iter().filter(|silence| {
            // What was told of older ones is no longer known.
            silence.at.saturating_add(SILENCE_UNTOLD_NS) >= self.shared.alert_log.time_of(&silence.request.system)
        });
        let silences = silences.flat_map(|silence| {
            let approved = silence.approved_by.as_deref().map(|by| silenced(silence, Some(by)));
            std::iter::once(silenced(silence, None)).chain(approved)
        });
        let operated = state.compromises().iter().flat_map(compromise_findings::about);
        let operated = operated.chain(state.switches().iter().flat_map(switch_findings::about));
        let lowered = operated.chain(state.declarations().findings()).filter(|finding| self.is_recent(finding));
        own.chain(signed).chain(silences).chain(lowered).filter(|finding| !state.is_planned(finding)).collect()
    }

    fn retry_in_background(&self, system: &str) {
        let open =
            self.with_state(|state| state.responses().open().iter().any(|progress| progress.response.system == system));
        if !open || !self.shared.retried().insert(system.to_owned()) {
            return;
        }
        let executor = self.clone();
        let system = system.to_owned();
        tokio::spawn(async move { executor.retry(&system).await });
    }

    async fn retry(&self, system: &str) {
        let answered = (|| self.shared.responder.answer(system))
            .retry(self.shared.revocations.without_end())
            .when(|error| !matches!(error, Error::Log(_)))
            .await;
        self.shared.retried().remove(system);
        if let Err(error) = Box::pin(self.settle(system, answered)).await {
            tracing::error!(system, %error, "a revocation is not recorded; it is taken up at the next heartbeat");
        }
        self.shared.outbox.dispatch();
    }
}

impl Shared {
    fn policy(&self) -> MutexGuard<'_, Policy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retried(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.retried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn adopt(policy: &mut Policy, event: &Event) {
    if event.kind() == "inventory.activated"
        && let Some(inventory) = Inventory::from_activation(event)
    {
        policy.adopt(&inventory);
    }
}
