//! Carries revocations out and proves them (promise P5).
//!
//! A response is in the log before this module sees it. Then: ask the probes, publish the document, record that, ask the
//! probes again, record what they prove. Each step can be the last before a crash; the next start takes every response up
//! that has no `response.verified` and goes through the same steps, with what the log remembers of the first ones. All
//! open responses of a system are probed before any of them is published, since one document holds them all.
//!
//! Where a system has several replicas of its decision point, each goes its own way to the document, and none waits for
//! another; a response counts as verified only once every one of them was probed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::delivery::webhook::WallClock;
use crate::error::Error;
use crate::lifecycle::alert_log::AlertLog;
use crate::lifecycle::record;
use crate::response::aftermath::further;
use crate::response::intent::{Before, Degree, Progress};
use crate::response::probe::{Probe, Round, judge, probes};
pub use crate::response::replicas::{Drift, EnforcementPoint, Replica};
use crate::response::revocation::RevocationDocument;
use keywatch_store::Topic;

/// What became of one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The response.
    pub response_id: String,
    /// In which degree its effect is confirmed.
    pub degree: Degree,
    /// In words.
    pub reason: String,
}

/// The responder.
pub struct Responder {
    alert_log: Arc<AlertLog>,
    sites: BTreeMap<String, EnforcementPoint>,
    clock: WallClock,
}

impl Responder {
    /// `sites` by system; `clock` stamps the documents.
    #[must_use]
    pub fn new(alert_log: Arc<AlertLog>, sites: BTreeMap<String, EnforcementPoint>, clock: WallClock) -> Responder {
        Responder { alert_log, sites, clock }
    }

