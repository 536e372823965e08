//! The replicas of a system's decision point. Every one gets the document and answers for itself, all at once: one that is
//! silent keeps no other from denying. What stands at a replica is held against what was put there last, so that one that
//! was restarted, wiped, given an older list or changed by another hand is noticed, and made good by the next document.
//!
//! Before anything is put at a replica, what stands there is read. A later document of this same keywatch, known by its
//! seal, means that another process has taken the place of this one: nothing is put over it, nor at any other replica, for as
//! long as ours is behind. A later number without the seal is another hand's, and is written over and told.
//!
//! It knows neither the log nor why something is revoked.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::sync::Mutex as Turn;
use tokio::time::timeout;

use crate::error::Error;
use crate::limits::{PDP_CALL_MS_MAX, PDP_LOOK_MS_MAX};
use crate::response::pdp::{Call, Decision, HeldDocument, PolicyDecisionPoint};
use crate::response::probe::{Probe, Round};
use crate::response::revocation::RevocationDocument;
use crate::response::seal::Seal;

/// One replica of a decision point.
pub struct Replica {
    name: String,
    pdp: Arc<dyn PolicyDecisionPoint>,
    /// What was put there last.
    confirmed: Mutex<Option<Arc<RevocationDocument>>>,
    /// It did not answer when it was last asked for something.
    silent: AtomicBool,
    /// Sequence number of the later document of ours that stood there when it was last read; 0 where none did.
    successor: AtomicU64,
}

impl Replica {
    /// A replica; people are told its name.
    #[must_use]
    pub fn new(name: &str, pdp: Arc<dyn PolicyDecisionPoint>) -> Replica {
        Replica {
            name: name.to_owned(),
            pdp,
            confirmed: Mutex::new(None),
            silent: AtomicBool::new(false),
            successor: AtomicU64::new(0),
        }
    }
}

/// What was found at a replica in place of what was put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The replica.
    pub replica: String,
    /// What was found.
    pub found: Found,
    /// Sequence number of the document that should be there.
    pub sequence: u64,
}

/// In which way a replica held something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No document: it was restarted or wiped.
    Nothing,
    /// An older document, or an older stamp.
    Older(u64),
    /// Other content under the same sequence number, or a later number.
    Changed,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Nothing => f.write_str("no document"),
            Found::Older(sequence) => write!(f, "an older edition (document {sequence})"),
            Found::Changed => f.write_str("a document that keywatch did not write"),
        }
    }
}

/// Where the revocations of one system go.
pub struct EnforcementPoint {
    replicas: Vec<Replica>,
    /// Input of a healthy control session, which is allowed as long as the decision point works.
    pub control: Value,
    /// Nobody works with the control's session and request, so that a signature of them is an attack.
    signs_never: bool,
    /// The decisions in the log are not its own: they were made elsewhere, before anything was revoked here.
    retells: bool,
    /// By which documents of ours are known. Without it none is.
    seal: Option<Seal>,
    /// Held from looking at what is open until that is done.
    pub(crate) turn: Turn<()>,
    drifts: Mutex<Vec<Drift>>,
}

/// What became of an attempt at all replicas.
pub(crate) struct Published {
    /// What each set of probes was answered before: allowed where any replica allowed it, the control where all did.
    pub(crate) before: Vec<Round>,
    /// Replicas that have the document.
    reached: Vec<String>,
    /// Why the others have not.
    failed: Vec<(String, Error)>,
}

impl EnforcementPoint {
    /// A single decision point and the control input it must go on allowing.
    #[must_use]
    pub fn new(pdp: Arc<dyn PolicyDecisionPoint>, control: Value) -> EnforcementPoint {
        EnforcementPoint::replicated(vec![Replica::new("the decision point", pdp)], control)
    }

