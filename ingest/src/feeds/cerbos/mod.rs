//! Cerbos audit: decisions, one for each resource and action that was checked.

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
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(unfold),
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
        (Ip, "peer.forwardedFor | peer.address"),
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
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// A record for each question of a call.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let kind = path::find(record, "'log.kind' | log.kind").and_then(Value::as_str);
    let inputs = path::find(record, "checkResources.inputs | inputs").and_then(Value::as_array);
    let outputs = path::find(record, "checkResources.outputs | outputs").and_then(Value::as_array);
    let mut shared = record.clone();
    for name in ["checkResources", "planResources", "inputs", "outputs"] {
        if let Some(members) = shared.as_object_mut() {
            members.remove(name);
        }
    }
    let is_access = record.get("method").is_some() && record.get("statusCode").is_some();
    shared["log_kind"] = json!(kind.unwrap_or(if is_access { "access" } else { "decision" }));
    shared["failure"] = path::find(record, "checkResources.error | planResources.error").cloned().unwrap_or_default();
    let (Some(inputs), false) = (inputs, is_access) else {
        shared["question"] = json!("call");
        shared["effect"] = if shared["failure"].is_null() { Value::Null } else { json!("ERROR") };
        return Ok(vec![shared]);
    };
    let questions: Vec<(usize, &Value, &str)> = inputs
        .iter()
        .enumerate()
        .flat_map(|(index, input)| {
            let actions = input.get("actions").and_then(Value::as_array).into_iter().flatten();
            actions.filter_map(move |action| Some((index, input, action.as_str()?)))
        })
        .collect();
    let heaviest = inputs.iter().map(|input| input.to_string().len()).max().unwrap_or_default();
    parts::within_limits("checkResources.inputs", questions.len(), &json!([shared, "x".repeat(heaviest)]))?;
    let asked = questions.into_iter().map(|(index, input, action)| {
        let output = outputs.and_then(|outputs| outputs.get(index));
        let answer = output.and_then(|output| output.get("actions")?.get(action));
        let mut record = shared.clone();
        record["question"] = json!(format!("{index}:{action}"));
        record["action"] = json!(action);
        record["input"] = input.clone();
        record["effect"] = answer.and_then(|answer| answer.get("effect")).cloned().unwrap_or_default();
        record["policy"] = answer.and_then(|answer| answer.get("policy")).cloned().unwrap_or_default();
        record
    });
    Ok(asked.collect())
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
