//! Responses and revocation documents as the log knows them: a fold over `response.*` records. Publishes nothing.

mod ways;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use keywatch_store::finding::Target;
use keywatch_store::{Event, EventId, Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::limits::{AFTERMATH_HEARD_NS, BUDGET_SPAN_NS, CONTROL_IDENTITIES_MAX, MINUTE_NS, RESPONSE_KEPT_NS};
use crate::response::aftermath;
use crate::response::intent::{Aftermath, Before, Degree, Progress, Response, Ruled, Ruling, Step};
use crate::response::last_inputs::LastInputs;
use crate::response::revocation::RevocationDocument;

/// All responses, and the revocation document of each system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Responses {
    by_id: BTreeMap<String, Progress>,
    documents: BTreeMap<String, RevocationDocument>,
    /// Revocations decided without a person, of the last hour, by system.
    spent: BTreeMap<String, VecDeque<Spent>>,
    /// Sessions and requests of controls with which nobody signs, by system.
    controls: BTreeMap<String, BTreeSet<String>>,
    /// The first signature of these nevertheless within a month: event and log time, by system.
    misused: BTreeMap<String, (EventId, Instant)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spent {
    /// Sessions, people and devices cut off.
    cut: usize,
    decided: Instant,
    rule: String,
    source: String,
}

/// Revocations that were decided without a person in the last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// In the system.
    pub system: usize,
    /// By the rule.
    pub rule: usize,
    /// On the word of the source.
    pub source: usize,
    /// In the system within the last minute.
    pub minute: usize,
    /// Sessions, people and devices that were cut off in the system.
    pub cut: usize,
}

#[derive(Deserialize)]
struct Extra {
    #[serde(default)]
    before: Option<Before>,
    #[serde(default)]
    decisions: Vec<String>,
    /// Session and request of the control, where nobody signs with it.
    #[serde(default)]
    control: Vec<String>,
    /// What a way has taken.
    #[serde(default)]
    accepted: Vec<String>,
}

impl Responses {
    /// Takes in a `response.*` record; one that does not hold a response is passed over.
    pub(crate) fn apply(&mut self, event: &Event, inputs: &mut LastInputs) {
        let detail = event.detail().value();
        let (Ok(response), Ok(extra)) = (Response::deserialize(&detail), Extra::deserialize(&detail)) else { return };
        extra.decisions.iter().for_each(|id| inputs.remember_probe(id));
        if !extra.control.is_empty() {
            let known = self.controls.entry(response.system.clone()).or_default();
            let free = CONTROL_IDENTITIES_MAX.saturating_sub(known.len());
            known.extend(extra.control.iter().take(free).cloned());
        }
        match event.kind() {
            "response.proposed" => self.propose(response),
            "response.requested" => self.request(response),
            "response.undone" => self.undo(&response, event),
            kind => {
                if let Some(progress) = self.by_id.get_mut(&response.id) {
                    advance(progress, kind, event, extra);
                }
                if kind == "response.rejected" {
                    self.end_ways(&response.id);
                }
            }
        }
    }

    /// Takes in an event of others that says what came after a revocation; `probe` says that it answers one of ours.
    pub(crate) fn witness(&mut self, event: &Event, probe: bool) {
        let system = event.system();
        if event.kind() == "signing.signed" && !self.misused.contains_key(system) {
            let known = self.controls.get(system);
            let is_control = |name: Option<&str>| name.is_some_and(|name| known.is_some_and(|all| all.contains(name)));
            if is_control(event.session()) || is_control(event.request()) {
                self.misused.insert(system.to_owned(), (event.event_id(), event.time()));
            }
        }
        let Some(document) = self.documents.get(system).filter(|_| !probe) else { return };
        let now = event.time();
        let heard = |progress: &Progress| {
            let until = progress.response.since().saturating_add(AFTERMATH_HEARD_NS);
            progress.response.system == system && progress.is_decided() && now <= until
        };
        // The list is gone through only for what some response named.
        let is_named = |progress: &Progress| heard(progress) && aftermath::names(&progress.response.targets, event);
        let revoked = self.by_id.values().any(is_named)
            && aftermath::named(event)
                .into_iter()
                .any(|(target, name)| name.is_some_and(|name| document.holds(target, name)));
        self.by_id
            .values_mut()
            .filter(|progress| heard(progress))
            .for_each(|progress| aftermath::witness(progress, event, revoked));
    }

    /// The first signature of an identity with which nobody signs, by system, with its log time.
    pub fn misused(&self) -> impl Iterator<Item = (&str, EventId, Instant)> {
        self.misused.iter().map(|(system, (event, time))| (system.as_str(), *event, *time))
    }

