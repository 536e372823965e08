//! A question with a known answer, asked of an Open Policy Agent as anybody asks it. What it answers is told each time, beside
//! how long it took: a decision point that answers otherwise decides by something else than the policy that is known.

use std::fs;
use std::time;

use anyhow::{Context, ensure};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::service::{Class, Service, Trouble};
use crate::limits::{PULL_CANARIES_MAX, PULL_CANARY_ANSWER_BYTES_MAX, PULL_CANARY_SECONDS_MAX};
use crate::service::config::pull;

/// A canary.
#[derive(Debug)]
pub(super) struct Canary {
    name: String,
    path: String,
    input: Value,
    answer: Value,
}

/// What it came to.
pub(super) struct Answered {
    /// The record of it.
    pub(super) event: Event,
    /// `as_expected`, `different` or `unanswered`.
    pub(super) outcome: &'static str,
}

/// The canaries of an entry of the configuration, with their inputs.
///
/// # Errors
/// A file cannot be read or holds no JSON.
pub(super) fn canaries(configured: &[pull::Canary]) -> anyhow::Result<Vec<Canary>> {
    let canary = |one: &pull::Canary| {
        let file = one.input_file.display();
        let text = fs::read_to_string(&one.input_file).with_context(|| format!("cannot read {file}"))?;
        let input = serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))?;
        let (name, path, answer) = (one.name.clone(), one.path.clone(), one.answer.clone());
        Ok(Canary { name, path, input, answer })
    };
    configured.iter().map(canary).collect()
}

/// Checks what the configuration says of canaries.
///
/// # Errors
/// Each names the field and what to write instead.
pub(super) fn check(configured: &[pull::Canary]) -> anyhow::Result<()> {
    ensure!(configured.len() <= PULL_CANARIES_MAX, "canaries: {PULL_CANARIES_MAX} at most");
    for (index, one) in configured.iter().enumerate() {
        ensure!(
            !one.name.is_empty(),
            "canaries[{index}].name: name it, so that people know which one answers otherwise"
        );
        let is_twice = configured[..index].iter().any(|other| other.name == one.name);
        ensure!(!is_twice, "canaries[{index}].name: `{}` is the name of another", one.name);
        // It becomes part of an address.
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        };
        ensure!(
            one.path.split('/').all(is_word),
            "canaries[{index}].path: write the path of a decision, as `wallet/signing/allow`"
        );
    }
    Ok(())
}

impl Canary {
    /// Asks it. That nothing is answered is an answer too.
    pub(super) async fn ask(&self, service: &Service, origin: &Origin, now: Instant) -> Answered {
        let begun = time::Instant::now();
        // One replica that keeps every question waiting shall not hold up the next looks.
        let patience = time::Duration::from_secs(PULL_CANARY_SECONDS_MAX);
        let late = || Trouble::new(Class::Unreachable, format!("no answer within {PULL_CANARY_SECONDS_MAX} seconds"));
        let asked = timeout(patience, self.answer(service)).await.unwrap_or_else(|_| Err(late()));
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let id = format!("canary/{}/{}", self.name, now.nanoseconds());
        let mut event = Event::builder(origin, &id, "pdp.canary", now);
        let mut detail = Map::new();
        for (name, value) in [("canary", &self.name), ("path", &self.path)] {
            detail.insert(name.to_owned(), Value::from(value.as_str()));
        }
        detail.insert("expected".to_owned(), self.answer.clone());
        detail.insert("latency_ms".to_owned(), Value::from(milliseconds));
        let outcome = match asked {
            Ok(said) => {
                let result = said.get("result").cloned().unwrap_or_default();
                event.decision(said["decision_id"].as_str());
                detail.extend(policy_revision(&said).map(|said| ("policy_revision".to_owned(), Value::from(said))));
                let outcome = self.outcome(&said);
                if outcome == "unanswered" {
                    event.reason("it holds nothing that decides there");
                } else if result.to_string().len() <= PULL_CANARY_ANSWER_BYTES_MAX {
                    detail.insert("answered".to_owned(), result);
                }
                outcome
            }
            Err(trouble) => {
                event.reason(trouble.to_string());
                "unanswered"
            }
        };
        event.outcome(outcome).detail(&Value::Object(detail));
        Answered { event: event.build_own(), outcome }
    }