    /// Systems that have a decision point.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.sites.keys().map(String::as_str)
    }

    /// Takes up every open response of a system; with none open, does nothing.
    ///
    /// # Errors
    /// The decision point's or the log's error. What failed at the decision point is recorded as `response.failed`; in any
    /// case the responses stay open.
    pub async fn answer(&self, system: &str) -> Result<Vec<Outcome>, Error> {
        let Some(site) = self.sites.get(system) else {
            let error = Error::NoPdp { system: system.to_owned() };
            self.record_failure(&self.open(system).0, &error)?;
            return Err(error);
        };
        let _turn = site.turn.lock().await;
        let (open, document) = self.open(system);
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let answered = self.carry_out(site, &open, document).await;
        if let Err(error) = &answered
            && !matches!(error, Error::Log(_))
        {
            self.record_failure(&open, error)?;
        }
        answered
    }

    /// Publishes the document of a system again with a fresh stamp, open responses first. The policy denies everything
    /// once the stamp is two minutes old, so call this several times in that span.
    ///
    /// # Errors
    /// The decision point's or the log's error.
    pub async fn refresh(&self, system: &str) -> Result<Vec<Outcome>, Error> {
        let answered = self.answer(system).await?;
        if answered.is_empty() {
            let site = self.sites.get(system).ok_or_else(|| Error::NoPdp { system: system.to_owned() })?;
            let _turn = site.turn.lock().await;
            // What became open meanwhile is left to its own turn: publishing it here would spoil its first probes.
            let (open, document) = self.open(system);
            if open.is_empty() {
                let document = Arc::new(site.sealed(self.stamped(document)));
                site.publish(&document, &[], true).await.into_result()?;
            }
        }
        Ok(answered)
    }

    /// Records the degrees that what was heard since has given to the responses of a system.
    ///
    /// # Errors
    /// The log's.
    pub fn record_further(&self, system: &str) -> Result<(), Error> {
        let now = self.alert_log.time_of(system);
        let records = {
            let state = self.alert_log.state();
            let of_system = state.responses().iter().filter(|progress| progress.response.system == system);
            let degrees = of_system.flat_map(|progress| {
                further(progress, now).into_iter().map(move |(degree, why)| record::further(progress, degree, &why))
            });
            degrees.collect()
        };
        self.alert_log.append(Topic::Events, records)?;
        Ok(())
    }

    /// Whether the decisions in the log of a system are those of the decision point that revokes.
    pub(crate) fn makes_the_decisions(&self, system: &str) -> bool {
        self.sites.get(system).is_none_or(EnforcementPoint::makes_the_decisions)
    }

    /// What was found changed at replicas of a system since this was asked last.
    pub fn drifts(&self, system: &str) -> Vec<Drift> {
        self.sites.get(system).map(EnforcementPoint::drifts).unwrap_or_default()
    }

    /// Of each system in which a later document of this same keywatch is in force, the error of whoever would put another
    /// over it.
    #[must_use]
    pub fn superseded(&self) -> Vec<Error> {
        let state = self.alert_log.state();
        let of_site = |(system, site): (&String, &EnforcementPoint)| {
            let sequence = state.responses().sequence(system);
            let (endpoint, successor) = site.successor(sequence)?;
            Some(Error::Superseded { endpoint: endpoint.to_owned(), sequence, successor })
        };
        self.sites.iter().filter_map(of_site).collect()
    }

    /// Nobody could be told of these: they are among the next ones.
    pub(crate) fn are_untold(&self, system: &str, drifts: impl Iterator<Item = Drift>) {
        if let Some(site) = self.sites.get(system) {
            site.are_untold(drifts);
        }
    }

    fn open(&self, system: &str) -> (Vec<Progress>, RevocationDocument) {
        let state = self.alert_log.state();
        let open = state.responses().open().into_iter().filter(|progress| progress.response.system == system);
        (open.cloned().collect(), state.responses().document(system))
    }

    fn stamped(&self, document: RevocationDocument) -> RevocationDocument {
        document.stamped((self.clock)()).with_log_head(&self.alert_log.head())
    }

    async fn carry_out(
        &self,
        site: &EnforcementPoint,
        open: &[Progress],
        document: RevocationDocument,
    ) -> Result<Vec<Outcome>, Error> {
        let asked: Vec<Vec<Probe>> = {
            let state = self.alert_log.state();
            open.iter().map(|progress| probes(&progress.response, &site.control, state.inputs())).collect()
        };
        let document = Arc::new(site.sealed(self.stamped(document)));
        // Without an answer nothing is claimed about the time before; publishing does not wait for one.
        let unasked = |(progress, asked): (&Progress, &Vec<Probe>)| {
            if progress.before.is_none() { asked.clone() } else { Vec::new() }
        };
        let rounds: Vec<Vec<Probe>> = open.iter().zip(&asked).map(unasked).collect();
        // A new revocation has no time to look at what was there; one that is tried again has, and may be tried for long.
        let tried = open.iter().all(|progress| progress.before.is_some() || progress.failures > 0);
        let published = site.publish(&document, &rounds, tried).await;
        let before: Vec<Round> = open
            .iter()
            .zip(&published.before)
            .map(|(progress, round)| match &progress.before {
                Some(known) => Round { answers: known.clone(), decisions: Vec::new() },
                None => round.clone(),
            })
            .collect();
        if published.reached() {
            let control = site.identity();
            let first_time = open.iter().zip(&before).filter(|(progress, _)| progress.before.is_none());
            let records = first_time.map(|(progress, round)| {
                record::published(&progress.response, &document, &round.answers, &round.decisions, &control)
            });
            self.alert_log.append(Topic::Events, records.collect())?;
        }
        published.into_result()?;
        let mut outcomes = Vec::new();
        for ((progress, asked), before) in open.iter().zip(&asked).zip(&before) {
            outcomes.push(self.verify(site, progress, asked, &before.answers, document.sequence).await?);
        }
        Ok(outcomes)
    }

    async fn verify(
        &self,
        site: &EnforcementPoint,
        progress: &Progress,
        asked: &[Probe],
        before: &Before,
        sequence: u64,
    ) -> Result<Outcome, Error> {
        let after = site.ask(asked).await?;
        let judged = after.iter().map(|(replica, round)| (replica, judge(asked, before, &round.answers)));
        let (replica, (degree, mut reason)) =
            judged.max_by_key(|(_, (degree, _))| *degree).expect("an enforcement point has a replica");
        if after.len() > 1 {
            reason = match degree {
                Degree::Unconfirmed => format!("at {replica}: {reason}"),
                _ => format!("at all {} replicas: {reason}", after.len()),
            };
        }
        if degree == Degree::AlreadyDenied && (progress.failures > 0 || progress.before.is_some()) {
            reason.push_str("; an earlier attempt of this response may have done it");
        }
        let decisions: Vec<String> = after.into_iter().flat_map(|(_, round)| round.decisions).collect();
        let record = record::verified(&progress.response, sequence, degree, &reason, &decisions);
        self.alert_log.append(Topic::Events, vec![record])?;
        tracing::info!(response = %progress.response.id, %degree, %reason, "a revocation was probed");
        Ok(Outcome { response_id: progress.response.id.clone(), degree, reason })
    }

    fn record_failure(&self, open: &[Progress], error: &Error) -> Result<(), Error> {
        let problem = error.to_string();
        tracing::warn!(%problem, responses = open.len(), "a revocation is not carried out yet");
        let state = self.alert_log.state();
        let still: Vec<Progress> = open
            .iter()
            .filter_map(|progress| state.responses().get(&progress.response.id))
            .filter(|progress| progress.is_open())
            .cloned()
            .collect();
        drop(state);
        let failed = still.iter().map(|progress| record::failed(progress, &problem)).collect();
        self.alert_log.append(Topic::Events, failed)?;
        Ok(())
    }
}
