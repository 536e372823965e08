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
use crate::limits::{
    COMPROMISE_AFTER_NS, COMPROMISE_WITNESS_NS, COMPROMISES_MAX, OPERATION_TEXT_BYTES_MAX, SILENCE_TEXT_BYTES_MAX,
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

/// One compromise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compromise {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What was declared.
    pub request: CompromiseRequest,
    /// Fingerprints of the credentials that are refused from then on.
    pub refused: BTreeSet<String>,
    /// Who declared it.
    pub by: String,
    /// Log time of that.
    pub at: Instant,
    /// Who wants it taken back, why, and log time of that.
    pub restore_asked: Option<(String, String, Instant)>,
    /// The second person, who agreed to that, and when.
    pub restored_by: Option<(String, Instant)>,
}

impl Compromise {
    /// Whether it stands.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.restored_by.is_none()
    }

    /// Log time from which on its source's word counts again: when the credential was valid no more. `None` where it is not
    /// known to be refused anywhere, so that whoever has it may still write.
    #[must_use]
    pub fn ends(&self) -> Option<Instant> {
        let refused = (!self.refused.is_empty()).then(|| self.at.saturating_add(COMPROMISE_AFTER_NS));
        self.request.until.or(refused)
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
            (Some(_), _) => "taken back",
            (None, Some(_)) => "waiting for a second person to take it back",
            (None, None) => "stands",
        };
        json!({
            "id": self.id, "system": system, "source": source, "status": status, "since": since, "until": until,
            "tainted_until": self.ends(), "reason": reason, "by": self.by, "at": self.at,
            "refused": self.refused,
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
        // Those that were taken back give way first.
        if self.0.len() >= COMPROMISES_MAX {
            let over = self.0.values().filter(|other| !other.stands()).min_by_key(|other| (other.at, &other.id));
            if let Some(id) = over.map(|other| other.id.clone()) {
                self.0.remove(&id);
            }
        }
        self.0.insert(compromise.id.clone(), compromise);
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

    /// Fingerprints of all credentials that are refused.
    #[must_use]
    pub fn refused(&self) -> BTreeSet<String> {
        self.0.values().filter(|compromise| compromise.stands()).flat_map(|one| one.refused.iter().cloned()).collect()
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
        Compromise {
            id: "c".into(),
            request: CompromiseRequest {
                system: "cold".into(),
                source: "idp".into(),
                since: Instant(100),
                until: until.map(Instant),
                reason: "found in a paste".into(),
            },
            refused: refused.iter().map(|print| (*print).to_owned()).collect(),
            by: "ann".into(),
            at: Instant(1_000),
            restore_asked: None,
            restored_by: None,
        }
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
    fn two_people_take_it_back_and_one_does_not() {
        let mut all = all(compromise(None, &["p"]));
        all.restored("c", "bob".into(), Instant(2_000));
        assert!(all.taint("cold", "idp", Instant(200)), "nobody asked for it");
        all.restore_asked("c", "ann".into(), "a drill".into(), Instant(2_001));
        all.restored("c", "ann".into(), Instant(2_002));
        assert_eq!(all.refused(), BTreeSet::from(["p".to_owned()]), "one person");
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
