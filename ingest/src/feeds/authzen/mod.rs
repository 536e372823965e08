//! Decisions in the shape of `AuthZEN`: any decision point that has no feed of its own, or a gateway that logs what it
//! asked and was answered.
//!
//! It evaluates nothing, and does not miss a question that nobody logged.

use serde_json::{Value, json};

use super::fields::with_article;
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
            "A denial is a success of the protocol: `response.decision` false. An `error`, text or object, is a decision that \
             was not made.",
            "`decision` counts only as true or false; the text `\"true\"` is no verdict.",
            "A batch is several decisions: `request.evaluations` with `response.evaluations` in the same order, or \
             `evaluations` with a `request` and `response` each. A question has its own subject, action, resource and context, \
             each as a whole, and else that of the `request` beside the list.",
            "The verdict of a batch is each answer's own. Where the decision point stopped early, what was not answered is \
             `undefined`.",
            "An empty list of evaluations is none: the request is then a single evaluation.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| unfold(&record)),
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
        (Actor, "request.subject.id"),
        (Session, "request.context.session_id"),
        (Device, "request.context.device_id"),
        (Ip, "request.context.ip"),
        (Wallet, "request.resource.properties.wallet"),
        (Request, "request.resource.properties.request_id"),
        (ToAddress, "request.resource.properties.destination"),
        (AmountUsd, "request.resource.properties.amount_usd"),
        (Reason, "response.context.reason_admin.en"),
    ],
    facts: &[
        ("action", Fact::At("request.action.name")),
        ("target", Fact::At("request.resource.id")),
        ("resource_kind", Fact::At("request.resource.type")),
        ("input", Fact::At("request")),
        ("batch_decision_id", Fact::At("batch_id")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// A question with its answer, and what went wrong.
struct Evaluation<'a> {
    question: &'a Value,
    answer: Option<&'a Value>,
    error: Option<&'a Value>,
}

/// A record for each evaluation, with the word of its verdict.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let batch = batch(record)?;
    if batch.is_empty() {
        return Ok(vec![told(record.clone(), 0)]);
    }
    let shared = shared(record);
    parts::within_limits("evaluations", batch.len(), &shared)?;
    let each = batch.iter().enumerate().map(|(number, evaluation)| {
        let mut record = shared.clone();
        record["request"] = asked(evaluation.question, &shared["request"]);
        record["response"] = evaluation.answer.cloned().unwrap_or_default();
        if let Some(error) = evaluation.error {
            record["error"] = error.clone();
        }
        told(record, number)
    });
    Ok(each.collect())
}

/// The evaluations of a batch; none where the record is a single one.
fn batch(record: &Value) -> Result<Vec<Evaluation<'_>>, Problem> {
    let pairs = list(record, "evaluations")?;
    if !pairs.is_empty() {
        let pairs = pairs.iter().map(|pair| Evaluation {
            question: &pair["request"],
            answer: path::find(pair, "response"),
            error: path::find(pair, "error"),
        });
        return Ok(pairs.collect());
    }
    let (questions, answers) = (list(record, "request.evaluations")?, list(record, "response.evaluations")?);
    if answers.len() > questions.len() {
        let reason = format!("{} answers to {} questions", answers.len(), questions.len());
        return Err(Problem::new("response.evaluations", reason));
    }
    let pairs = questions.iter().enumerate().map(|(number, question)| Evaluation {
        question,
        answer: answers.get(number),
        error: None,
    });
    Ok(pairs.collect())
}

/// The items of a list; none where it is absent.
fn list<'a>(record: &'a Value, at: &str) -> Result<&'a [Value], Problem> {
    let Some(found) = path::find(record, at) else { return Ok(&[]) };
    let wrong = || Problem::new(at, format!("must be an array, is {}", with_article(found)));
    found.as_array().map(Vec::as_slice).ok_or_else(wrong)
}

/// What the evaluations of a batch have in common.
fn shared(record: &Value) -> Value {
    let mut shared = record.clone();
    if let Some(members) = shared.as_object_mut() {
        members.remove("evaluations");
        members.remove("response");
    }
    if let Some(request) = shared.get_mut("request").and_then(Value::as_object_mut) {
        request.remove("evaluations");
    }
    shared
}

