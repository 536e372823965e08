//! What the sources of an incident said, sent to a running keywatch as they would have. Times are moved so that the loss is
//! now, since evidence that comes late never revokes without a person. What becomes of it is seen there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_store::Instant;
use keywatch_store::inventory::{Source, System};
use reqwest::Url;
use serde_json::Value;

use crate::clock;
use crate::incident::Incident;
use crate::limits::API_ANSWER_SECONDS_MAX;
use crate::output;

/// A payment goes this way: somebody logs in, asks whether it may be signed, signs, and it is on the chain.
const ORDER: [&str; 4] = ["identity", "pdp", "signer", "chain"];

const SECOND_NS: i64 = 1_000_000_000;

/// Sends everything, one request for each source.
///
/// # Errors
/// The file of tokens lacks one, keywatch cannot be reached or refuses a source.
pub(super) fn send(incident: &Incident, url: &str, tokens: &Path) -> anyhow::Result<()> {
    let url = address(url)?;
    let text = std::fs::read_to_string(tokens).with_context(|| format!("cannot read {}", tokens.display()))?;
    let tokens: BTreeMap<String, String> = toml::from_str(&text)
        .with_context(|| format!("{}: a line for each source: source = \"token\"", tokens.display()))?;
    let inventory = incident.inventory()?.with_context(|| format!("{} has no inventory", incident.name))?;
    let by = clock::now().0.saturating_sub(incident.story()?.lost_at.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    for (system, source) in in_order(&inventory.systems) {
        let Some(said) = incident.of_source(&source.source) else { continue };
        let token = tokens.get(&source.source);
        let token = token.with_context(|| format!("there is no token for `{}` of {}", source.source, system.id))?;
        let target = url.join(&format!("v1/ingest/{}", source.feed))?;
        let answer = runtime.block_on(post(target, token, moved(&said, by)?))?;
        let count = |name: &str| answer[name].to_string();
        rows.push([source.source.clone(), count("records"), count("events"), count("rejected")]);
    }
    ensure!(!rows.is_empty(), "{} keeps no records of its sources", incident.name);
    Ok(output::line(&output::table(["source", "records", "events", "rejected"], rows))?)
}

fn address(url: &str) -> anyhow::Result<Url> {
    let url = Url::parse(url).with_context(|| format!("`{url}` is no address"))?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    ensure!(url.scheme() == "https" || is_here, "`{url}` would send tokens in the clear; use https");
    Ok(url)
}

/// The sources of all systems, in the order in which a payment goes.
fn in_order(systems: &[System]) -> Vec<(&System, &Source)> {
    let mut sources: Vec<(&System, &Source)> =
        systems.iter().flat_map(|system| system.sources.iter().map(move |source| (system, source))).collect();
    let rank = |group: &str| ORDER.iter().position(|known| *known == group).unwrap_or(ORDER.len());
    sources.sort_by_key(|(_, source)| rank(&source.trust_group));
    sources
}

/// The records, one a line, with all their times moved.
fn moved(said: &str, by: i64) -> anyhow::Result<String> {
    let whole: Result<Value, _> = serde_json::from_str(said);
    let records = match whole {
        Ok(Value::Object(mut page)) if page.contains_key("results") => match page.remove("results") {
            Some(Value::Array(records)) => records,
            _ => bail!("`results` of a source's records is no array"),
        },
        Ok(Value::Array(records)) => records,
        Ok(record) => vec![record],
        Err(_) => said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
    };
    let lines = records.into_iter().map(|mut record| {
        move_times("", &mut record, by);
        record.to_string() + "\n"
    });
    Ok(lines.collect())
}

/// A time is a text that is one, or what a session's begin is called in the input of a decision.
fn move_times(name: &str, value: &mut Value, by: i64) {
    match value {
        Value::String(text) if text.contains('T') => {
            if let Ok(time) = text.parse::<Instant>() {
                *text = time.saturating_add(by).to_string();
            }
        }
        Value::Number(seconds) if name == "session_started_at" => {
            if let Some(begun) = seconds.as_i64() {
                *value = Value::from(begun.saturating_add(by / SECOND_NS));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| move_times("", value, by)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| move_times(name, value, by)),
        _ => {}
    }
}

async fn post(url: Url, token: &str, body: String) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(API_ANSWER_SECONDS_MAX))
        .build()?;
    let request = client.post(url.clone()).bearer_auth(token).header("content-type", "application/x-ndjson");
    let answer = request.body(body).send().await.with_context(|| format!("keywatch does not answer at {url}"))?;
    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    ensure!(
        status.is_success(),
        "{url} answered {status}: {}",
        value["error"].as_str().unwrap_or("it does not say why")
    );
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_times_move_and_nothing_else() {
        let record = json!({
            "event_time": "2025-02-21T05:42:40.5Z", "id": "ses-T1", "amount": "2025", "none": null,
            "input": { "session_started_at": 100, "amount_usd": 100 }, "list": [{ "at": "2025-02-21T00:00:00Z" }],
        });
        let expected = json!({
            "event_time": "2025-02-21T05:43:40.5Z", "id": "ses-T1", "amount": "2025", "none": null,
            "input": { "session_started_at": 160, "amount_usd": 100 }, "list": [{ "at": "2025-02-21T00:01:00Z" }],
        });
        for said in [format!("{record}\n{record}\n"), json!([record, record]).to_string()] {
            let moved = moved(&said, 60 * SECOND_NS).unwrap();
            let records: Vec<Value> = moved.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(records, [expected.clone(), expected.clone()]);
        }
        let page = json!({ "count": 1, "results": [record] }).to_string();
        assert_eq!(moved(&page, 60 * SECOND_NS).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn tokens_do_not_leave_the_machine_in_the_clear() {
        for url in ["http://127.0.0.1:8040", "http://[::1]:8040", "http://localhost:1", "https://keywatch.example"] {
            assert!(address(url).is_ok(), "{url}");
        }
        let refused = address("http://keywatch.example").unwrap_err().to_string();
        assert!(refused.contains("in the clear"), "{refused}");
    }

    #[test]
    fn what_a_source_said_comes_in_the_order_of_a_payment() {
        let incident = Incident::find("2025-02-bybit").unwrap();
        let inventory = incident.inventory().unwrap().unwrap();
        let names: Vec<&str> = in_order(&inventory.systems).iter().map(|(_, source)| source.source.as_str()).collect();
        assert_eq!(names, ["idp", "opa", "safe-transaction-service", "ethereum-node"]);
        assert!(names.iter().all(|name| incident.of_source(name).is_some()));
    }
}