    fn propose(&mut self, response: Response) {
        self.by_id.entry(response.id.clone()).or_insert_with(|| begun(response, Step::Proposed, 0));
    }

    fn request(&mut self, response: Response) {
        if self.by_id.get(&response.id).is_some_and(|progress| progress.step != Step::Proposed) {
            return;
        }
        let sequence = if response.via.is_some() { 0 } else { self.merge(&response) };
        for released in &response.releases {
            if let Some(progress) = self.by_id.get_mut(released) {
                progress.step = Step::Released;
            }
            self.end_ways(released);
        }
        self.spend(&response);
        let mut decided = begun(response, Step::Requested, sequence);
        if let Some(proposal) = self.by_id.remove(&decided.response.id) {
            decided.rulings = proposal.rulings;
        }
        self.by_id.insert(decided.response.id.clone(), decided);
    }

    /// Takes its names into the document; the document's sequence number.
    fn merge(&mut self, response: &Response) -> u64 {
        let empty = || RevocationDocument::empty(&response.system);
        let document = self.documents.entry(response.system.clone()).or_insert_with(empty);
        document.merge(response);
        document.sequence
    }

    /// Takes its names out of the document, as far as no other response holds them.
    fn undo(&mut self, response: &Response, event: &Event) {
        let Some(progress) = self.by_id.get_mut(&response.id).filter(|progress| progress.is_decided()) else { return };
        let Ruling { by, reason, .. } = rule(progress, Ruled::Undone, event);
        progress.step = Step::Undone { by, reason };
        if progress.response.via.is_some() {
            return;
        }
        self.end_ways(&response.id);
        let others = || {
            let of_system = self.by_id.values().filter(|other| other.response.system == response.system);
            of_system.filter(|other| other.is_in_document())
        };
        let held =
            |target: Target, name: &str| others().any(|other| other.response.targets.section(target).contains(name));
        let free = response.targets.filtered(|target, name| !held(target, name));
        if let Some(document) = self.documents.get_mut(&response.system) {
            document.restore(&free);
        }
    }

    fn spend(&mut self, response: &Response) {
        let spent = self.spent.entry(response.system.clone()).or_default();
        while spent.front().is_some_and(|first| is_past(first.decided, response.decided)) {
            spent.pop_front();
        }
        if response.approved_by.is_none() && response.via.is_none() {
            let Response { decided, rule, source, .. } = response;
            let cut = response.targets.cut_off();
            spent.push_back(Spent { cut, decided: *decided, rule: rule.clone(), source: source.clone() });
        }
    }

    /// What the last hour before `now` has cost of the budgets.
    #[must_use]
    pub fn spending(&self, system: &str, rule: &str, source: &str, now: Instant) -> Spending {
        let recent = || self.spent.get(system).into_iter().flatten().filter(|spent| !is_past(spent.decided, now));
        Spending {
            system: recent().count(),
            rule: recent().filter(|spent| spent.rule == rule).count(),
            source: recent().filter(|spent| spent.source == source).count(),
            minute: recent().filter(|spent| spent.decided.saturating_add(MINUTE_NS) > now).count(),
            cut: recent().map(|spent| spent.cut).sum(),
        }
    }

