//! Silences: findings that people are not told of for a while, because somebody said so. A fold over the records of
//! operators. What is silenced is found, recorded and responded to all the same.
//!
//! A silence leaves criticals alone unless it says otherwise; one that covers them holds only once a second person agrees,
//! and for a few hours at most. Findings about keywatch itself are never silenced, the one about a new silence among them.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Finding, Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::action::SOURCE;
use crate::lifecycle::handling::Verdict;
use crate::lifecycle::matcher::Matcher;
use crate::limits::{SILENCE_CRITICAL_NS_MAX, SILENCE_NS_MAX, SILENCE_TEXT_BYTES_MAX, SILENCES_MAX};

/// What is asked for. The JSON form stands in the detail of `alert.silenced`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceRequest {
    /// The trusted environment.
    pub system: String,
    /// Which findings.
    pub matcher: Matcher,
    /// Why.
    pub reason: String,
    /// Log time at which it ends.
    pub until: Instant,
    /// Criticals are meant, too.
    #[serde(default)]
    pub criticals: bool,
}

impl SilenceRequest {
    /// What is wrong with it, asked for at `now`.
    #[must_use]
    pub fn problem(&self, now: Instant) -> Option<String> {
        if self.criticals {
            self.problem_within(now, SILENCE_CRITICAL_NS_MAX, "a silence of criticals")
        } else {
            self.problem_within(now, SILENCE_NS_MAX, "a silence")
        }
    }

    /// The same, where `what` lasts `longest` at most.
    pub(crate) fn problem_within(&self, now: Instant, longest: i64, what: &str) -> Option<String> {
        if self.matcher.is_empty() {
            return Some(
                "the matcher is empty: say at least one of rule, entity, wallet, actor, destination".to_owned(),
            );
        }
        if let Some(problem) = self.matcher.problem() {
            return Some(problem);
        }
        if self.reason.trim().is_empty() {
            return Some(format!("{what} needs a reason"));
        }
        if self.matcher.texts().chain([&self.reason]).any(|text| text.len() > SILENCE_TEXT_BYTES_MAX) {
            return Some(format!("a text is longer than {SILENCE_TEXT_BYTES_MAX} bytes"));
        }
        if self.until <= now {
            return Some("it ends before it begins".to_owned());
        }
        if self.until > now.saturating_add(longest) {
            let hours = longest / 3_600_000_000_000;
            return Some(format!("{what} lasts at most {hours} hours"));
        }
        None
    }
}

/// One silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What was asked for.
    pub request: SilenceRequest,
    /// Who asked.
    pub by: String,
    /// Log time of that.
    pub at: Instant,
    /// The second person, where one is needed.
    pub approved_by: Option<String>,
    /// Who ended it before its time.
    pub ended_by: Option<String>,
    /// What it was made from, where it is an entry of the allow-list.
    #[serde(default)]
    pub allows: Option<Allowed>,
    /// Findings that it has kept from people.
    #[serde(default)]
    pub covered: u64,
}

impl Silence {
    /// Whether it holds only once a second person agrees.
    #[must_use]
    pub fn needs_two(&self) -> bool {
        self.request.criticals || self.allows.is_some()
    }

    /// Whether it waits for a second person.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.needs_two() && self.approved_by.is_none() && self.ended_by.is_none()
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        !self.is_waiting() && self.ended_by.is_none() && now < self.request.until
    }
}

/// What an entry was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// The alert.
    pub alert: String,
    /// What somebody said of it.
    pub verdict: Verdict,
    /// Its severity: what is worse is told.
    pub severity: Severity,
    /// The finding that was judged. Entries of old were about rule and entity, whatever else a finding named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// Sides of it that may be any others.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub any: BTreeSet<String>,
    /// Its amount, where the entry covers more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
}

impl Allowed {
    /// Whether a finding names no side that what was judged did not: a payment to nobody known says nothing of one to
    /// somebody. A device or a session is learnt of later, and changes nothing of what was done.
    fn names_no_more(&self, matcher: &Matcher, finding: &Finding) -> bool {
        let (named, judged) = (Matcher::narrowest(finding), matcher.sides());
        let is_judged = |side: &str| judged.contains(side) || self.any.contains(side);
        // Entries of old had no sides.
        self.finding.is_none()
            || named.sides().into_iter().all(|side| matches!(side, "device" | "session") || is_judged(side))
    }

    /// How the entry with this matcher is wider than what was judged, for whoever is to agree.
    #[must_use]
    pub fn wider(&self, matcher: &Matcher) -> Vec<String> {
        let mut wider: Vec<String> = self.any.iter().map(|side| format!("any {side}")).collect();
        if let (Some(judged), Some(most)) = (&self.amount, &matcher.amount_max) {
            wider.push(format!("amount up to {most} where {judged} was judged"));
        }
        if self.finding.is_none() {
            wider.push("whatever else a finding names".to_owned());
        }
        wider
    }
}

/// All silences that have not ended long ago.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silences(BTreeMap<String, Silence>);

impl Silences {
    /// Somebody asked for one.
    pub(crate) fn asked(&mut self, silence: Silence) {
        // Those that were ended give way first.
        if self.0.len() >= SILENCES_MAX {
            let ended = self.0.values().filter(|other| other.ended_by.is_some());
            if let Some(id) = ended.min_by_key(|other| (other.at, &other.id)).map(|other| other.id.clone()) {
                self.0.remove(&id);
            }
        }
        self.0.insert(silence.id.clone(), silence);
    }

    /// A second person agrees. Who asked for it is nobody's second person.
    pub(crate) fn approved(&mut self, id: &str, by: &str) {
        if let Some(silence) = self.0.get_mut(id).filter(|silence| silence.is_waiting() && silence.by != by) {
            silence.approved_by = Some(by.to_owned());
        }
    }

    /// Somebody ended it.
    pub(crate) fn ended(&mut self, id: &str, by: &str) {
        if let Some(silence) = self.0.get_mut(id) {
            silence.ended_by.get_or_insert_with(|| by.to_owned());
        }
    }

    /// It has kept a finding from people.
    pub(crate) fn covered(&mut self, id: &str) {
        if let Some(silence) = self.0.get_mut(id) {
            silence.covered += 1;
        }
    }

    /// The silence that covers the finding.
    #[must_use]
    pub fn covering(&self, finding: &Finding) -> Option<&Silence> {
        let own = finding.source == SOURCE || finding.rule.starts_with("keywatch/");
        let mut holding = self.0.values().filter(|silence| {
            let Silence { request, .. } = silence;
            request.system == finding.system
                && (request.criticals || finding.severity < Severity::Critical)
                && silence.allows.as_ref().is_none_or(|allowed| finding.severity <= allowed.severity)
                && silence.holds(finding.decided)
                && request.matcher.matches(finding)
                && silence.allows.as_ref().is_none_or(|allowed| allowed.names_no_more(&request.matcher, finding))
        });
        if own { None } else { holding.next() }
    }

    /// The silence of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.0.get(id)
    }

    /// Every one that is remembered, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.0.values()
    }

    /// Whether no more are taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.values().filter(|silence| silence.ended_by.is_none()).count() >= SILENCES_MAX
    }

    /// Forgets those of the system that ended a while before `now`.
    pub(crate) fn sweep(&mut self, system: &str, now: Instant) {
        self.0.retain(|_, silence| {
            silence.request.system != system || now < silence.request.until.saturating_add(SILENCE_NS_MAX)
        });
    }
}
