//! Sources whose credential somebody else had: since when, until when, and which events are therefore *tainted*. A fold over
//! the records of operators. Knows neither credentials nor how they are refused: it remembers their fingerprints.
//!
//! What a source wrote in that span may be the thief's. Nothing is taken out of the log and no finding is withdrawn; but no
//! tainted event speaks for a revocation without a person, and whoever looks at one is told.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, Instant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lifecycle::action::SOURCE;
use crate::lifecycle::doors::{DoorName, Doors};
use crate::limits::{
    COMPROMISE_AFTER_NS, COMPROMISE_ASKED_NS, COMPROMISE_WITNESS_NS, COMPROMISES_ALONE_MAX, COMPROMISES_ALONE_NS,
    COMPROMISES_ALONE_REPEATED_MAX, COMPROMISES_MAX, OPERATION_TEXT_BYTES_MAX, SILENCE_TEXT_BYTES_MAX,
};

/// What an operator declares. The JSON form stands in the detail of `credential.compromised`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompromiseRequest {
    /// The trusted environment.
    pub system: String,
    /// The source whose credential it is.
    pub source: String,
    /// Log time from which on somebody else may have had it.
    pub since: Instant,
    /// Log time at which it was valid no more, where it was replaced before anybody declared this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// How that is known.
    pub reason: String,
}

impl CompromiseRequest {
    /// What is wrong with it, asked for at `now`.
    #[must_use]
    pub fn problem(&self, now: Instant) -> Option<String> {
        if self.source.trim().is_empty() || self.source == SOURCE {
            return Some("`source` names a source that writes events, and not keywatch itself".to_owned());
        }
        if self.source.len() > SILENCE_TEXT_BYTES_MAX {
            return Some(format!("`source` is longer than {SILENCE_TEXT_BYTES_MAX} bytes"));
        }
        if self.since > now {
            return Some("`since` lies in the future".to_owned());
        }
        if self.until.is_some_and(|until| until <= self.since || until > now) {
            return Some(
                "`until` lies between `since` and now; leave it out where the credential is still valid".to_owned(),
            );
        }
        problem_of_reason(&self.reason)
    }
}

/// What is wrong with a reason.
pub(crate) fn problem_of_reason(reason: &str) -> Option<String> {
    if reason.trim().is_empty() {
        return Some("`reason` is empty".to_owned());
    }
    let long = reason.len() > OPERATION_TEXT_BYTES_MAX;
    long.then(|| format!("`reason` is longer than {OPERATION_TEXT_BYTES_MAX} bytes"))
}

/// Fingerprints of what is refused, by system and source. A credential is refused as that source's and as nobody else's, whoever
/// is recognised by the same: a process that takes events in says of itself what it recognises, and could name another
/// source's fingerprint under this one.
pub type RefusedBySource = BTreeMap<(String, String), BTreeSet<String>>;

/// One compromise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compromise {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What was declared.
    pub request: CompromiseRequest,
    /// Fingerprints of the credentials that are refused from then on, as those of this source.
    pub refused: BTreeSet<String>,
    /// Other sources of the system that were recognised by one of them, as far as it was said; they are refused nothing.
    #[serde(default)]
    pub shared_with: BTreeSet<String>,
    /// Who declared it.
    pub by: String,
    /// Log time of that.
    pub at: Instant,
    /// Whether it waits for a second person to declare the same, since `by` has declared as many as one does alone.
    #[serde(default)]
    pub waits: bool,
    /// Who had asked for it, where it was such a one.
    #[serde(default)]
    pub asked_by: Option<String>,
    /// The other processes that took what is refused, each with the log time from which on it takes it no more; `None` where
    /// it still does.
    #[serde(default)]
    pub doors: BTreeMap<String, Option<Instant>>,
    /// Who wants it taken back, why, and log time of that.
    pub restore_asked: Option<(String, String, Instant)>,
    /// The second person, who agreed to that, and when.
    pub restored_by: Option<(String, Instant)>,
}