    /// Several replicas of one decision point.
    ///
    /// # Panics
    /// Without a replica.
    #[must_use]
    pub fn replicated(replicas: Vec<Replica>, control: Value) -> EnforcementPoint {
        assert!(!replicas.is_empty(), "an enforcement point has a replica");
        EnforcementPoint {
            replicas,
            control,
            signs_never: false,
            retells: false,
            seal: None,
            turn: Turn::new(()),
            drifts: Mutex::default(),
        }
    }

    /// The same, whose documents are sealed, so that those of a process that has taken the place of this one are known.
    #[must_use]
    pub fn sealed_by(self, seal: Seal) -> EnforcementPoint {
        EnforcementPoint { seal: Some(seal), ..self }
    }

    /// The same, whose control is an identity of its own with which nobody signs.
    #[must_use]
    pub fn signing_never(self) -> EnforcementPoint {
        EnforcementPoint { signs_never: true, ..self }
    }

    /// The same, for a log whose decisions were made before keywatch was there, as where the past is played back. What they
    /// allowed says nothing of this decision point: nobody had revoked it then.
    #[must_use]
    pub fn retelling(self) -> EnforcementPoint {
        EnforcementPoint { retells: true, ..self }
    }

    /// Whether the decisions in the log are its own.
    pub(crate) fn makes_the_decisions(&self) -> bool {
        !self.retells
    }

    /// Session and request of the control, where nobody signs with it.
    pub(crate) fn identity(&self) -> Vec<String> {
        let fields = if self.signs_never { ["session_id", "request_id"].as_slice() } else { &[] };
        fields.iter().filter_map(|field| self.control[*field].as_str()).map(str::to_owned).collect()
    }

    /// The document with the seal, where there is one.
    pub(crate) fn sealed(&self, document: RevocationDocument) -> RevocationDocument {
        match &self.seal {
            Some(seal) => {
                let mac = seal.mac(&document.meta_value());
                document.with_mac(mac)
            }
            None => document,
        }
    }

    /// The replica that held a later document of ours than `sequence` when it was last read, and that document's number.
    pub(crate) fn successor(&self, sequence: u64) -> Option<(&str, u64)> {
        let held =
            self.replicas.iter().map(|replica| (replica.name.as_str(), replica.successor.load(Ordering::Relaxed)));
        held.filter(|(_, successor)| *successor > sequence).max_by_key(|(_, successor)| *successor)
    }

    /// Asks each replica the probes, then puts the document in force there. Where there is time to `look`, what a replica held
    /// until then is held against what was put there last.
    pub(crate) async fn publish(
        &self,
        document: &Arc<RevocationDocument>,
        rounds: &[Vec<Probe>],
        look: bool,
    ) -> Published {
        let ways = self.replicas.iter().map(|replica| self.publish_at(replica, document, rounds, look));
        let mut published =
            Published { before: vec![Round::default(); rounds.len()], reached: Vec::new(), failed: Vec::new() };
        let mut answered = vec![Vec::new(); rounds.len()];
        for (replica, (before, put)) in self.replicas.iter().zip(join_all(ways).await) {
            for (all, round) in answered.iter_mut().zip(before) {
                all.extend(round);
            }
            match put {
                Ok(()) => published.reached.push(replica.name.clone()),
                Err(error) => published.failed.push((replica.name.clone(), error)),
            }
        }
        published.before = answered.into_iter().map(merged).collect();
        published
    }

    async fn publish_at(
        &self,
        replica: &Replica,
        document: &Arc<RevocationDocument>,
        rounds: &[Vec<Probe>],
        look: bool,
    ) -> (Vec<Option<Round>>, Result<(), Error>) {
        let mut before = Vec::new();
        let was_silent = replica.silent.load(Ordering::Relaxed);
        for probes in rounds {
            // One that did not answer a moment ago shall not be waited for once more before the document goes out.
            let asked = if was_silent || probes.is_empty() { None } else { self.ask_at(replica, probes).await.ok() };
            before.push(asked);
        }
        let put = match self.make_way(replica, document, !rounds.is_empty(), look).await {
            Ok(()) => self.put(replica, document).await,
            Err(error @ Error::Superseded { .. }) => Err(error),
            // A revocation is not held up by what cannot be looked into.
            Err(_) if !rounds.is_empty() => self.put(replica, document).await,
            // Nor is what waits to be fetched by one that is not there yet.
            Err(Error::PdpSilent { .. }) if replica.pdp.fetches() => self.put(replica, document).await,
            // What cannot be looked into is written anew all the same, and told.
            Err(error @ Error::PdpRefused { .. }) => self.put(replica, document).await.and(Err(error)),
            Err(error) => Err(error),
        };
        replica.silent.store(matches!(put, Err(Error::PdpSilent { .. })), Ordering::Relaxed);
        (before, put)
    }