    /// What an answer comes to. One without a result is undefined, as it is before the policies are loaded.
    fn outcome(&self, said: &Value) -> &'static str {
        match said.get("result").unwrap_or(&Value::Null) {
            result if *result == self.answer => "as_expected",
            _ if said.get("result").is_none() => "unanswered",
            _ => "different",
        }
    }

    async fn answer(&self, service: &Service) -> Result<Value, Trouble> {
        let url = service.at(&format!("/v1/data/{}?provenance=true", self.path))?;
        let answer = service.post(url, &json!({ "input": self.input })).await?;
        let said: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| Trouble::new(Class::Malformed, format!("it answers with no JSON: {error}")))?;
        if said.is_object() { Ok(said) } else { Err(Trouble::new(Class::Malformed, "it answers with no object")) }
    }
}

/// The revisions of the bundles that decided, but that of the revocations, as decisions have them.
fn policy_revision(said: &Value) -> Option<String> {
    let bundles = said["provenance"]["bundles"].as_object()?;
    let policies = bundles.iter().filter(|(name, _)| name.as_str() != "revocations");
    let told = policies.filter_map(|(name, bundle)| Some(format!("{name} {}", bundle["revision"].as_str()?)));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(name: &str, path: &str) -> pull::Canary {
        let (name, path) = (name.to_owned(), path.to_owned());
        pull::Canary { name, path, input_file: "none.json".into(), answer: json!(true) }
    }

    #[test]
    fn a_canary_needs_a_name_of_its_own_and_a_path_that_leads_nowhere_else() {
        assert!(check(&[configured("healthy", "wallet/signing/allow"), configured("thief", "a-b/c_d")]).is_ok());
        for path in ["", "/wallet", "wallet/../policies", "a?b", "a/b#c", "a%2fb", "a b"] {
            assert!(check(&[configured("one", path)]).is_err(), "{path}");
        }
        assert!(check(&[configured("", "a")]).is_err());
        assert!(check(&[configured("one", "a"), configured("one", "b")]).is_err());
        let many: Vec<pull::Canary> =
            (0..=PULL_CANARIES_MAX).map(|index| configured(&index.to_string(), "a")).collect();
        assert!(check(&many).is_err() && check(&many[1..]).is_ok());
        assert!(canaries(&many).unwrap_err().to_string().contains("none.json"));
    }

    #[test]
    fn what_no_policy_decides_is_no_answer() {
        let canary = |answer: Value| Canary { name: "one".into(), path: "a".into(), input: Value::Null, answer };
        for answer in [json!(true), json!(false), json!({"allow": false})] {
            assert_eq!(canary(answer.clone()).outcome(&json!({"decision_id": "d-1"})), "unanswered", "{answer}");
            assert_eq!(canary(answer.clone()).outcome(&json!({"result": null})), "different", "{answer}");
            assert_eq!(canary(answer.clone()).outcome(&json!({ "result": answer })), "as_expected");
        }
        assert_eq!(canary(json!(false)).outcome(&json!({"result": true})), "different");
        assert_eq!(canary(Value::Null).outcome(&json!({})), "as_expected", "undefined is what was asked for");
    }

    #[test]
    fn the_revision_is_that_of_decisions() {
        let said =
            json!({"provenance": {"bundles": {"policy": {"revision": "r7"}, "revocations": {"revision": "41-a"}}}});
        assert_eq!(policy_revision(&said).as_deref(), Some("policy r7"));
        assert_eq!(policy_revision(&json!({"provenance": {"version": "1.22.0"}})), None);
    }
}