impl Compromise {
    /// Declared by `by`; nothing has followed from it yet.
    pub(crate) fn new(
        id: String,
        request: CompromiseRequest,
        refused: BTreeSet<String>,
        by: String,
        at: Instant,
    ) -> Self {
        let (restore_asked, restored_by, asked_by, doors) = (None, None, None, BTreeMap::new());
        let (shared_with, waits) = (BTreeSet::new(), false);
        Compromise { id, request, refused, shared_with, by, at, waits, asked_by, doors, restore_asked, restored_by }
    }

    /// Whether it stands.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.restored_by.is_none() && !self.waits
    }

    /// Log time from which on its source's word counts again: when the credential was valid no more, in the last process
    /// that took it. `None` where it is not known to be refused everywhere, so that whoever has it may still write.
    #[must_use]
    pub fn ends(&self) -> Option<Instant> {
        let mut doors = self.doors.values();
        let refused_by_all = doors.try_fold(self.at, |latest, closed| closed.map(|closed| latest.max(closed)));
        let refused = refused_by_all.filter(|_| !self.refused.is_empty());
        self.request.until.or(refused.map(|refused| refused.saturating_add(COMPROMISE_AFTER_NS)))
    }

    fn is_of(&self, system: &str, source: &str) -> bool {
        self.stands() && self.request.system == system && self.request.source == source
    }

    fn spans(&self, time: Instant, longer_ns: i64) -> bool {
        self.request.since <= time && self.ends().is_none_or(|end| time < end.saturating_add(longer_ns))
    }

    /// As it is told.
    #[must_use]
    pub fn view(&self) -> Value {
        let CompromiseRequest { system, source, since, until, reason } = &self.request;
        let status = match (&self.restored_by, &self.restore_asked) {
            _ if self.waits => "waiting for a second person to declare the same",
            (Some(_), _) => "taken back",
            (None, Some(_)) => "waiting for a second person to take it back",
            (None, None) => "stands",
        };
        let still_taken_by: Vec<&String> =
            self.doors.iter().filter(|(_, closed)| closed.is_none()).map(|(process, _)| process).collect();
        json!({
            "id": self.id, "system": system, "source": source, "status": status, "since": since, "until": until,
            "tainted_until": self.ends(), "reason": reason, "by": self.by, "at": self.at,
            "refused": self.refused, "shared_with": self.shared_with, "still_taken_by": still_taken_by,
            "asked_by": self.asked_by,
            "restore_asked_by": self.restore_asked.as_ref().map(|(by, ..)| by),
            "restore_reason": self.restore_asked.as_ref().map(|(_, reason, _)| reason),
            "restored_by": self.restored_by.as_ref().map(|(by, _)| by),
        })
    }
}

/// How much of what is known rests on tainted events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rests {
    /// All of it.
    Alone,
    /// Some of it.
    Partly,
}

/// All that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compromises(BTreeMap<String, Compromise>);

impl Compromises {
    /// Somebody declared one.
    pub(crate) fn declared(&mut self, compromise: Compromise) {
        // Who reads the log with its repeats sees one twice.
        if self.0.contains_key(&compromise.id) {
            return;
        }
        if !compromise.waits {
            // What waited for this one.
            let CompromiseRequest { system, source, .. } = &compromise.request;
            let is_same = |other: &Compromise| &other.request.system == system && &other.request.source == source;
            self.0.retain(|_, other| !(other.waits && is_same(other)));
        }
        // Those that were taken back give way first.
        if self.0.len() >= COMPROMISES_MAX {
            let over = self.0.values().filter(|other| !other.stands()).min_by_key(|other| (other.at, &other.id));
            if let Some(id) = over.map(|other| other.id.clone()) {
                self.0.remove(&id);
            }
        }
        self.0.insert(compromise.id.clone(), compromise);
    }

    /// Holds the one of that id against what processes say that they take.
    pub(crate) fn settle(&mut self, id: &str, doors: &Doors) {
        let Some(compromise) = self.0.get_mut(id) else { return };
        let CompromiseRequest { system, source, .. } = &compromise.request;
        let closed = doors.closed(system, source, &compromise.refused);
        compromise.doors = closed;
    }