/// A question with what it has not of its own.
fn asked(question: &Value, defaults: &Value) -> Value {
    let mut request = if question.is_object() { question.clone() } else { json!({}) };
    for name in ["subject", "action", "resource", "context"] {
        if path::find(&request, name).is_none()
            && let Some(default) = defaults.get(name)
        {
            request[name] = default.clone();
        }
    }
    request
}

/// An evaluation with its place, its error as text and the word of its verdict.
fn told(mut evaluation: Value, number: usize) -> Value {
    evaluation["part_number"] = json!(number);
    let error = path::find(&evaluation, "error").filter(|error| error.is_object() || error.is_array());
    if let Some(text) = error.map(Value::to_string) {
        evaluation["error"] = json!(text);
    }
    let verdict = match path::find(&evaluation, "response.decision") {
        Some(Value::Bool(true)) => json!("allow"),
        Some(Value::Bool(false)) => json!("deny"),
        Some(_) => json!("unknown"),
        None => Value::Null,
    };
    evaluation["verdict"] = verdict;
    evaluation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sample::{changed, events, example_with, rejected};

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
        let error = changed(&AUTHZEN, &[("error", json!({"message": "no policy"}))]);
        assert_eq!((error.outcome(), error.reason()), (Some("error"), Some("{\"message\":\"no policy\"}")));
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

    fn verdicts(record: &Value) -> Vec<(Option<String>, Option<String>, String)> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let read = |event: &keywatch_store::Event| {
            (owned(event.actor()), owned(event.wallet()), event.outcome().unwrap().to_owned())
        };
        events(&AUTHZEN, record).iter().map(read).collect()
    }

    #[test]
    fn questions_and_answers_of_a_batch_are_paired_in_their_order() {
        let batch = example_with(
            &AUTHZEN,
            &[
                (
                    "request.evaluations",
                    json!([
                        {"resource": {"type": "wallet", "id": "a", "properties": {"wallet": "a"}}},
                        {"subject": {"type": "user"}, "resource": {"type": "wallet", "id": "b"}},
                        {"action": {"name": "view"}},
                    ]),
                ),
                ("response", json!({"decision": true, "evaluations": [{"decision": true}, {"decision": false}]})),
            ],
        );
        let (dana, text) = (Some("dana@exchange.example".to_owned()), |text: &str| Some(text.to_owned()));
        // A subject without an id has none, and a resource without a wallet has none: they are not mixed with the default.
        let expected = [
            (dana.clone(), text("a"), "allow".to_owned()),
            (None, None, "deny".to_owned()),
            (dana, text("0x1db9"), "undefined".to_owned()),
        ];
        assert_eq!(verdicts(&batch), expected);
        let told = events(&AUTHZEN, &batch);
        assert_eq!(told[2].detail().value()["action"], "view");
        assert_ne!(told[0].event_id(), told[1].event_id());
    }

    #[test]
    fn a_verdict_beside_the_list_is_nobodys() {
        let batch = json!({"id": "b-2", "time": "2025-02-21T05:42:40Z", "request": {"subject": {"id": "dana"}},
            "response": {"decision": true}, "evaluations": [{"request": {}}, {"request": {"subject": {"id": "eve"}}, "error": {"status": 500}}]});
        let expected = [
            (Some("dana".to_owned()), None, "undefined".to_owned()),
            (Some("eve".to_owned()), None, "error".to_owned()),
        ];
        assert_eq!(verdicts(&batch), expected);
    }

    #[test]
    fn an_empty_list_is_a_single_evaluation() {
        for list in ["evaluations", "request.evaluations"] {
            let event = changed(&AUTHZEN, &[(list, json!([]))]);
            assert_eq!((event.outcome(), event.wallet()), (Some("deny"), Some("0x1db9")), "{list}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(rejected(&AUTHZEN, &[("id", json!(null))]), "id");
        assert_eq!(rejected(&AUTHZEN, &[("time", json!(null))]), "time");
        assert_eq!(rejected(&AUTHZEN, &[("request.evaluations", json!({}))]), "request.evaluations");
        assert_eq!(
            rejected(&AUTHZEN, &[("response.evaluations", json!([{"decision": true}]))]),
            "response.evaluations"
        );
    }
}
