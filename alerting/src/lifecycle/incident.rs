//! Incidents: alerts that share a session, a signing request, a wallet, a destination or a transaction, or that are of
//! transactions of several wallets within hours, and the sources that speak in them. A fold over alert records; knows nothing of
//! trust groups or of what is done.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use keywatch_store::{Finding, Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::action::{AlertRecord, derive_id};
use crate::lifecycle::handling::{Handling, Status};
use crate::lifecycle::paging::Paging;
use crate::lifecycle::pairs;
use crate::limits::{INCIDENT_KEPT_NS, INCIDENT_MEMBERS_MAX, INCIDENT_OPEN_NS, INCIDENTS_KEPT_MAX, SPREE_NS};

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
    /// Worst severity of its findings.
    pub severity: Severity,
    /// Title of the first finding of that severity.
    pub title: String,
    /// Findings in it.
    pub findings: u64,
    /// What its findings name.
    pub names: BTreeSet<(Shared, String)>,
    /// What people were told.
    pub paging: Paging,
    /// What people did about it.
    pub handling: Handling,
    /// Ids of incidents that turned out to be the same.
    pub merged: BTreeSet<String>,
}

/// The incident that a finding belongs to, as it will be with the finding in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined<'a> {
    /// Id of the incident.
    pub id: String,
    /// Incidents that turn out to be the same.
    pub merges: Vec<String>,
    /// What of it the finding shares something with by name: only that corroborates it.
    pub(crate) matters: BTreeSet<&'a str>,
    /// Sources that speak in these, the finding's own included if it counts.
    pub witnesses: BTreeMap<String, Instant>,
    /// The incident before the finding, with those that turn out to be the same; `None` where the finding begins one.
    pub before: Option<Cow<'a, Incident>>,
}

/// What findings of one incident share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shared {
    /// A session.
    Session,
    /// A signing request.
    Request,
    /// A wallet.
    Wallet,
    /// A destination.
    Destination,
    /// A transaction.
    Tx,
    /// Rule and entity: what is found again about the same is the same incident.
    Alert,
    /// What chains say of a transaction of some wallet, high or worse: who empties several wallets of a system does it within
    /// hours, on as many chains and to as many addresses as there are, and it is one theft.
    Spree,
}

impl Shared {
    /// Log time for which what is shared leads to an incident.
    fn reach(self) -> i64 {
        if self == Shared::Spree { SPREE_NS } else { INCIDENT_OPEN_NS }
    }

    /// Whether it is the name of something that people know it by.
    fn is_name(self) -> bool {
        !matches!(self, Shared::Alert | Shared::Spree)
    }
}

/// System, and what is shared there.
type Link = (String, Shared, String);

/// The incident that a link leads to, and when a finding last had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Linked {
    incident: String,
    /// Id of the findings that share something by name with those that had it, one through the other.
    matter: String,
    last: Instant,
}

/// Sources of findings that count, each with the log time it last spoke.
type Witnesses = BTreeMap<String, Instant>;

/// All incidents that may still take in findings, and those that people have not resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incidents {
    open: BTreeMap<String, Incident>,
    #[serde(with = "pairs")]
    links: HashMap<Link, Linked>,
    /// Id of an incident that turned out to be another → that other.
    aliases: BTreeMap<String, String>,
    /// Who speaks in each matter. Of one spree are findings of several: whoever may write one of them says nothing of the others,
    /// and they nothing of his.
    matters: BTreeMap<String, Witnesses>,
}

