//! Decision logs of the Open Policy Agent: each `EventV1` becomes one `decision`.
//!
//! Source of the format: OPA, `v1/plugins/logs/plugin.go` and the page "Decision Logs". OPA sends an array, gzip'd;
//! files hold one object a line. At least once and in no order: `decision_id` with `labels.id` is the identity.
//!
//! What a result means is said in [`verdict`]. The output of a container with decision logs on its console holds other
//! lines too, and the name of the container before each: what stands before the object is passed over, and what the
//! replica says beside its decisions is skipped.
//!
//! Where the input keeps its fields is the [`InputMapping`]. A field that the replica erased or masked is never read, and is
//! told apart from one that was not there.

mod input_mapping;
mod input_types;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};

pub use input_mapping::InputMapping;
use keywatch_store::Event;
use keywatch_store::event::TextColumn;
use serde_json::{Map, Value, json};

use crate::feeds::fields::{Fields, type_name};
use crate::feeds::json::written_bytes;
use crate::feeds::read;
use crate::reject::capped;
use crate::{Context, Feed, Problem, Reading, limits, mask};
use input_mapping::Input;

/// The feed `opa`.
#[derive(Clone, Debug)]
pub struct Opa {
    /// Where the input keeps its fields.
    pub mapping: InputMapping,
}

impl Opa {
    /// With the standard mapping.
    pub const STANDARD: Opa = Opa { mapping: InputMapping::STANDARD };
}

impl Feed for Opa {
    fn name(&self) -> &'static str {
        "opa"
    }

    fn makes(&self) -> BTreeSet<&'static str> {
        BTreeSet::from(["decision"])
    }

    fn read(&self, context: &Context<'_>, body: &[u8]) -> Reading {
        read::read_each_after(body, prefix_bytes, |record| {
            if is_console_line(record) { Ok(Vec::new()) } else { Ok(vec![self.read_record(context, record)?]) }
        })
    }
}

impl Opa {
    fn read_record(&self, context: &Context<'_>, record: &Value) -> Result<Event, Problem> {
        let fields = Fields::of(record)?;
        let labels = fields.value("labels").ok_or_else(|| fields.missing("labels"))?;
        let replica = Fields::at(labels, "labels")?.need_text("id")?;
        let decision = fields.need_text("decision_id")?;
        let time = fields.need_time("timestamp")?;
        let hidden = hidden(&fields)?;
        let nothing = Value::Null;
        let input = Input::new(fields.value("input").unwrap_or(&nothing), &hidden);

        let mut event = Event::builder(context.origin, &format!("{replica}/{decision}"), "decision", time);
        event.decision(decision);
        let (outcome, reason) = outcome(context, &fields)?;
        event.outcome(outcome);
        event.reason(reason);
        self.mapping.fill(&mut event, &input);
        let declared = event.get(TextColumn::Wallet).and_then(|wallet| context.wallet(wallet));
        event.chain(declared.map(|wallet| wallet.chain.as_str()));
        event.detail_with(&self.detail(&fields, &input, &hidden)?, "input", &input.shown());
        Ok(event.build()?)
    }