    /// Reads what stands at a replica before it is written over. [`Error::Superseded`] where it is not to be.
    async fn make_way(
        &self,
        replica: &Replica,
        document: &RevocationDocument,
        urgent: bool,
        look: bool,
    ) -> Result<(), Error> {
        let ms_max = if urgent { PDP_LOOK_MS_MAX } else { PDP_CALL_MS_MAX };
        let read = within(&replica.name, ms_max, replica.pdp.meta()).await;
        if matches!(read, Err(Error::PdpSilent { .. })) && self.successor(document.sequence).is_none() {
            return read.map(drop);
        }
        if let Ok(Some(meta)) = &read {
            let later = meta["seq"].as_u64().filter(|sequence| *sequence > document.sequence);
            let is_ours = self.seal.as_ref().is_some_and(|seal| seal.is_ours(&document.system, meta));
            replica.successor.store(later.filter(|_| is_ours).unwrap_or_default(), Ordering::Relaxed);
            // Where something was put before, looking tells of it.
            if later.is_some() && !is_ours && !(look && replica.confirmed().is_some()) {
                self.note(Drift { replica: replica.name.clone(), found: Found::Changed, sequence: document.sequence });
            }
        }
        if let Some((endpoint, successor)) = self.successor(document.sequence) {
            let (endpoint, sequence) = (endpoint.to_owned(), document.sequence);
            return Err(Error::Superseded { endpoint, sequence, successor });
        }
        let looked = if look { self.look(replica).await } else { Ok(()) };
        read.and(looked)
    }

    async fn put(&self, replica: &Replica, document: &Arc<RevocationDocument>) -> Result<(), Error> {
        if let Err(error) = within_time(&replica.name, replica.pdp.publish(document)).await {
            // It may be there nevertheless, now or later.
            *replica.confirmed() = None;
            return Err(error);
        }
        *replica.confirmed() = Some(Arc::clone(document));
        Ok(())
    }

    /// Whether what was put at a replica last is still there.
    async fn look(&self, replica: &Replica) -> Result<(), Error> {
        let expected = replica.confirmed().clone();
        let Some(document) = expected else { return Ok(()) };
        let Some(held) = within_time(&replica.name, replica.pdp.held()).await? else { return Ok(()) };
        let expected = HeldDocument::of(&document.to_value());
        if held != expected {
            let sequence = document.sequence;
            *replica.confirmed() = None;
            self.note(Drift { replica: replica.name.clone(), found: found(&held, &expected), sequence });
        }
        Ok(())
    }

    /// Asks every replica the control and these probes.
    ///
    /// # Errors
    /// Of the first that does not answer: then nothing can be said of all.
    pub(crate) async fn ask(&self, probes: &[Probe]) -> Result<Vec<(&str, Round)>, Error> {
        let rounds = join_all(self.replicas.iter().map(|replica| self.ask_at(replica, probes))).await;
        let named = self.replicas.iter().zip(rounds);
        named.map(|(replica, round)| round.map(|round| (replica.name.as_str(), round))).collect()
    }

