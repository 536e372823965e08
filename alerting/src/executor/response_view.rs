//! Where responses stand, as people who decide on them have to see it: what each waits for and until when, and which
//! independent sources speak of the same by now. Decides nothing.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use keywatch_store::Instant;

use super::Executor;
use crate::lifecycle::grounds::Unconfirmed;
use crate::lifecycle::state::AlertState;
use crate::limits::CORROBORATION_NS;
use crate::response::intent::{Progress, Response};

/// A response as somebody who decides on it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseView {
    /// The response, and how far it has come.
    pub progress: Progress,
    /// The incident that it answers, by its id of today; `None` where that is forgotten.
    pub incident: Option<String>,
    /// How many people have to approve it.
    pub needed: usize,
    /// Log time until which it can be approved.
    pub expires: Instant,
    /// It waited for a person, and waits no more.
    pub expired: bool,
    /// Nothing is revoked alone there: its system, its rule or all of keywatch is in shadow mode.
    pub shadow: bool,
    /// Trust groups whose sources speak of the same. Two or more are twofold evidence.
    pub groups: BTreeSet<String>,
    /// What its alert saw was taken back.
    pub unconfirmed: Option<Unconfirmed>,
}

impl Executor {
    /// Responses for which `keep` holds: those that wait for a person first, then the newest.
    #[must_use]
    pub fn standings(&self, keep: impl Fn(&Progress) -> bool) -> Vec<ResponseView> {
        let found: Vec<_> = self.with_state(|state| {
            let kept = state.responses().iter().filter(|progress| keep(progress));
            kept.map(|progress| (progress.clone(), Witnesses::of(state, &progress.response))).collect()
        });
        let mut views: Vec<ResponseView> =
            found.into_iter().map(|(progress, witnesses)| self.view(progress, witnesses)).collect();
        views.sort_by_key(|view| {
            let Progress { response, .. } = &view.progress;
            let waits = view.progress.is_waiting() && !view.expired;
            (!waits, Reverse(response.decided), response.id.clone())
        });
        views
    }

    /// The response of that id.
    #[must_use]
    pub fn standing(&self, response_id: &str) -> Option<ResponseView> {
        let (progress, witnesses) = self.with_state(|state| {
            let progress = state.responses().get(response_id)?;
            Some((progress.clone(), Witnesses::of(state, &progress.response)))
        })?;
        Some(self.view(progress, witnesses))
    }

    fn view(&self, progress: Progress, witnesses: Witnesses) -> ResponseView {
        let now = self.shared.alert_log.time_of(&progress.response.system);
        let (is_switched, unconfirmed) = self.with_state(|state| {
            let Response { system, rule, alert_id, .. } = &progress.response;
            let alert = state.alert_by_id(alert_id);
            let unconfirmed = alert.and_then(|alert| alert.grounds.unconfirmed.clone());
            (state.switches().lowers(system, rule, now), unconfirmed)
        });
        let policy = self.shared.policy();
        let Response { system, rule, targets, decided, .. } = &progress.response;
        let expires = policy.approvals.expires(*decided);
        let groups = witnesses.sources.iter().filter_map(|source| policy.trust_group(system, source));
        ResponseView {
            needed: policy.approvals.people_for(targets),
            expires,
            expired: progress.is_waiting() && now > expires,
            shadow: policy.in_shadow(system, rule).is_some() || is_switched,
            groups: groups.map(str::to_owned).collect(),
            unconfirmed,
            incident: witnesses.incident,
            progress,
        }
    }
}

/// Who speaks of what a response is about.
struct Witnesses {
    incident: Option<String>,
    sources: Vec<String>,
}

impl Witnesses {
    fn of(state: &AlertState, response: &Response) -> Witnesses {
        let incident = state.incident_of(&response.incident);
        // As old as this they would not have counted when it was decided.
        let recent = |time: &Instant| time.saturating_add(CORROBORATION_NS) >= response.decided;
        let of_matter = state.matter_of(&response.alert_id).and_then(|matter| state.incidents().witnesses_in(matter));
        let witnesses = of_matter.or(incident.map(|incident| &incident.witnesses)).into_iter().flatten();
        let counts = |source: &str, time: &Instant| {
            recent(time) && !state.compromises().distrusts(&response.system, source, *time)
        };
        let sources = witnesses.filter(|(source, time)| counts(source, time)).map(|(source, _)| source.clone());
        Witnesses { incident: incident.map(|incident| incident.id.clone()), sources: sources.collect() }
    }
}
