//! Which response goes which ways besides the decision point. Pure: the same responses, settings and log time give the same
//! intents. It does not know how a way is gone.

use std::collections::BTreeSet;

use keywatch_store::Instant;
use keywatch_store::finding::Target;

use crate::lifecycle::action::derive_id;
use crate::limits::{WAY_COVERED_NS, WAY_PLANNED_NS};
use crate::response::intent::{Does, Progress, Response, Targets, Via};
use crate::response::responses::Responses;

/// When a response goes a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With each response that names anything it can be asked for.
    Always,
    /// Once no replica of the decision point has taken it.
    Unreachable,
}

/// What of a response a way can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Sessions one by one, and people.
    Sessions,
    /// People, with all their sessions.
    People,
    /// Wallets; these alone where any is named.
    Wallets(BTreeSet<String>),
}

/// What the operator lets a way be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayRules {
    /// Its name: responses are recorded under it.
    pub name: String,
    /// The system whose responses go this way.
    pub system: String,
    /// Whether people have to approve, whatever the response itself needs.
    pub needs_approval: bool,
    /// When it is gone.
    pub when: When,
    /// What it can be asked for.
    pub reach: Reach,
    /// Nanoseconds of log time after which it is not tried any more.
    pub give_up_ns: i64,
}

impl WayRules {
    /// What is asked for there.
    #[must_use]
    pub fn does(&self) -> Does {
        match self.reach {
            Reach::Wallets(_) => Does::FreezeSigner,
            Reach::Sessions | Reach::People => Does::EndSessions,
        }
    }

    fn is_due(&self, progress: &Progress) -> bool {
        match self.when {
            // People see both proposals on one page. What goes without them waits until the response is decided.
            When::Always => progress.is_decided() || (self.needs_approval && progress.is_waiting()),
            When::Unreachable => progress.reached_nobody(),
        }
    }

    /// What of `response` it is asked for.
    fn targets(&self, response: &Response, responses: &Responses) -> Targets {
        let Targets { sessions, subjects, wallets, .. } = &response.targets;
        match &self.reach {
            Reach::Sessions => Targets { sessions: sessions.clone(), subjects: subjects.clone(), ..Targets::default() },
            Reach::People => {
                // Whose sessions these are is known of the finding of each response that it has taken over.
                let released = response.releases.iter().filter_map(|id| Some(&responses.get(id)?.response));
                let of_sessions = std::iter::once(response).chain(released);
                let of_sessions = of_sessions.filter(|response| !response.targets.sessions.is_empty());
                let people = of_sessions.filter_map(|response| response.actor.clone());
                Targets { subjects: subjects.iter().cloned().chain(people).collect(), ..Targets::default() }
            }
            Reach::Wallets(only) => {
                let asked = wallets.iter().filter(|wallet| only.is_empty() || only.contains(*wallet));
                Targets { wallets: asked.cloned().collect(), ..Targets::default() }
            }
        }
    }

    fn intent(&self, progress: &Progress, targets: Targets) -> Response {
        let response = &progress.response;
        let unreachable = progress.reached_nobody();
        let why = if unreachable {
            "no replica of the decision point has taken the revocation yet".to_owned()
        } else {
            format!("along with response {}: {}", response.id, response.why)
        };
        Response {
            id: self.id_for(response),
            decided: response.since(),
            targets,
            over_limit: false,
            why,
            releases: Vec::new(),
            approved_by: None,
            approved: None,
            via: Some(Via { way: self.name.clone(), of: response.id.clone(), does: self.does(), unreachable }),
            ..response.clone()
        }
    }

    fn id_for(&self, response: &Response) -> String {
        derive_id(&["way", &self.name, &response.id])
    }
}

/// Responses that are to go a way and have no intent for it yet. Each is proposed where its way needs approval, and decided
/// where it does not. `expires` says until when a proposal of a time can be approved.
#[must_use]
pub fn due(
    responses: &Responses,
    ways: &[WayRules],
    now: impl Fn(&str) -> Instant,
    expires: impl Fn(Instant) -> Instant,
) -> Vec<(Response, bool)> {
    let mut due: Vec<(Response, bool)> = Vec::new();
    for progress in responses.iter().filter(|progress| progress.response.via.is_none()) {
        let response = &progress.response;
        if response.since().saturating_add(WAY_PLANNED_NS) < now(&response.system) {
            continue;
        }
        for way in ways.iter().filter(|way| way.system == response.system && way.is_due(progress)) {
            if responses.get(&way.id_for(response)).is_some() {
                continue;
            }
            let is_standing = |other: &&Progress| is_standing(other, response, &expires);
            let known = responses.iter().filter(is_standing).map(|other| &other.response);
            let planned = due.iter().map(|(planned, _)| planned);
            let others: Vec<&Response> = known.chain(planned).filter(|other| goes(other, way)).collect();
            let is_asked =
                |target: Target, name: &str| others.iter().any(|other| other.targets.section(target).contains(name));
            let targets = way.targets(response, responses).filtered(|target, name| !is_asked(target, name));
            if !targets.is_empty() {
                due.push((way.intent(progress, targets), way.needs_approval));
            }
        }
    }
    due
}

fn goes(response: &Response, way: &WayRules) -> bool {
    response.system == way.system && response.via.as_ref().is_some_and(|via| via.way == way.name)
}

/// Whether what another response asks for stands for `response` as well: it can still be approved, is under way, or was
/// accepted a moment ago.
fn is_standing(other: &Progress, response: &Response, expires: impl Fn(Instant) -> Instant) -> bool {
    let recent = other.response.since().saturating_add(WAY_COVERED_NS) >= response.since();
    let can_be_approved = other.is_waiting() && response.since() <= expires(other.response.decided);
    can_be_approved || other.is_open() || (other.is_decided() && recent)
}