    /// The detail without the input.
    fn detail(&self, fields: &Fields<'_>, input: &Input<'_>, hidden: &[String]) -> Result<Map<String, Value>, Problem> {
        let mut detail = Map::new();
        input_types::add(&mut detail, &self.mapping, input);
        if let Some(path) = fields.text("path")? {
            detail.insert("path".to_owned(), Value::from(path.trim_matches('/')));
        }
        for name in ["batch_decision_id", "query", "requested_by", "trace_id"] {
            if let Some(text) = fields.text(name)? {
                detail.insert(name.to_owned(), Value::from(text));
            }
        }
        for name in ["labels", "req_id"] {
            if let Some(value) = fields.value(name) {
                detail.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(bundles) = fields.value("bundles") {
            let revisions = revisions(&Fields::at(bundles, "bundles")?);
            if let Some(policies) = policy_revision(&revisions) {
                detail.insert("policy_revision".to_owned(), Value::from(policies));
            }
            detail.insert("bundles".to_owned(), json!(revisions));
        }
        if !hidden.is_empty() {
            detail.insert("erased".to_owned(), json!(hidden));
        }
        add_result(&mut detail, fields);
        Ok(detail)
    }
}

/// Pointers that the replica erased or masked, with one leading slash, sorted.
fn hidden(fields: &Fields<'_>) -> Result<Vec<String>, Problem> {
    let mut pointers = Vec::new();
    for name in ["erased", "masked"] {
        let Some(listed) = fields.value(name) else { continue };
        let listed = listed.as_array().ok_or_else(|| fields.problem(name, "must be an array of JSON pointers"))?;
        for pointer in listed {
            let pointer = pointer.as_str().ok_or_else(|| fields.problem(name, "must hold JSON pointers as text"))?;
            pointers.push(format!("/{}", pointer.trim_start_matches('/')));
        }
    }
    pointers.sort();
    pointers.dedup();
    Ok(pointers)
}

/// What stands before the object of a line that a container runtime wrote: a time, a stream, a name.
fn prefix_bytes(line: &[u8]) -> usize {
    match line.first() {
        None | Some(b'{' | b'[') => 0,
        Some(_) => line.iter().position(|byte| *byte == b'{').unwrap_or_default(),
    }
}

/// A line of the replica's own log that is no decision: it has a level and a message, and neither the identity of a
/// decision nor the type under which decisions are logged.
fn is_console_line(record: &Value) -> bool {
    let has = |name: &str| record.get(name).is_some();
    let logged = record.get("type").and_then(Value::as_str) == Some("openpolicyagent.org/decision_logs");
    has("level") && has("msg") && !logged && !has("decision_id")
}

fn outcome(context: &Context<'_>, fields: &Fields<'_>) -> Result<(&'static str, Option<String>), Problem> {
    if let Some(error) = fields.value("error") {
        return Ok(("error", Some(error_text(error))));
    }
    if !fields.has("result") {
        return Ok(("undefined", None));
    }
    let nothing = BTreeMap::new();
    let declared = context.source().map_or(&nothing, |source| &source.verdicts);
    Ok(verdict::of(fields.value("result"), fields.text("path")?, declared))
}

/// The message of an error, which is text or an object with `message`.
fn error_text(error: &Value) -> String {
    let message = match error {
        Value::String(text) => text.clone(),
        other => other.get("message").and_then(Value::as_str).map_or_else(|| other.to_string(), str::to_owned),
    };
    // Cut before it is masked: masking long text costs more than its length.
    capped(&mask::text(&capped(&message, limits::REASON_BYTES_MAX)), limits::REASON_BYTES_MAX)
}

fn revisions(bundles: &Fields<'_>) -> BTreeMap<String, Value> {
    let revision = |name: &String| bundles.value(name).and_then(|bundle| bundle.get("revision")).cloned();
    bundles.names().map(|name| (name.clone(), revision(name).unwrap_or(Value::Null))).collect()
}

/// The revisions of the policies as one text, which differs where two replicas have different ones. The bundle of keywatch's
/// own revocations is left out: it changes with every revocation and says nothing of the policy.
fn policy_revision(revisions: &BTreeMap<String, Value>) -> Option<String> {
    let policies = revisions.iter().filter(|(name, _)| name.as_str() != "revocations");
    let told = policies.filter_map(|(name, revision)| Some(format!("{name} {}", revision.as_str()?)));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// The result's type, and the result itself unless it is large.
fn add_result(detail: &mut Map<String, Value>, fields: &Fields<'_>) {
    let kind = fields.value("result").map_or(if fields.has("result") { "null" } else { "absent" }, type_name);
    detail.insert("result_type".to_owned(), Value::from(kind));
    let Some(mut result) = fields.value("result").cloned() else { return };
    mask::values(&mut result);
    if written_bytes(&result) <= limits::RESULT_BYTES_MAX {
        detail.insert("result".to_owned(), result);
    }
}

#[cfg(test)]
mod tests;
