//! Incidents: alerts that share a session, a signing request, a wallet or a transaction, and the sources that speak in
//! them. A fold over alert records; knows nothing of trust groups or of what is done.

use std::collections::{BTreeMap, HashMap};

use keywatch_store::{Finding, Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::action::derive_id;
use crate::lifecycle::saved::pairs;
use crate::limits::INCIDENT_OPEN_NS;

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// 32 hexadecimal digits, derived from its first finding.
    pub id: String,
    /// The trusted environment.
    pub system: String,
    /// Log time of its first finding.
    pub opened: Instant,
    /// Log time of its last finding.
    pub last: Instant,
    /// Sources of high and critical findings that were not late, each with the log time it last spoke.
    pub witnesses: BTreeMap<String, Instant>,
}

/// The incident that a finding belongs to, as it will be with the finding in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Id of the incident.
    pub id: String,
    /// Incidents that turn out to be the same.
    pub merges: Vec<String>,
    /// Sources that speak in it, the finding's own included if it counts.
    pub witnesses: BTreeMap<String, Instant>,
}

/// What findings of one incident share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Shared {
    Session,
    Request,
    Wallet,
    Tx,
}

/// System, and what is shared there.
type Link = (String, Shared, String);

/// The incident that a link leads to, and when a finding last had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Linked {
    incident: String,
    last: Instant,
}

/// All incidents that may still take in findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incidents {
    open: BTreeMap<String, Incident>,
    #[serde(with = "pairs")]
    links: HashMap<Link, Linked>,
}

impl Incidents {
    /// Where `finding` belongs.
    #[must_use]
    pub fn join(&self, finding: &Finding) -> Joined {
        let linked = links(finding).filter_map(|link| self.links.get(&link));
        let recent = linked.filter(|linked| is_open(linked.last, finding.decided));
        let mut found: Vec<&Incident> = recent.filter_map(|linked| self.open.get(&linked.incident)).collect();
        found.retain(|incident| is_open(incident.last, finding.decided));
        found.sort_by(|one, other| (one.opened, &one.id).cmp(&(other.opened, &other.id)));
        found.dedup_by(|one, other| one.id == other.id);
        let mut witnesses = BTreeMap::new();
        for incident in &found {
            add_witnesses(&mut witnesses, &incident.witnesses);
        }
        if counts(finding) {
            add_witnesses(&mut witnesses, &BTreeMap::from([(finding.source.clone(), finding.decided)]));
        }
        let mut ids = found.into_iter().map(|incident| incident.id.clone());
        let id = ids.next().unwrap_or_else(|| derive_id(&["incident", &finding.id]));
        Joined { id, merges: ids.collect(), witnesses }
    }

    /// Takes in a finding as its alert record says.
    pub fn apply(&mut self, id: &str, merges: &[String], finding: &Finding) {
        let mut incident = self.open.remove(id).unwrap_or_else(|| Incident {
            id: id.to_owned(),
            system: finding.system.clone(),
            opened: finding.decided,
            last: finding.decided,
            witnesses: BTreeMap::new(),
        });
        for merged in merges.iter().filter_map(|merged| self.open.remove(merged)) {
            add_witnesses(&mut incident.witnesses, &merged.witnesses);
            incident.opened = incident.opened.min(merged.opened);
        }
        if !merges.is_empty() {
            let moved = self.links.values_mut().filter(|linked| merges.contains(&linked.incident));
            moved.for_each(|linked| id.clone_into(&mut linked.incident));
        }
        if counts(finding) {
            add_witnesses(&mut incident.witnesses, &BTreeMap::from([(finding.source.clone(), finding.decided)]));
        }
        incident.last = incident.last.max(finding.decided);
        for link in links(finding) {
            let last = self.links.get(&link).map_or(finding.decided, |linked| linked.last.max(finding.decided));
            self.links.insert(link, Linked { incident: id.to_owned(), last });
        }
        self.open.insert(id.to_owned(), incident);
    }

    /// The incident of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Incident> {
        self.open.get(id)
    }

    /// Every incident that is still open, oldest id first.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// Forgets what can take in no more at `now` in `system`: incidents, and what findings of one that goes on shared once.
    pub fn sweep(&mut self, system: &str, now: Instant) {
        self.open.retain(|_, incident| incident.system != system || is_open(incident.last, now));
        let open = &self.open;
        self.links.retain(|(of, _, _), linked| {
            open.contains_key(&linked.incident) && (of != system || is_open(linked.last, now))
        });
    }
}

fn links(finding: &Finding) -> impl Iterator<Item = Link> {
    let named = [
        (Shared::Session, &finding.session),
        (Shared::Request, &finding.request),
        (Shared::Wallet, &finding.wallet),
        (Shared::Tx, &finding.tx),
    ];
    named.into_iter().filter_map(|(kind, name)| Some((finding.system.clone(), kind, name.clone()?)))
}

/// Whether what was last seen at `last` takes in something that is settled at `now`.
fn is_open(last: Instant, now: Instant) -> bool {
    last.saturating_add(INCIDENT_OPEN_NS) >= now
}

fn counts(finding: &Finding) -> bool {
    finding.severity >= Severity::High && !finding.late
}

fn add_witnesses(all: &mut BTreeMap<String, Instant>, more: &BTreeMap<String, Instant>) {
    for (source, time) in more {
        let last = all.entry(source.clone()).or_insert(*time);
        *last = (*last).max(*time);
    }
}
