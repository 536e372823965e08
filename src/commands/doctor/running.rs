//! What a keywatch that runs says of itself, its sources and its receivers, through its API.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::{Client, Response, Url, redirect};
use serde_json::Value;

use super::report::Line;
use crate::commands::operator::client::Server;
use crate::limits::{DOCTOR_ANSWER_BYTES_MAX, DOCTOR_ANSWER_SECONDS_MAX};
use crate::service::source_activity::Activity;

const AREA: &str = "keywatch";

/// Whether somebody answered.
pub(super) enum Asked {
    /// keywatch did.
    Answers(Box<Answers>),
    /// Nobody did, and why.
    Nobody(String),
}

/// What it answered to each question, or why it did not.
pub(super) struct Answers {
    ready: Result<Value, String>,
    sources: Result<Value, String>,
    deliveries: Result<Value, String>,
}

/// Asks it everything.
pub(super) async fn ask(server: &Server) -> Asked {
    match answers(server).await {
        Ok(answers) => Asked::Answers(Box::new(answers)),
        Err(error) => Asked::Nobody(format!("{error:#}")),
    }
}

async fn answers(server: &Server) -> anyhow::Result<Answers> {
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(Duration::from_secs(DOCTOR_ANSWER_SECONDS_MAX))
        .build()?;
    let answer = client.get(server.beside(&["readyz"])?).send().await?;
    // One that is not ready answers too, and says why.
    let ready = body(answer).await.map_err(|error| format!("{error:#}"));
    let sources = server.address(&["sources"], &[("newest", Some("true".to_owned()))])?;
    let deliveries = server.address(&["deliveries"], &[])?;
    let (sources, deliveries) = match server.token() {
        Ok(token) => tokio::join!(get(&client, sources, &token), get(&client, deliveries, &token)),
        Err(error) => (Err(format!("{error:#}")), Err(format!("{error:#}"))),
    };
    Ok(Answers { ready, sources, deliveries })
}

async fn get(client: &Client, url: Url, token: &str) -> Result<Value, String> {
    let asked = async {
        let answer = client.get(url).bearer_auth(token).send().await?;
        let status = answer.status();
        let value = body(answer).await?;
        if !status.is_success() {
            bail!("{}", value["error"].as_str().unwrap_or("it says no, and not why"));
        }
        anyhow::Ok(value)
    };
    asked.await.map_err(|error| format!("{error:#}"))
}

async fn body(mut answer: Response) -> anyhow::Result<Value> {
    let status = answer.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        ensure!(bytes.len() + chunk.len() <= DOCTOR_ANSWER_BYTES_MAX, "more than {DOCTOR_ANSWER_BYTES_MAX} bytes");
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).with_context(|| format!("it answered {status}, and no JSON: is it keywatch?"))
}

impl Answers {
    /// What is to be said of them.
    pub(super) fn lines(&self, url: &str) -> Vec<Line> {
        let mut lines = ready(&self.ready, url);
        match &self.sources {
            Ok(_) => lines.push(Line::fine("operator", "token", "is an operator's")),
            Err(problem) => {
                let advice = "name a file with your token: --token-file, or KEYWATCH_TOKEN; [[operators]] has its hash. \
                              Without it nothing is known of sources and receivers";
                lines.push(Line::wrong("operator", "token", problem.as_str(), advice));
            }
        }
        if let Ok(answer) = &self.deliveries {
            lines.extend(answer["receivers"].as_array().into_iter().flatten().map(receiver));
        }
        lines
    }

    /// What the sources said; `None` where that could not be asked.
    pub(super) fn heard(&self) -> Option<Activity> {
        serde_json::from_value(self.sources.as_ref().ok()?["said"].clone()).ok()
    }
}

fn ready(answer: &Result<Value, String>, url: &str) -> Vec<Line> {
    let value = match answer {
        Ok(value) if value["ready"] == true => {
            let fine = Line::fine(AREA, url, "runs and is ready");
            return std::iter::once(fine).chain(warnings(value)).collect();
        }
        Ok(value) => value,
        Err(problem) => {
            let advice = "name the address of keywatch itself with --url";
            return vec![Line::wrong(AREA, url, problem.as_str(), advice)];
        }
    };
    let advice = "wait while it goes through its log; else its log lines say more";
    let obstacles = value["obstacles"].as_object().into_iter().flatten();
    let line = |(part, why): (&String, &Value)| {
        Line::wrong(AREA, part, format!("is not ready: {}", why.as_str().unwrap_or_default()), advice)
    };
    obstacles.map(line).chain(warnings(value)).collect()
}

/// What it warns of though it is ready. Who shares partitions warns of each of them.
fn warnings(value: &Value) -> Vec<Line> {
    let advice = "docs/kafka.md says under Upgrading what to do about it";
    let all = value["warnings"].as_object().into_iter().flatten();
    let line = |(part, why): (&String, &Value)| {
        let said = why.as_str().map_or_else(|| why.to_string(), str::to_owned);
        Line::doubtful(AREA, part, said, advice)
    };
    all.map(line).collect()
}

fn receiver(view: &Value) -> Line {
    let name = view["name"].as_str().unwrap_or_default();
    let (waiting, dead) = (view["waiting"].as_u64().unwrap_or_default(), view["dead"].as_u64().unwrap_or_default());
    let found = format!("{waiting} notifications wait, {dead} were put aside");
    if view["down"] == true {
        let advice = format!("it fails again and again: `keywatch deliveries test {name}` says how");
        return Line::wrong("delivery", name, found, advice);
    }
    if dead > 0 {
        let advice = format!("`keywatch deliveries list` says why; `keywatch deliveries redrive {name}` tries again");
        return Line::wrong("delivery", name, found, advice);
    }
    Line::fine("delivery", name, found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::report::State;
    use super::*;

    #[test]
    fn what_it_answers_becomes_lines_and_a_refused_token_is_one_of_them() {
        let answers = Answers {
            ready: Ok(json!({ "ready": false, "obstacles": { "evaluator": "40 % of the log" } })),
            sources: Err("an operator's bearer token is needed".to_owned()),
            deliveries: Ok(json!({ "receivers": [
                { "name": "a", "down": false, "waiting": 2, "dead": 0 },
                { "name": "b", "down": true, "waiting": 9, "dead": 0 },
                { "name": "c", "down": false, "waiting": 0, "dead": 1 },
            ] })),
        };
        let lines = answers.lines("http://127.0.0.1:1");
        let states: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.state)).collect();
        let expected = [
            ("evaluator", State::Wrong),
            ("token", State::Wrong),
            ("a", State::Fine),
            ("b", State::Wrong),
            ("c", State::Wrong),
        ];
        assert_eq!(states, expected);
        assert!(answers.heard().is_none());
        assert!(lines.iter().all(|line| (line.state == State::Wrong) == line.advice.is_some()));
    }

    #[test]
    fn what_it_warns_of_is_a_line_though_it_is_ready() {
        let states = |answer: Value| -> Vec<(String, State)> {
            ready(&Ok(answer), "url").into_iter().map(|line| (line.name, line.state)).collect()
        };
        let fine = ("url".to_owned(), State::Fine);
        assert_eq!(states(json!({ "ready": true })), std::slice::from_ref(&fine));
        let warned = json!({ "ready": true, "warnings": { "log": "the copy lacks something" } });
        assert_eq!(states(warned), [fine, ("log".to_owned(), State::Doubtful)]);
    }
}
