//! The embedded policy decision point: the policies of this tree, evaluated by regorus within the process.
//!
//! It keeps nothing on disk: after a restart it denies everything until a document is published again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keywatch_store::Instant;
use regorus::Engine;
use serde_json::{Value, json};

use super::{Call, DECISION_PATH, Decision, HeldDocument, PolicyDecisionPoint};
use crate::Error;
use crate::lifecycle::action::derive_id;
use crate::response::revocation::RevocationDocument;

/// The policies, by file name.
const POLICIES: [(&str, &str); 2] = [
    ("revocations.rego", include_str!("../../../policies/revocations.rego")),
    ("wallet_signing.rego", include_str!("../../../policies/wallet_signing.rego")),
];

/// The policies of this tree behind a lock.
pub struct EmbeddedPdp {
    state: Mutex<State>,
    label: String,
}

struct State {
    engine: Engine,
    /// Data besides the revocations.
    data: Value,
    sequence: Option<u64>,
    revision: String,
    held: HeldDocument,
    meta: Value,
    answers: u64,
}

impl EmbeddedPdp {
    /// Loads the policies. `label` names this replica and is part of its decision ids: two runs that must not share ids
    /// pass two labels. `signers` are the services that may sign; an empty list leaves the policy's own.
    ///
    /// # Errors
    /// [`Error::Rego`] when a policy does not load.
    pub fn new(label: &str, signers: &[String]) -> Result<EmbeddedPdp, Error> {
        let mut engine = Engine::new();
        for (file, text) in POLICIES {
            engine
                .add_policy(file.to_owned(), text.to_owned())
                .map_err(|error| Error::Rego { file: file.to_owned(), problem: format!("{error:#}") })?;
        }
        let data = if signers.is_empty() { json!({}) } else { json!({ "custody": { "signers": signers } }) };
        let mut state = State {
            engine,
            data,
            sequence: None,
            revision: String::new(),
            held: HeldDocument::default(),
            meta: Value::Null,
            answers: 0,
        };
        state.replace(None)?;
        Ok(EmbeddedPdp { state: Mutex::new(state), label: label.to_owned() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `input` is allowed now, without a future around the answer.
    ///
    /// # Errors
    /// [`Error::PdpRefused`] when the input cannot be evaluated.
    pub fn decide(&self, input: &Value) -> Result<Decision, Error> {
        let mut state = self.state();
        let parsed = regorus::Value::from_json_str(&input.to_string()).map_err(|error| refused(&error))?;
        state.engine.set_input(parsed);
        let rule = format!("data.{}", DECISION_PATH.replace('/', "."));
        let answer = state.engine.eval_rule(rule).map_err(|error| refused(&error))?;
        state.answers += 1;
        let id = derive_id(&["decision", &self.label, &state.answers.to_string()]);
        Ok(Decision {
            allow: answer == regorus::Value::from(true),
            decision_id: Some(as_uuid(&id)),
            sequence: state.sequence,
        })
    }

    /// The decision as one record of OPA's decision log (`EventV1`, OPA management API, decision logs).
    #[must_use]
    pub fn decision_record(&self, input: &Value, decision: &Decision, at: Instant) -> Value {
        json!({
            "labels": { "id": self.label, "version": "embedded" },
            "decision_id": decision.decision_id,
            "bundles": { "revocations": { "revision": self.state().revision } },
            "path": DECISION_PATH,
            "input": input,
            "result": decision.allow,
            "timestamp": at,
        })
    }
}

impl State {
    fn replace(&mut self, document: Option<&RevocationDocument>) -> Result<(), Error> {
        let mut data = self.data.clone();
        if let Some(document) = document {
            data["revocations"] = document.to_value();
        }
        let data = regorus::Value::from_json_str(&data.to_string()).map_err(|error| refused(&error))?;
        self.engine.clear_data();
        self.engine.add_data(data).map_err(|error| refused(&error))?;
        self.sequence = document.map(|document| document.sequence);
        self.held = document.map(|document| HeldDocument::of(&document.to_value())).unwrap_or_default();
        self.meta = document.map(RevocationDocument::meta_value).unwrap_or_default();
        self.revision = document.map(RevocationDocument::revision).unwrap_or_default();
        Ok(())
    }
}

impl PolicyDecisionPoint for EmbeddedPdp {
    fn publish<'a>(&'a self, document: &'a RevocationDocument) -> Call<'a, ()> {
        Box::pin(async move { self.state().replace(Some(document)) })
    }

    fn ask<'a>(&'a self, input: &'a Value) -> Call<'a, Decision> {
        Box::pin(async move { self.decide(input) })
    }

    fn meta(&self) -> Call<'_, Option<Value>> {
        Box::pin(async move { Ok(Some(self.state().meta.clone())) })
    }

    fn held(&self) -> Call<'_, Option<HeldDocument>> {
        Box::pin(async move { Ok(Some(self.state().held.clone())) })
    }
}

fn refused(error: &dyn std::fmt::Display) -> Error {
    Error::PdpRefused { endpoint: "embedded".to_owned(), problem: format!("{error:#}") }
}

/// 32 hexadecimal digits in the form in which OPA writes its decision ids.
fn as_uuid(id: &str) -> String {
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}