    /// The response of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Progress> {
        self.by_id.get(id)
    }

    /// Every response that is remembered, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Progress> {
        self.by_id.values()
    }

    /// Responses that answer an alert.
    pub fn of_alert(&self, alert_id: &str) -> impl Iterator<Item = &Progress> {
        self.by_id.values().filter(move |progress| progress.response.alert_id == alert_id)
    }

    /// Decided and not probed yet at the decision point, in the order they were decided.
    #[must_use]
    pub fn open(&self) -> Vec<&Progress> {
        let at_pdp = |progress: &&Progress| progress.is_open() && progress.response.via.is_none();
        let mut open: Vec<&Progress> = self.by_id.values().filter(at_pdp).collect();
        open.sort_by_key(|progress| (&progress.response.system, progress.sequence));
        open
    }

    /// Proposals that wait for a person in any of these incidents.
    pub fn proposals<'a>(&'a self, incidents: &'a [&'a str]) -> impl Iterator<Item = &'a Response> {
        let at_pdp = |progress: &&Progress| progress.step == Step::Proposed && progress.response.via.is_none();
        let waiting = self.by_id.values().filter(at_pdp);
        waiting.map(|progress| &progress.response).filter(|response| incidents.contains(&response.incident.as_str()))
    }

    /// The revocation document of a system, unstamped.
    #[must_use]
    pub fn document(&self, system: &str) -> RevocationDocument {
        self.documents.get(system).cloned().unwrap_or_else(|| RevocationDocument::empty(system))
    }

    /// Its sequence number.
    #[must_use]
    pub fn sequence(&self, system: &str) -> u64 {
        self.documents.get(system).map_or(0, |document| document.sequence)
    }

    /// Whether a response stops this name already. A cut-off stops only the sessions begun before it, so for a subject it
    /// counts for `grace_ns` of log time.
    #[must_use]
    pub fn is_revoked(&self, system: &str, target: Target, name: &str, now: Instant, grace_ns: i64) -> bool {
        let entry = self.documents.get(system).and_then(|document| document.entry(target, name));
        let Some(entry) = entry.filter(|entry| entry.is_valid(now)) else { return false };
        let since = Instant::from_unix_seconds(entry.at).unwrap_or_default();
        target != Target::Subject || since.saturating_add(grace_ns) >= now
    }

    /// Names in a section of the document of a system.
    #[must_use]
    pub fn revoked_names(&self, system: &str, target: Target) -> usize {
        self.documents.get(system).map_or(0, |document| document.len(target))
    }

    pub(crate) fn sweep(&mut self, system: &str, now: Instant) {
        self.by_id.retain(|_, progress| {
            let old = progress.response.since().saturating_add(RESPONSE_KEPT_NS) < now;
            progress.is_open() || progress.response.system != system || !old
        });
        // Before it is forgotten that it was told: so it is not told again, and the next one is.
        self.misused.retain(|of, (_, time)| of != system || time.saturating_add(RESPONSE_KEPT_NS) >= now);
    }
}

fn begun(response: Response, step: Step, sequence: u64) -> Progress {
    Progress {
        response,
        step,
        sequence,
        before: None,
        approvals: BTreeSet::new(),
        undo_asked: BTreeSet::new(),
        rulings: Vec::new(),
        aftermath: Aftermath::default(),
        failures: 0,
        failed_because: None,
        accepted: BTreeSet::new(),
    }
}

fn is_past(decided: Instant, now: Instant) -> bool {
    decided.saturating_add(BUDGET_SPAN_NS) <= now
}

fn advance(progress: &mut Progress, kind: &str, event: &Event, extra: Extra) {
    match kind {
        "response.published" if progress.is_open() => {
            progress.step = Step::Published;
            progress.before = progress.before.take().or(extra.before);
        }
        "response.approved" if progress.is_waiting() => {
            let Ruling { by, .. } = rule(progress, Ruled::Approved, event);
            progress.approvals.extend(Some(by).filter(|by| !by.is_empty()));
        }
        "response.rejected" if progress.is_waiting() => {
            let Ruling { by, reason, .. } = rule(progress, Ruled::Rejected, event);
            progress.step = Step::Rejected { by, reason };
        }
        "response.undo_asked" if progress.is_decided() => {
            let Ruling { by, .. } = rule(progress, Ruled::UndoAsked, event);
            progress.undo_asked.extend(Some(by).filter(|by| !by.is_empty()));
        }
        "response.verified" if progress.is_decided() => {
            let degree = event.outcome().and_then(Degree::named).unwrap_or(Degree::Unconfirmed);
            if matches!(degree, Degree::ClosedAtPep | Degree::NoSignatureSince) {
                progress.aftermath.recorded.insert(degree);
                return;
            }
            let denied = matches!(degree, Degree::DeniedAtPdp | Degree::AlreadyDenied);
            progress.aftermath.verified = Some(event.time()).filter(|_| denied);
            progress.step = Step::Verified { degree, reason: event.reason().unwrap_or_default().to_owned() };
        }
        "response.failed" if event.outcome() == Some("given_up") => give_up(progress, event),
        "response.failed" => {
            progress.failures += 1;
            progress.failed_because = event.reason().map(str::to_owned);
            progress.accepted.extend(extra.accepted);
        }
        _ => {}
    }
}

/// An attempt that was under way when people took it back says nothing against them.
fn give_up(progress: &mut Progress, event: &Event) {
    if progress.is_open() {
        progress.step = Step::GivenUp { reason: event.reason().unwrap_or_default().to_owned() };
    }
}

/// Keeps what a person said. Of each person that is one approval at most, and what else there is closes the response.
fn rule(progress: &mut Progress, ruled: Ruled, event: &Event) -> Ruling {
    let said = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let ruling = Ruling { at: event.time(), by: said(event.actor()), ruled, reason: said(event.reason()) };
    progress.rulings.push(ruling.clone());
    ruling
}

/// Whether a severity may use the reserve.
#[must_use]
pub fn uses_reserve(severity: Severity) -> bool {
    severity == Severity::Critical
}