    /// Holds those of a source against what one process says now. Whoever has the key of a role can have any number of processes
    /// say something: what the others have said is not gone through again.
    pub(crate) fn settle_door(&mut self, name: &DoorName, doors: &Doors) {
        let (system, source, _) = name;
        let is_of =
            |compromise: &&mut Compromise| &compromise.request.system == system && &compromise.request.source == source;
        for Compromise { refused, doors: closed, .. } in self.0.values_mut().filter(is_of) {
            doors.renew_closed(name, refused, closed);
        }
    }

    /// Who waits for a second person to declare of this source what they declared, and is another one than `is_self` says.
    pub(crate) fn asked(
        &self,
        (system, source): (&str, &str),
        at: Instant,
        is_self: impl Fn(&str) -> bool,
    ) -> Option<&Compromise> {
        self.0.values().find(|one| {
            one.waits
                && one.request.system == system
                && one.request.source == source
                && at <= one.at.saturating_add(COMPROMISE_ASKED_NS)
                && !is_self(&one.by)
        })
    }

    /// Whether a person, known by `is_self`, has declared as many others alone as one does within a while, or so often.
    pub(crate) fn is_enough(&self, of: (&str, &str), at: Instant, is_self: impl Fn(&str) -> bool) -> bool {
        let is_alone = |one: &&Compromise| {
            let is_recent = at <= one.at.saturating_add(COMPROMISES_ALONE_NS);
            !one.waits && one.asked_by.is_none() && is_recent && is_self(&one.by)
        };
        let alone: Vec<&Compromise> = self.0.values().filter(is_alone).collect();
        let sources: BTreeSet<(&str, &str)> =
            alone.iter().map(|one| (one.request.system.as_str(), one.request.source.as_str())).collect();
        let is_another = sources.len() >= COMPROMISES_ALONE_MAX && !sources.contains(&of);
        is_another || alone.len() >= COMPROMISES_ALONE_REPEATED_MAX
    }

    /// Somebody wants it taken back.
    pub(crate) fn restore_asked(&mut self, id: &str, by: String, reason: String, at: Instant) {
        if let Some(compromise) = self.0.get_mut(id).filter(|compromise| compromise.stands()) {
            compromise.restore_asked.get_or_insert((by, reason, at));
        }
    }

    /// A second person agrees to that. Who asked for it is nobody's second person.
    pub(crate) fn restored(&mut self, id: &str, by: String, at: Instant) {
        let Some(compromise) = self.0.get_mut(id) else { return };
        if compromise.restore_asked.as_ref().is_some_and(|(first, ..)| *first != by) {
            compromise.restored_by.get_or_insert((by, at));
        }
    }

    /// Whether what the source wrote at that log time may be somebody else's.
    #[must_use]
    pub fn taint(&self, system: &str, source: &str, time: Instant) -> bool {
        self.0.values().any(|compromise| compromise.is_of(system, source) && compromise.spans(time, 0))
    }

    /// Whether an event may be somebody else's. What keywatch expects of a source stands under its name and is keywatch's own.
    #[must_use]
    pub fn is_tainted(&self, event: &Event) -> bool {
        event.kind() != "source.expected" && self.taint(event.system(), event.source(), event.time())
    }

    /// Whether the source's word does not count that was decided on at that log time: the event behind it is older.
    #[must_use]
    pub(crate) fn distrusts(&self, system: &str, source: &str, decided: Instant) -> bool {
        let is_distrusted = |compromise: &Compromise| {
            compromise.is_of(system, source) && compromise.spans(decided, COMPROMISE_WITNESS_NS)
        };
        self.0.values().any(is_distrusted)
    }

    /// How much of an alert of that system hangs on tainted events, by its `anchors`; `None` where nothing does.
    #[must_use]
    pub fn rests(&self, system: &str, anchors: &BTreeMap<String, (Instant, Instant)>) -> Option<Rests> {
        let mut alone = !anchors.is_empty();
        let mut partly = false;
        for (source, (first, last)) in anchors {
            let of_source = || self.0.values().filter(move |compromise| compromise.is_of(system, source));
            alone &= of_source().any(|compromise| compromise.spans(*first, 0) && compromise.spans(*last, 0));
            partly |= of_source().any(|compromise| {
                compromise.request.since <= *last && compromise.ends().is_none_or(|end| *first < end)
            });
        }
        match (alone, partly) {
            (true, _) => Some(Rests::Alone),
            (false, true) => Some(Rests::Partly),
            (false, false) => None,
        }
    }

