//! Labels of attacks that were put into the history, and which findings belong to which of them.
//!
//! A finding belongs to an attack of its own system when
//!
//! * its anchor or another event of its evidence is one of the attack's events, or
//! * what it is about (entity, actor, session, device, wallet, request, tx, to address) is one of the attack's entities
//!   and the time of its anchor lies within `from` … `to`, both included.
//!
//! It may belong to several attacks. An attack is seen when a finding belongs to it, whatever the rule; it takes until
//! the first of them was decided. An attack of a system, or of a time, that the history does not reach is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, ensure};
use keywatch_store::limits::LINE_BYTES_MAX;
use keywatch_store::{EventId, Finding, Instant};
use serde::Deserialize;

use super::reading::Span;
use crate::event_files::read_line;
use crate::limits::BACKTEST_ATTACKS_MAX;

/// One injected attack.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Attack {
    /// Its name, unique within the file.
    pub(super) id: String,
    /// What kind of attack it is.
    pub(super) scenario: String,
    /// The trusted environment.
    pub(super) system: String,
    /// When it begins.
    pub(super) from: Instant,
    /// When it ends.
    pub(super) to: Instant,
    /// Sessions, people, requests, wallets… that are the attack's within its time.
    #[serde(default)]
    entities: BTreeSet<String>,
    /// Events that are the attack's.
    #[serde(default)]
    events: BTreeSet<EventId>,
    /// Rules that are meant to see it.
    #[serde(default)]
    pub(super) rules: BTreeSet<String>,
}

/// All labels.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// As in the file.
    pub(super) attacks: Vec<Attack>,
    by_event: HashMap<EventId, Vec<usize>>,
    by_entity: HashMap<String, Vec<usize>>,
}

impl Truth {
    /// Reads labels, one JSON object a line.
    ///
    /// # Errors
    /// Names file, line and field.
    pub(super) fn read(file: &Path) -> anyhow::Result<Truth> {
        let name = file.display();
        let cannot = || format!("cannot read {name}");
        let mut reader = BufReader::new(File::open(file).with_context(cannot)?);
        let mut truth = Truth::default();
        let mut known = BTreeSet::new();
        let mut text = Vec::new();
        for number in 1.. {
            text.clear();
            if read_line(&mut reader, &mut text, LINE_BYTES_MAX).with_context(cannot)? == 0 {
                break;
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let attack: Attack = serde_json::from_slice(&text).with_context(|| format!("{name} line {number}"))?;
            ensure!(attack.from <= attack.to, "{name} line {number}: `from` is after `to`");
            ensure!(known.insert(attack.id.clone()), "{name} line {number}: `{}` is labelled twice", attack.id);
            ensure!(known.len() <= BACKTEST_ATTACKS_MAX, "{name}: at most {BACKTEST_ATTACKS_MAX} attacks are read");
            truth.add(attack);
        }
        ensure!(!truth.attacks.is_empty(), "{name} holds no label");
        Ok(truth)
    }

    fn add(&mut self, attack: Attack) {
        let index = self.attacks.len();
        for event in &attack.events {
            self.by_event.entry(*event).or_default().push(index);
        }
        for entity in &attack.entities {
            self.by_entity.entry(entity.clone()).or_default().push(index);
        }
        self.attacks.push(attack);
    }

    /// The attacks that a finding belongs to.
    fn of(&self, finding: &Finding) -> BTreeSet<usize> {
        let by_event = finding.evidence.iter().filter_map(|event| self.by_event.get(event)).flatten();
        let by_entity = subjects(finding).filter_map(|about| self.by_entity.get(about)).flatten();
        let in_time = |index: &&usize| {
            let attack = &self.attacks[**index];
            attack.from <= finding.time && finding.time <= attack.to
        };
        let all = by_event.chain(by_entity.filter(in_time));
        all.copied().filter(|index| self.attacks[*index].system == finding.system).collect()
    }
}

/// What a finding is about.
fn subjects(finding: &Finding) -> impl Iterator<Item = &str> {
    let Finding { actor, session, device, wallet, request, tx, to_address, .. } = finding;
    let fields = [actor, session, device, wallet, request, tx, to_address];
    std::iter::once(finding.entity.as_str()).chain(fields.into_iter().filter_map(Option::as_deref))
}

/// What was seen of one attack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sighting {
    /// When the first finding that belongs to it was decided; `None` when there is none.
    pub(super) decided: Option<Instant>,
    /// Findings that belong to it.
    pub(super) findings: u64,
    /// Rules that saw it.
    pub(super) rules: BTreeSet<String>,
}