    async fn ask_at(&self, replica: &Replica, probes: &[Probe]) -> Result<Round, Error> {
        let mut round = Round::default();
        let control = within_time(&replica.name, replica.pdp.ask(&self.control)).await?;
        round.answers.control = control.allow;
        round.decisions.extend(control.decision_id);
        for probe in probes {
            let answer = within_time(&replica.name, replica.pdp.ask(&probe.input)).await;
            if probe.foreign && matches!(answer, Err(Error::PdpRefused { .. })) {
                continue;
            }
            let Decision { allow, decision_id, .. } = answer?;
            round.answers.probes.insert(probe.name.clone(), allow);
            round.decisions.extend(decision_id);
        }
        Ok(round)
    }

    /// What was found changed since this was asked last.
    pub(crate) fn drifts(&self) -> Vec<Drift> {
        std::mem::take(&mut self.noted())
    }

    /// Nobody could be told of these.
    pub(crate) fn are_untold(&self, drifts: impl Iterator<Item = Drift>) {
        self.noted().extend(drifts);
    }

    fn note(&self, drift: Drift) {
        tracing::warn!(replica = drift.replica, found = %drift.found, sequence = drift.sequence, "a replica of the decision point does not hold the revocation document that it should");
        self.noted().push(drift);
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Drift>> {
        self.drifts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replica {
    fn confirmed(&self) -> MutexGuard<'_, Option<Arc<RevocationDocument>>> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published {
    /// Whether any replica has the document.
    pub(crate) fn reached(&self) -> bool {
        !self.reached.is_empty()
    }

    /// An error that names every replica without the document, where there is one.
    pub(crate) fn into_result(mut self) -> Result<(), Error> {
        if self.failed.is_empty() {
            return Ok(());
        }
        if let Some(first) = self.failed.iter().position(|(_, error)| matches!(error, Error::Superseded { .. })) {
            return Err(self.failed.swap_remove(first).1);
        }
        if self.reached.is_empty() && self.failed.len() == 1 {
            return Err(self.failed.remove(0).1);
        }
        let refused = self.failed.iter().all(|(_, error)| matches!(error, Error::PdpRefused { .. }));
        let endpoint = self.failed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let mut problem = self.failed.iter().map(|(_, error)| said(error)).collect::<Vec<_>>().join("; ");
        if !self.reached.is_empty() {
            problem = format!("{problem} (in force at {})", self.reached.join(", "));
        }
        Err(if refused { Error::PdpRefused { endpoint, problem } } else { Error::PdpSilent { endpoint, problem } })
    }
}

fn said(error: &Error) -> String {
    match error {
        Error::PdpSilent { problem, .. } | Error::PdpRefused { problem, .. } => problem.clone(),
        other => other.to_string(),
    }
}

fn found(held: &HeldDocument, expected: &HeldDocument) -> Found {
    match held.sequence {
        None if held.is_nothing() => Found::Nothing,
        // A list without its number is no list of ours, and may allow.
        None => Found::Changed,
        Some(sequence) if Some(sequence) < expected.sequence => Found::Older(sequence),
        Some(sequence) if Some(sequence) == expected.sequence && held.issued_at < expected.issued_at => {
            Found::Older(sequence)
        }
        Some(_) => Found::Changed,
    }
}

/// Rounds of several replicas as one.
fn merged(rounds: Vec<Round>) -> Round {
    let mut merged = Round::default();
    merged.answers.control = !rounds.is_empty() && rounds.iter().all(|round| round.answers.control);
    for round in rounds {
        for (probe, allowed) in round.answers.probes {
            *merged.answers.probes.entry(probe).or_default() |= allowed;
        }
        merged.decisions.extend(round.decisions);
    }
    merged
}

/// A decision point that never answers must not hold up the next page.
async fn within_time<T>(replica: &str, call: Call<'_, T>) -> Result<T, Error> {
    within(replica, PDP_CALL_MS_MAX, call).await
}

async fn within<T>(replica: &str, ms_max: u64, call: Call<'_, T>) -> Result<T, Error> {
    match timeout(Duration::from_millis(ms_max), call).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(Error::PdpSilent { endpoint: replica.to_owned(), problem: format!("no answer within {ms_max} ms") })
        }
    }
}