impl Incidents {
    /// Where `finding` belongs.
    #[must_use]
    pub fn join(&self, finding: &Finding) -> Joined<'_> {
        let recent = self.recent(finding).filter_map(|(kind, linked)| Some((kind, self.open.get(&linked.incident)?)));
        let mut leads: Vec<(Shared, &Incident)> = recent.collect();
        // Who has taken one theft up, or a decoy, has not seen the next one: that begins anew, and nothing makes one of both.
        if leads.iter().any(|(_, incident)| incident.handling.status != Status::Open) {
            leads.retain(|(kind, _)| *kind != Shared::Spree);
        }
        let mut found: Vec<&Incident> = leads.into_iter().map(|(_, incident)| incident).collect();
        found.retain(|incident| is_open(incident.last, finding.decided));
        found.sort_by(|one, other| (one.opened, &one.id).cmp(&(other.opened, &other.id)));
        found.dedup_by(|one, other| one.id == other.id);
        let mut before = found.first().map(|first| Cow::Borrowed(*first));
        for merged in found.iter().skip(1) {
            if let Some(before) = &mut before {
                before.to_mut().absorb((*merged).clone());
            }
        }
        let matters = self.matters_of(finding);
        let mut witnesses = Witnesses::new();
        for spoke in matters.iter().filter_map(|matter| self.matters.get(*matter)) {
            add_witnesses(&mut witnesses, spoke);
        }
        if counts(finding) {
            add_witnesses(&mut witnesses, &BTreeMap::from([(finding.source.clone(), finding.decided)]));
        }
        let mut ids = found.into_iter().map(|incident| incident.id.clone());
        let id = ids.next().unwrap_or_else(|| derive_id(&["incident", &finding.id]));
        Joined { id, merges: ids.collect(), matters, witnesses, before }
    }

    /// What leads the finding to an incident.
    fn recent(&self, finding: &Finding) -> impl Iterator<Item = (Shared, &Linked)> {
        let now = finding.decided;
        let linked = links(finding).filter_map(move |link| Some((link.1, self.links.get(&link)?)));
        linked.filter(move |(kind, linked)| linked.last.saturating_add(kind.reach()) >= now)
    }

    fn matters_of(&self, finding: &Finding) -> BTreeSet<&str> {
        let named = self.recent(finding).filter(|(kind, _)| *kind != Shared::Spree);
        named.map(|(_, linked)| linked.matter.as_str()).collect()
    }

    /// The matter that findings of `rule` about `entity` are of.
    pub(crate) fn matter_of(&self, system: &str, rule: &str, entity: &str) -> Option<&str> {
        let link = (system.to_owned(), Shared::Alert, same(rule, entity));
        self.links.get(&link).map(|linked| linked.matter.as_str())
    }

    /// Who speaks in a matter.
    pub(crate) fn witnesses_in(&self, matter: &str) -> Option<&BTreeMap<String, Instant>> {
        self.matters.get(matter)
    }

    /// Takes in a finding as its alert record says.
    pub fn apply(&mut self, record: &AlertRecord) {
        let matter = self.corroborate(record);
        self.take_in(record);
        let AlertRecord { incident: id, merges, finding, .. } = record;
        if !merges.is_empty() {
            let moved = self.links.values_mut().filter(|linked| merges.contains(&linked.incident));
            moved.for_each(|linked| id.clone_into(&mut linked.incident));
        }
        for link in links(finding) {
            let last = self.links.get(&link).map_or(finding.decided, |linked| linked.last.max(finding.decided));
            self.links.insert(link, Linked { incident: id.to_owned(), matter: matter.clone(), last });
        }
    }

    /// Takes its source into the matter that the finding is of; several that turn out to be the same become one. Its id.
    fn corroborate(&mut self, record: &AlertRecord) -> String {
        let finding = &record.finding;
        let matters: BTreeSet<String> = self.matters_of(finding).into_iter().map(str::to_owned).collect();
        let matter = matters.first().unwrap_or(&finding.id).clone();
        let mut witnesses = Witnesses::new();
        for spoke in matters.iter().filter_map(|of| self.matters.remove(of)) {
            add_witnesses(&mut witnesses, &spoke);
        }
        if speaks(record) {
            add_witnesses(&mut witnesses, &BTreeMap::from([(finding.source.clone(), finding.decided)]));
        }
        if matters.len() > 1 {
            let moved = self.links.values_mut().filter(|linked| matters.contains(&linked.matter));
            moved.for_each(|linked| matter.clone_into(&mut linked.matter));
        }
        self.matters.insert(matter.clone(), witnesses);
        matter
    }

    /// As [`Incidents::apply`], where no further finding asks where it belongs.
    pub(crate) fn take_in(&mut self, record: &AlertRecord) {
        let AlertRecord { incident: id, merges, finding, .. } = record;
        let mut incident = self.open.remove(id).unwrap_or_else(|| Incident::begun(id, finding));
        for merged in merges.iter().filter_map(|merged| self.open.remove(merged)) {
            incident.absorb(merged);
        }
        if !merges.is_empty() {
            self.aliases.values_mut().filter(|to| merges.contains(to)).for_each(|to| id.clone_into(to));
            self.aliases.extend(merges.iter().map(|merged| (merged.clone(), id.clone())));
        }
        incident.take_in(record);
        self.open.insert(id.to_owned(), incident);
    }

    /// The incident of that id, or the one that it turned out to be.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Incident> {
        self.open.get(self.resolve(id))
    }

    /// The incident of that id, to be changed by a record about it.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Incident> {
        let id = self.resolve(id).to_owned();
        self.open.get_mut(&id)
    }

    /// The id of what the incident turned out to be; its own where it is itself.
    #[must_use]
    pub fn resolve<'a>(&'a self, id: &'a str) -> &'a str {
        self.aliases.get(id).map_or(id, String::as_str)
    }

    /// Every incident that is remembered, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// Forgets what can take in no more at `now` in `system`, unless people were told and have not resolved it, and what
    /// findings of one that goes on shared once.
    pub fn sweep(&mut self, system: &str, now: Instant) {
        self.open.retain(|_, incident| incident.system != system || incident.is_kept(now));
        let excess = self.open.len().saturating_sub(INCIDENTS_KEPT_MAX);
        if excess > 0 {
            let mut old: Vec<(Severity, Instant, String)> =
                self.open.values().map(|incident| (incident.severity, incident.last, incident.id.clone())).collect();
            old.sort();
            old.iter().take(excess).for_each(|(_, _, id)| {
                self.open.remove(id);
            });
        }
        let open = &self.open;
        self.links.retain(|(of, _, _), linked| {
            open.contains_key(&linked.incident) && (of != system || is_open(linked.last, now))
        });
        self.aliases.retain(|_, to| open.contains_key(to));
        let led: BTreeSet<&str> = self.links.values().map(|linked| linked.matter.as_str()).collect();
        self.matters.retain(|matter, _| led.contains(matter.as_str()));
    }
}

