//! Decisions in the shape of `AuthZEN`: any decision point that has no feed of its own, or a gateway that logs what it
//! asked and was answered.

use serde_json::{Value, json};

use super::table::Column::{Actor, AmountUsd, Decision, Device, Ip, Reason, Request, Session, ToAddress, Wallet};
use super::table::{About, Fact, Table, Words, on, parts, path};
use crate::Problem;

/// The feed `authzen`.
pub static AUTHZEN: Table = Table {
    name: "authzen",
    about: About {
        title: "AuthZEN decisions",
        what: "What a policy decision point was asked and answered, in the neutral shape of the AuthZEN API: for decision \
               points without a feed of their own. The standard has no decision log; a line is the request, the response and \
               when and under which id it was answered.",
        format: "OpenID AuthZEN Authorization API 1.0: `request` and `response` of `/access/v1/evaluation` or `/evaluations`",
        delivery: "Posted by the decision point or its gateway; an `id` for each call (`X-Request-ID`) makes repeats harmless.",
        traps: &[
            "A denial is a success of the protocol: `response.decision` false. An `error` is a decision that was not made.",
            "`decision` counts only as true or false; the text `\"true\"` is no verdict.",
            "A batch is several decisions, each with what stands beside the list as its default.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(unfold),
    select: "id",
    cases: &[
        on(&["*"], "decision").and(&[("error", &[""])]).outcome(Fact::By(Words {
            from: "verdict",
            words: &[("allow", "allow"), ("deny", "deny"), ("", "undefined")],
            otherwise: Some("unknown"),
        })),
        on(&["*"], "decision").outcome(Fact::Is("error")).columns(&[(Reason, "error")]),
    ],
    id: &["id", "part_number"],
    time: "time",
    columns: &[
        (Decision, "id"),
        (Actor, "evaluation.request.subject.id | request.subject.id"),
        (Session, "evaluation.request.context.session_id | request.context.session_id"),
        (Device, "evaluation.request.context.device_id | request.context.device_id"),
        (Ip, "evaluation.request.context.ip | request.context.ip"),
        (Wallet, "evaluation.request.resource.properties.wallet | request.resource.properties.wallet"),
        (Request, "evaluation.request.resource.properties.request_id | request.resource.properties.request_id"),
        (ToAddress, "evaluation.request.resource.properties.destination | request.resource.properties.destination"),
        (AmountUsd, "evaluation.request.resource.properties.amount_usd | request.resource.properties.amount_usd"),
        (Reason, "evaluation.response.context.reason_admin.en | response.context.reason_admin.en"),
    ],
    facts: &[
        ("action", Fact::At("evaluation.request.action.name | request.action.name")),
        ("target", Fact::At("evaluation.request.resource.id | request.resource.id")),
        ("resource_kind", Fact::At("evaluation.request.resource.type | request.resource.type")),
        ("input", Fact::At("evaluation.request | request")),
        ("batch_decision_id", Fact::At("batch_id")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// A record for each evaluation, with the word of its verdict.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let mut evaluations = parts::of_list(record, "evaluations", "evaluation")?;
    for evaluation in &mut evaluations {
        if evaluation.get("part_number").is_none() {
            evaluation["part_number"] = json!(0);
        }
        let verdict = match path::find(evaluation, "evaluation.response.decision | response.decision") {
            Some(Value::Bool(true)) => json!("allow"),
            Some(Value::Bool(false)) => json!("deny"),
            Some(_) => json!("unknown"),
            None => Value::Null,
        };
        evaluation["verdict"] = verdict;
    }
    Ok(evaluations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sample::{changed, events, rejected};

    #[test]
    fn a_denial_is_an_answer_and_an_error_is_none() {
        let event = changed(&AUTHZEN, &[]);
        assert_eq!(
            (event.kind(), event.outcome(), event.actor()),
            ("decision", Some("deny"), Some("dana@exchange.example"))
        );
        assert_eq!(
            (event.request(), event.wallet(), event.session()),
            (Some("0xabcd"), Some("0x1db9"), Some("idxRoot1"))
        );
        assert_eq!((event.amount_usd_cents(), event.reason()), (Some(1_000_000), Some("two approvals are needed")));
        for (decision, outcome) in
            [(json!(true), "allow"), (json!(null), "undefined"), (json!(1), "unknown"), (json!("yes"), "unknown")]
        {
            assert_eq!(changed(&AUTHZEN, &[("response.decision", decision)]).outcome(), Some(outcome));
        }
        let error = changed(&AUTHZEN, &[("error", json!("500 internal"))]);
        assert_eq!((error.outcome(), error.reason()), (Some("error"), Some("500 internal")));
    }

    #[test]
    fn a_verdict_written_as_text_is_none() {
        assert_eq!(changed(&AUTHZEN, &[("response.decision", json!("true"))]).outcome(), Some("unknown"));
    }

    #[test]
    fn a_batch_is_several_decisions() {
        let question = |wallet: &str| json!({"subject": {"type": "user", "id": "dana"}, "resource": {"type": "wallet", "id": "w", "properties": {"wallet": wallet}}});
        let batch = json!({"id": "b-1", "batch_id": "b-1", "time": "2025-02-21T05:42:40Z", "evaluations": [
            {"request": question("a"), "response": {"decision": true}}, {"request": question("b"), "response": {"decision": false}},
        ]});
        let told = events(&AUTHZEN, &batch);
        let read: Vec<_> = told.iter().map(|event| (event.wallet().unwrap(), event.outcome().unwrap())).collect();
        assert_eq!(read, [("a", "allow"), ("b", "deny")]);
        assert_ne!(told[0].event_id(), told[1].event_id());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(rejected(&AUTHZEN, &[("id", json!(null))]), "id");
        assert_eq!(rejected(&AUTHZEN, &[("time", json!(null))]), "time");
    }
}
