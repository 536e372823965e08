//! Probes: the queries that show whether a revocation has an effect, and what their answers prove. Pure.
//!
//! A probe is an ordinary input. It carries no mark by which a manipulated decision point could tell it from a real one.

use std::collections::BTreeMap;

use keywatch_store::finding::Target;
use serde_json::{Value, json};

use crate::response::intent::{Before, Degree, Response, word};
use crate::response::last_inputs::LastInputs;
use crate::response::revocation::section_name;
use crate::response::wording::short;

/// One query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Section, what it was made of, and name; the same whenever the probe is made again.
    pub name: String,
    /// What it is about, for people: the session shortened.
    pub label: String,
    /// What is asked.
    pub input: Value,
    /// Taken from a decision log rather than made here: whoever wrote it must not be able to hold up a revocation with an
    /// input that cannot be evaluated.
    pub foreign: bool,
}

/// The probes of a response. For every target the healthy control input with that one name put in; for a session, person
/// or device its last allowed input too, where that is known.
#[must_use]
pub fn probes(response: &Response, control: &Value, inputs: &LastInputs) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (target, name) in response.targets.iter() {
        let label = format!("{} {}", word(target), short(target, name));
        let mut add = |made_of: &str, input: Value, foreign: bool| {
            let name = format!("{}/{made_of}/{name}", section_name(target));
            probes.push(Probe { name, label: label.clone(), input, foreign });
        };
        if let Some(last) = inputs.get(&response.system, target, name) {
            add("last", last, true);
        }
        if let Some(input) = with_target(control, target, name, response.since().unix_seconds()) {
            add("control", input, false);
        }
    }
    probes
}

/// The control input with one name put in. A subject's session is set to have begun when the cut-off was decided.
fn with_target(control: &Value, target: Target, name: &str, cut_at: i64) -> Option<Value> {
    let mut input = control.as_object()?.clone();
    let field = match target {
        Target::Session => "session_id",
        Target::Subject => "subject",
        Target::Device => "device_id",
        Target::Request => "request_id",
        Target::Wallet => "wallet",
    };
    input.insert(field.to_owned(), Value::from(name));
    if target == Target::Subject {
        input.insert("session_started_at".to_owned(), Value::from(cut_at));
    }
    // A control of a wallet that is no contract names no operation, and one that is must.
    if target == Target::Wallet
        && name.to_lowercase().starts_with("0x")
        && input.get("operation").is_none_or(Value::is_null)
    {
        input.insert("operation".to_owned(), json!(0));
    }
    Some(Value::Object(input))
}

/// One round of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Whether the control was allowed, and the probes by name.
    pub answers: Before,
    /// Decision ids of the answers.
    pub decisions: Vec<String>,
}

/// What the rounds before and after publishing prove.
#[must_use]
pub fn judge(probes: &[Probe], before: &Before, after: &Before) -> (Degree, String) {
    if probes.is_empty() {
        return (Degree::Unconfirmed, "no input is known that could be probed".to_owned());
    }
    if !after.control {
        return (Degree::Unconfirmed, "the healthy control session is denied as well: everything may be".to_owned());
    }
    if after.probes.is_empty() {
        return (Degree::Unconfirmed, "no probe was answered".to_owned());
    }
    let allowed: Vec<&str> = labels(probes, &after.probes, true);
    if !allowed.is_empty() {
        return (Degree::Unconfirmed, format!("still allowed after publishing: {}", allowed.join(", ")));
    }
    let denied = labels(probes, &after.probes, false).join(", ");
    let was_allowed = probes.iter().any(|probe| before.probes.get(&probe.name) == Some(&true));
    if before.control && !was_allowed {
        return (Degree::AlreadyDenied, format!("denied before publishing and still denied: {denied}"));
    }
    (Degree::DeniedAtPdp, format!("denied: {denied}; the healthy control session is allowed"))
}

/// Labels of the probes that were answered with `allow`.
fn labels<'a>(probes: &'a [Probe], answers: &BTreeMap<String, bool>, allow: bool) -> Vec<&'a str> {
    let answered = probes.iter().filter(|probe| answers.get(&probe.name) == Some(&allow));
    let mut labels: Vec<&str> = answered.map(|probe| probe.label.as_str()).collect();
    labels.dedup();
    labels
}