/// Findings of one rule, and how many of them belong to an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// All.
    pub(super) findings: u64,
    /// Those that belong to an attack.
    pub(super) of_attacks: u64,
}

/// The findings of a pack held against the labels.
pub(super) struct Score {
    /// By the index of the attack.
    pub(super) sightings: Vec<Sighting>,
    /// By rule.
    pub(super) shares: BTreeMap<String, Share>,
}

impl Score {
    /// Nothing found yet.
    pub(super) fn new(truth: &Truth) -> Score {
        Score { sightings: vec![Sighting::default(); truth.attacks.len()], shares: BTreeMap::new() }
    }

    /// Takes in what a pack found.
    pub(super) fn add(&mut self, truth: &Truth, findings: &[Finding]) {
        for finding in findings {
            let attacks = truth.of(finding);
            let share = self.shares.entry(finding.rule.clone()).or_default();
            share.findings += 1;
            share.of_attacks += u64::from(!attacks.is_empty());
            for index in attacks {
                let sighting = &mut self.sightings[index];
                sighting.findings += 1;
                sighting.decided = Some(sighting.decided.map_or(finding.decided, |first| first.min(finding.decided)));
                if !sighting.rules.contains(&finding.rule) {
                    sighting.rules.insert(finding.rule.clone());
                }
            }
        }
    }
}

/// Whether the history reaches an attack.
pub(super) fn is_within(attack: &Attack, systems: &HashMap<String, Span>) -> bool {
    systems.get(&attack.system).is_some_and(|(first, last)| attack.from <= *last && *first <= attack.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attack(event: &str, entity: &str) -> Attack {
        let text = format!(
            r#"{{"id":"a","scenario":"x","system":"s","from":"2025-01-01T00:00:10Z","to":"2025-01-01T00:00:20Z",
                "entities":["{entity}"],"events":["{event}"],"later":1}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn finding(system: &str, entity: &str, second: i64, evidence: &str) -> Finding {
        let time = "2025-01-01T00:00:00Z".parse::<Instant>().unwrap().saturating_add(second * 1_000_000_000);
        serde_json::from_value(serde_json::json!({
            "id": "1", "rule": "f/r", "version": 1, "severity": "high", "system": system, "entity": entity,
            "anchor": evidence, "time": time, "decided": time.saturating_add(5_000_000_000), "title": "", "meaning": "",
            "runbook": "", "source": "", "late": false, "evidence": [evidence], "facts": {}, "response": [],
            "proof": "itself", "suppress_ns": 0, "wallet": "w",
        }))
        .unwrap()
    }

    #[test]
    fn a_finding_belongs_by_its_evidence_or_by_entity_and_time() {
        let (its, another) = ("00".repeat(16), "11".repeat(16));
        let cases = [
            (("s", "nobody", 90, &its), true, "its event, whenever"),
            (("s", "ses", 10, &another), true, "its entity at the beginning"),
            (("s", "ses", 20, &another), true, "its entity at the end"),
            (("s", "ses", 21, &another), false, "its entity afterwards"),
            (("s", "nobody", 15, &another), false, "something else meanwhile"),
            (("t", "ses", 15, &its), false, "another system"),
        ];
        let mut truth = Truth::default();
        truth.add(attack(&its, "ses"));
        for ((system, entity, second, evidence), belongs, what) in cases {
            assert_eq!(truth.of(&finding(system, entity, second, evidence)).len(), usize::from(belongs), "{what}");
        }
        let mut by_wallet = Truth::default();
        by_wallet.add(attack(&its, "w"));
        assert_eq!(by_wallet.of(&finding("s", "nobody", 15, &another)).len(), 1, "any field says what it is about");
    }

    #[test]
    fn the_first_decision_counts_and_every_finding_has_its_share() {
        let its = "00".repeat(16);
        let mut truth = Truth::default();
        truth.add(attack(&its, "ses"));
        let mut score = Score::new(&truth);
        score.add(
            &truth,
            &[finding("s", "ses", 15, &its), finding("s", "ses", 12, &its), finding("s", "x", 50, &"22".repeat(16))],
        );
        assert_eq!(score.sightings[0].findings, 2);
        assert_eq!(score.sightings[0].decided.unwrap().to_string(), "2025-01-01T00:00:17Z");
        assert_eq!(score.shares["f/r"], Share { findings: 3, of_attacks: 2 });
    }
}