impl Incident {
    fn begun(id: &str, finding: &Finding) -> Incident {
        Incident {
            id: id.to_owned(),
            system: finding.system.clone(),
            opened: finding.decided,
            last: finding.decided,
            witnesses: BTreeMap::new(),
            severity: finding.severity,
            title: finding.title.clone(),
            findings: 0,
            names: BTreeSet::new(),
            paging: Paging::default(),
            handling: Handling::default(),
            merged: BTreeSet::new(),
        }
    }

    fn take_in(&mut self, record: &AlertRecord) {
        let finding = &record.finding;
        if speaks(record) {
            add_witnesses(&mut self.witnesses, &BTreeMap::from([(finding.source.clone(), finding.decided)]));
        }
        self.last = self.last.max(finding.decided);
        self.findings += 1;
        if finding.severity > self.severity {
            self.severity = finding.severity;
            self.title.clone_from(&finding.title);
        }
        for (_, kind, name) in links(finding).filter(|(_, kind, _)| kind.is_name()) {
            if self.names.len() < INCIDENT_MEMBERS_MAX {
                self.names.insert((kind, name));
            }
        }
        if record.notify {
            self.paging.told(record);
            let goes_on = record.causes.iter().any(|cause| cause.goes_on());
            if goes_on && self.handling.status != Status::Open {
                self.handling.reopen();
            }
        } else if let Some(due) = record.due {
            self.paging.wait(record.clone(), due);
        }
    }

    fn absorb(&mut self, other: Incident) {
        add_witnesses(&mut self.witnesses, &other.witnesses);
        self.opened = self.opened.min(other.opened);
        self.last = self.last.max(other.last);
        // What nobody has taken up is not taken up by what somebody made of something that is worth no more.
        let unseen = other.awaits_people(self.severity) || self.awaits_people(other.severity);
        if other.severity > self.severity {
            self.severity = other.severity;
            self.title = other.title;
        }
        self.findings += other.findings;
        let room = INCIDENT_MEMBERS_MAX.saturating_sub(self.names.len());
        self.names.extend(other.names.into_iter().take(room));
        self.paging.absorb(&other.paging);
        self.handling.absorb(other.handling);
        if unseen {
            self.handling.reopen();
        }
        self.merged.insert(other.id);
        self.merged.extend(other.merged);
    }

    /// Whether people have still to take it up, also where they have taken up another one of that severity that turns out to be
    /// the same. Of one that is worth as much as that and that nobody was to be told of, they have not.
    fn awaits_people(&self, taken_up: Severity) -> bool {
        let is_told = self.paging.pages > 0 || self.paging.waiting.is_some();
        let is_grave = self.severity > taken_up || (self.severity == taken_up && is_told);
        self.handling.status == Status::Open && is_grave
    }

    /// Whether it is remembered: it may take in more, waits for people, or was resolved not long ago.
    fn is_kept(&self, now: Instant) -> bool {
        let recent = self.last.saturating_add(INCIDENT_KEPT_NS) >= now;
        let handled = self.handling.acts > 0;
        let waits = self.paging.pages > 0 && self.handling.status != Status::Resolved;
        is_open(self.last, now) || waits || (handled && recent)
    }

    /// Whether news of it wait that are due at `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.paging.waiting.as_ref().is_some_and(|waiting| waiting.due <= now)
    }
}

fn links(finding: &Finding) -> impl Iterator<Item = Link> {
    let is_grave = finding.severity >= Severity::High && finding.rule.starts_with("chain/");
    let is_of_spree = is_grave && finding.wallet.is_some() && finding.tx.is_some();
    let named = [
        (Shared::Session, finding.session.clone()),
        (Shared::Request, finding.request.clone()),
        (Shared::Wallet, finding.wallet.clone()),
        (Shared::Destination, finding.to_address.clone()),
        (Shared::Tx, finding.tx.clone()),
        (Shared::Alert, Some(same(&finding.rule, &finding.entity))),
        (Shared::Spree, is_of_spree.then(String::new)),
    ];
    named.into_iter().filter_map(|(kind, name)| Some((finding.system.clone(), kind, name?)))
}

/// Whether what was last seen at `last` takes in something that is settled at `now`.
fn is_open(last: Instant, now: Instant) -> bool {
    last.saturating_add(INCIDENT_OPEN_NS) >= now
}

/// What findings of one rule about the same share.
fn same(rule: &str, entity: &str) -> String {
    format!("{rule} {entity}")
}

/// Whether the source of its finding speaks for a revocation. What a rule that is off finds is recorded, and does not.
fn speaks(record: &AlertRecord) -> bool {
    counts(&record.finding) && !record.tainted && record.off.is_none()
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