    /// Fingerprints of all credentials that are refused, each as those of its source.
    #[must_use]
    pub fn refused(&self) -> RefusedBySource {
        let mut refused = RefusedBySource::new();
        for one in self.0.values().filter(|one| one.stands() && !one.refused.is_empty()) {
            let source = (one.request.system.clone(), one.request.source.clone());
            refused.entry(source).or_default().extend(one.refused.iter().cloned());
        }
        refused
    }

    /// The one of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Compromise> {
        self.0.get(id)
    }

    /// Every one that is remembered, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Compromise> {
        self.0.values()
    }

    /// Whether no more are taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.values().filter(|compromise| compromise.stands()).count() >= COMPROMISES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compromise(until: Option<i64>, refused: &[&str]) -> Compromise {
        let request = CompromiseRequest {
            system: "cold".into(),
            source: "idp".into(),
            since: Instant(100),
            until: until.map(Instant),
            reason: "found in a paste".into(),
        };
        let refused = refused.iter().map(|print| (*print).to_owned()).collect();
        Compromise::new("c".into(), request, refused, "ann".into(), Instant(1_000))
    }

    fn all(one: Compromise) -> Compromises {
        let mut all = Compromises::default();
        all.declared(one);
        all
    }

    #[test]
    fn what_was_written_while_somebody_else_could_write_is_tainted() {
        let refused_at = Instant(1_000 + COMPROMISE_AFTER_NS);
        for (one, tainted, clean) in [
            // It is refused a moment after the declaration.
            (compromise(None, &["p"]), vec![Instant(100), Instant(1_001)], vec![Instant(99), refused_at]),
            // It was replaced before.
            (compromise(Some(500), &[]), vec![Instant(100), Instant(499)], vec![Instant(99), Instant(500)]),
            // Nothing is known to be refused: it goes on.
            (compromise(None, &[]), vec![Instant(100), Instant(i64::MAX)], vec![Instant(99)]),
        ] {
            let all = all(one);
            assert!(tainted.iter().all(|time| all.taint("cold", "idp", *time)), "{all:?}");
            assert!(!clean.iter().any(|time| all.taint("cold", "idp", *time)), "{all:?}");
            assert!(!all.taint("hot", "idp", Instant(200)) && !all.taint("cold", "opa", Instant(200)));
        }
    }

    #[test]
    fn the_taint_lasts_until_the_last_process_that_took_it_takes_it_no_more() {
        let with = |doors: &[(&str, Option<i64>)]| {
            let doors = doors.iter().map(|(process, closed)| ((*process).to_owned(), closed.map(Instant)));
            Compromise { doors: doors.collect(), ..compromise(None, &["p"]) }
        };
        let after = |at| Some(Instant(at + COMPROMISE_AFTER_NS));
        assert_eq!(with(&[]).ends(), after(1_000));
        assert_eq!(with(&[("a", Some(2_000)), ("b", Some(9_000))]).ends(), after(9_000));
        assert_eq!(with(&[("a", Some(2))]).ends(), after(1_000), "it had ceased to before anybody declared this");
        let open = with(&[("a", Some(2_000)), ("b", None)]);
        assert_eq!(open.ends(), None);
        assert_eq!(open.view()["still_taken_by"], json!(["b"]));
        let replaced = Compromise { request: compromise(Some(500), &[]).request, ..open };
        assert_eq!(replaced.ends(), Some(Instant(500)), "it was valid no more whoever took it");
    }

    #[test]
    fn what_waits_for_a_second_person_taints_nothing() {
        let is = |name: &'static str| move |by: &str| by == name;
        let mut all = all(Compromise { waits: true, ..compromise(None, &["p"]) });
        assert!(!all.taint("cold", "idp", Instant(200)) && all.refused().is_empty());
        let asked = |all: &Compromises, by, at| all.asked(("cold", "idp"), Instant(at), is(by)).is_some();
        assert!(asked(&all, "bob", 2_000) && !asked(&all, "ann", 2_000), "one person is no second one");
        assert!(!asked(&all, "bob", 1_001 + COMPROMISE_ASKED_NS), "it is forgotten after a while");
        all.declared(Compromise { id: "d".into(), by: "bob".into(), ..compromise(None, &["p"]) });
        assert!(all.taint("cold", "idp", Instant(200)) && all.get("c").is_none());
    }

    #[test]
    fn so_many_sources_one_person_declares_alone_in_a_while() {
        let mut all = Compromises::default();
        let declared = |all: &mut Compromises, source: &str, asked_by: Option<&str>| {
            let mut one = Compromise { id: source.into(), ..compromise(None, &["p"]) };
            (one.request.source, one.asked_by) = (source.into(), asked_by.map(str::to_owned));
            all.declared(one);
        };
        let of = |all: &Compromises, source: &str, by: &str, at| {
            all.is_enough(("cold", source), Instant(at), |other| other == by)
        };
        let is_enough = |all: &Compromises, by: &str, at| of(all, "another", by, at);
        declared(&mut all, "two of us", Some("bob"));
        for source in 1..COMPROMISES_ALONE_MAX {
            declared(&mut all, &source.to_string(), None);
        }
        assert!(!is_enough(&all, "ann", 1_000));
        declared(&mut all, "last", None);
        assert!(is_enough(&all, "ann", 1_000) && !is_enough(&all, "bob", 1_000));
        assert!(!of(&all, "last", "ann", 1_000), "nobody else loses their word by that");
        assert!(!is_enough(&all, "ann", 1_001 + COMPROMISES_ALONE_NS));
        for number in COMPROMISES_ALONE_MAX..COMPROMISES_ALONE_REPEATED_MAX {
            assert!(!of(&all, "last", "ann", 1_000), "{number}");
            let mut one = Compromise { id: format!("again {number}"), ..compromise(None, &["p"]) };
            one.request.source = "last".into();
            all.declared(one);
        }
        assert!(of(&all, "last", "ann", 1_000), "nor does anybody fill all places with one source");
    }

    #[test]
    fn two_people_take_it_back_and_one_does_not() {
        let mut all = all(compromise(None, &["p"]));
        all.restored("c", "bob".into(), Instant(2_000));
        assert!(all.taint("cold", "idp", Instant(200)), "nobody asked for it");
        all.restore_asked("c", "ann".into(), "a drill".into(), Instant(2_001));
        all.restored("c", "ann".into(), Instant(2_002));
        let refused = (("cold".to_owned(), "idp".to_owned()), BTreeSet::from(["p".to_owned()]));
        assert_eq!(all.refused(), RefusedBySource::from([refused]), "one person");
        all.restored("c", "bob".into(), Instant(2_003));
        assert!(!all.taint("cold", "idp", Instant(200)) && all.refused().is_empty());
    }

    #[test]
    fn what_is_declared_has_to_make_sense() {
        let request = compromise(None, &[]).request;
        let now = Instant(2_000);
        assert_eq!(request.problem(now), None);
        assert_eq!(CompromiseRequest { until: Some(Instant(500)), ..request.clone() }.problem(now), None);
        for (wrong, said) in [
            (CompromiseRequest { since: Instant(2_001), ..request.clone() }, "future"),
            (CompromiseRequest { until: Some(Instant(100)), ..request.clone() }, "`until`"),
            (CompromiseRequest { until: Some(Instant(2_001)), ..request.clone() }, "`until`"),
            (CompromiseRequest { source: SOURCE.into(), ..request.clone() }, "keywatch itself"),
            (CompromiseRequest { reason: " ".into(), ..request }, "`reason`"),
        ] {
            assert!(wrong.problem(now).is_some_and(|problem| problem.contains(said)), "{wrong:?}");
        }
    }
}
