//! Cerbos audit: decisions, one for each resource and action that was checked.
//!
//! It evaluates no policy, and does not miss what the decision point was told to leave out of its log.

use serde_json::{Value, json};

use super::table::Column::{Actor, AmountUsd, Decision, Device, Ip, Reason, Request, Session, ToAddress, Wallet};
use super::table::{About, Fact, Table, Words, on, parts, pass, path};
use crate::Problem;

/// The feed `cerbos`.
pub static CERBOS: Table = Table {
    name: "cerbos",
    about: About {
        title: "Cerbos audit log",
        what: "Decisions of the policy decision point, one for each action on each resource that a call asked about.",
        format: "Cerbos, `DecisionLogEntry` of `audit.proto`, JSON encoding; file backend with `log.kind`",
        delivery: "Its own Kafka backend, or lines of the file backend; at least once. Access log entries are passed over. \
                   Allows are missing where `decisionLogFilters.checkResources.ignoreAllowAll` hides them: a change of that \
                   setting has to be told by the configuration's own feed.",
        traps: &[
            "One call asks about many actions: the identity is the call and the place of the question in it.",
            "`checkResources` holds inputs and outputs; old versions have both at the top.",
            "An entry that is `oversized` has lost its inputs: it becomes one decision without verdict.",
            "The revision of the policy is the hash of its source, in `detail.policy_revision`.",
            "The answer to `planResources` is a condition and no verdict.",
            "A call that failed has inputs too: each of its questions is an `error`.",
            "An output answers the input at its place. Where it names another resource, there is no verdict.",
            "`peer.forwardedFor` is whatever the caller wrote: the address is that of the connection, the other stands in \
             `detail.forwarded_for`.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| unfold(&record)),
    select: "log_kind",
    cases: &[
        pass(&["access"]),
        on(&["decision"], "decision").outcome(Fact::By(Words {
            from: "effect",
            words: &[
                ("EFFECT_ALLOW", "allow"),
                ("EFFECT_DENY", "deny"),
                ("EFFECT_NO_MATCH", "undefined"),
                ("ERROR", "error"),
            ],
            otherwise: Some("unknown"),
        })),
    ],
    id: &["callId", "question"],
    time: "timestamp",
    columns: &[
        (Decision, "callId"),
        (Actor, "input.principal.id"),
        (Session, "input.principal.attr.session_id | input.auxData.jwt.sid"),
        (Device, "input.principal.attr.device_id"),
        (Ip, "peer.address"),
        (Request, "input.resource.attr.request_id"),
        (Wallet, "input.resource.attr.wallet"),
        (ToAddress, "input.resource.attr.destination"),
        (AmountUsd, "input.resource.attr.amount_usd"),
        (Reason, "failure"),
    ],
    facts: &[
        ("path", Fact::At("policy")),
        ("action", Fact::At("action")),
        ("target", Fact::At("input.resource.id")),
        ("resource_kind", Fact::At("input.resource.kind")),
        ("roles", Fact::At("input.principal.roles")),
        ("input", Fact::At("input")),
        ("policy_revision", Fact::At("policySource.git.hash | policySource.hub.bundleId")),
        ("oversized", Fact::At("oversized")),
        ("forwarded_for", Fact::At("peer.forwardedFor")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// A record for each question of a call.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let mut shared = shared(record);
    let questions = if shared["log_kind"] == "access" { Vec::new() } else { questions(record)? };
    if questions.is_empty() {
        shared["question"] = json!("call");
        shared["effect"] = effect(&shared, None);
        return Ok(vec![shared]);
    }
    let heaviest = inputs(record).iter().map(|input| input.to_string().len()).max().unwrap_or_default();
    parts::within_limits("checkResources.inputs", questions.len(), &json!([shared, "x".repeat(heaviest)]))?;
    let asked = questions.into_iter().map(|(index, input, action)| {
        let answer = answer(record, index, input, action);
        let mut record = shared.clone();
        record["question"] = json!(format!("{index}:{action}"));
        record["action"] = json!(action);
        record["input"] = input.clone();
        record["effect"] = effect(&shared, answer);
        record["policy"] = answer.and_then(|answer| answer.get("policy")).cloned().unwrap_or_default();
        record
    });
    Ok(asked.collect())
}

/// What all questions of a call have in common.
fn shared(record: &Value) -> Value {
    let kind = path::find(record, "'log.kind' | log.kind").and_then(Value::as_str);
    let is_access = record.get("method").is_some() && record.get("statusCode").is_some();
    let mut shared = record.clone();
    for name in ["checkResources", "planResources", "inputs", "outputs"] {
        if let Some(members) = shared.as_object_mut() {
            members.remove(name);
        }
    }
    shared["log_kind"] = json!(kind.unwrap_or(if is_access { "access" } else { "decision" }));
    shared["failure"] = path::find(record, "checkResources.error | planResources.error").cloned().unwrap_or_default();
    shared
}

fn inputs(record: &Value) -> &[Value] {
    let inputs = path::find(record, "checkResources.inputs | inputs").and_then(Value::as_array);
    inputs.map(Vec::as_slice).unwrap_or_default()
}

/// Each action that was asked about, with its input and the place of that.
fn questions(record: &Value) -> Result<Vec<(usize, &Value, &str)>, Problem> {
    let mut questions = Vec::new();
    for (index, input) in inputs(record).iter().enumerate() {
        questions.extend(actions(index, input)?.into_iter().map(|action| (index, input, action)));
    }
    Ok(questions)
}

fn actions(index: usize, input: &Value) -> Result<Vec<&str>, Problem> {
    let actions = input.get("actions").and_then(Value::as_array);
    let texts: Option<Vec<&str>> = actions.and_then(|actions| actions.iter().map(Value::as_str).collect());
    texts.ok_or_else(|| Problem::new(format!("checkResources.inputs.{index}.actions"), "must be an array of texts"))
}

/// The answer about an action, where it is of the resource that was asked about.
fn answer<'a>(record: &'a Value, index: usize, input: &Value, action: &str) -> Option<&'a Value> {
    let output = path::find(record, "checkResources.outputs | outputs")?.get(index)?;
    let resource = path::find(output, "resourceId");
    if resource.is_some() && resource != path::find(input, "resource.id") {
        return None;
    }
    output.get("actions")?.get(action)
}

/// The word for an answer; a call that failed has none.
fn effect(shared: &Value, answer: Option<&Value>) -> Value {
    if !shared["failure"].is_null() {
        return json!("ERROR");
    }
    answer.and_then(|answer| answer.get("effect")).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sample::{changed, events, example_with, read, rejected};

    #[test]
    fn a_call_is_a_decision_for_each_action() {
        let event = changed(&CERBOS, &[]);
        assert_eq!((event.kind(), event.outcome(), event.decision()), ("decision", Some("allow"), Some("01JMK7")));
        assert_eq!((event.actor(), event.session()), (Some("dana@exchange.example"), Some("idxRoot1")));
        assert_eq!((event.request(), event.wallet(), event.ip()), (Some("0xabcd"), Some("0x1db9"), Some("10.0.0.9")));
        let detail = event.detail().value();
        assert_eq!((&detail["action"], &detail["policy_revision"]), (&json!("sign"), &json!("c0ffee")));

        let more = [
            ("checkResources.inputs.0.actions", json!(["sign", "view", "drop"])),
            (
                "checkResources.outputs.0.actions",
                json!({"sign": {"effect": "EFFECT_DENY"}, "view": {"effect": "EFFECT_NO_MATCH"}}),
            ),
        ];
        let told = events(&CERBOS, &example_with(&CERBOS, &more));
        let outcomes: Vec<_> = told.iter().map(|event| event.outcome().unwrap().to_owned()).collect();
        assert_eq!(outcomes, ["deny", "undefined", "unknown"]);
        assert_ne!(told[0].event_id(), told[1].event_id());
    }

    #[test]
    fn old_entries_have_inputs_and_outputs_at_the_top() {
        let mut record = example_with(&CERBOS, &[]);
        let check = record.as_object_mut().unwrap().remove("checkResources").unwrap();
        record["inputs"] = check["inputs"].clone();
        record["outputs"] = check["outputs"].clone();
        assert_eq!(events(&CERBOS, &record)[0].outcome(), Some("allow"));
    }

    #[test]
    fn what_has_no_verdict_has_none() {
        let mut record = example_with(&CERBOS, &[("oversized", json!(true))]);
        record["checkResources"] = json!({});
        let event = &events(&CERBOS, &record)[0];
        assert_eq!((event.outcome(), &event.detail().value()["oversized"]), (Some("unknown"), &json!(true)));
        record["checkResources"] = json!({"error": "rpc error: no policy"});
        let event = &events(&CERBOS, &record)[0];
        assert_eq!((event.outcome(), event.reason()), (Some("error"), Some("rpc error: no policy")));
        let event = changed(&CERBOS, &[("checkResources.error", json!("rpc error: no policy"))]);
        assert_eq!((event.outcome(), event.wallet()), (Some("error"), Some("0x1db9")));
        let of_another = changed(&CERBOS, &[("checkResources.outputs.0.resourceId", json!("cold-2"))]);
        assert_eq!((of_another.outcome(), &of_another.detail().value()["path"]), (Some("unknown"), &Value::Null));
    }

    #[test]
    fn the_address_is_that_of_the_connection() {
        let event = changed(&CERBOS, &[("peer.forwardedFor", json!("198.51.100.1"))]);
        assert_eq!((event.ip(), &event.detail().value()["forwarded_for"]), (Some("10.0.0.9"), &json!("198.51.100.1")));
    }

    #[test]
    fn actions_that_are_no_texts_are_refused() {
        for actions in [json!("sign"), json!(["sign", 1]), json!({"sign": true}), json!(null)] {
            let field = rejected(&CERBOS, &[("checkResources.inputs.0.actions", actions.clone())]);
            assert_eq!(field, "checkResources.inputs.0.actions", "{actions}");
        }
    }

    #[test]
    fn access_entries_are_passed_over() {
        for record in [
            json!({"log.logger": "cerbos.audit", "log.kind": "access", "callId": "1", "timestamp": "2025-02-21T05:42:40Z"}),
            json!({"callId": "1", "timestamp": "2025-02-21T05:42:40Z", "method": "/cerbos.svc.v1.CerbosService/CheckResources", "statusCode": 0}),
        ] {
            assert_eq!(read(&CERBOS, record.to_string().as_bytes()).skipped, 1);
        }
        assert_eq!(rejected(&CERBOS, &[("callId", json!(null))]), "callId");
    }
}
