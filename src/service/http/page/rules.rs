//! The rules that run: each with what it cost people over the last days, and one with what it means, what to do and how it is
//! run.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use keywatch_store::time::SECOND_NS;
use maud::{Markup, html};
use serde_json::Value;

use super::addresses::{address, path};
use super::parts::{code_block, items, severity, strings, text};
use super::sessions::Session;
use super::{Page, layout, switches};
use crate::wording::span;

/// `GET /page/rules`.
pub(super) async fn list(State(page): State<Arc<Page>>, Extension(session): Extension<Session>) -> Response {
    let answered = page.ask(&session, Method::GET, "/v1/rules", None).await;
    let noise = page.ask(&session, Method::GET, "/v1/noise", None).await;
    let switches = page.ask(&session, Method::GET, "/v1/switches", None).await;
    let all = [&answered, &noise, &switches];
    if let Some(refused) = all.into_iter().find(|answered| !answered.status.is_success()) {
        return layout::refused(Some(&session), refused.status, refused.problem());
    }
    layout::page(&session, "Rules", "/page/rules", &table(&answered.value, &noise.value, &switches.value))
}

fn table(rules: &Value, noise: &Value, switched: &Value) -> Markup {
    let rules = items(&rules["rules"]);
    let cost: BTreeMap<&str, &Value> = items(&noise["rules"]).iter().map(|cost| (text(cost, "rule"), cost)).collect();
    let count =
        |rule: &Value, field: &str| cost.get(text(rule, "id")).map_or(0, |cost| cost[field].as_u64().unwrap_or(0));
    html! {
        h1 { "Rules" }
        p {
            (rules.len()) " rules run here. Beside each: the last 30 days, in your systems."
            @if noise["complete"] == false { " There was more than is counted at once: the figures are of the first part." }
        }
        div.wide tabindex="0" role="region" aria-label="Rules" {
            table {
                thead { tr {
                    th scope="col" { "Severity" } th scope="col" { "Rule" } th scope="col" { "What it finds" }
                    th.number scope="col" { "Alerts" } th.number scope="col" { "Findings" } th.number scope="col" { "True" }
                    th.number scope="col" { "False" } th.number scope="col" { "Not judged" }
                } }
                tbody {
                    @for rule in rules {
                        tr {
                            td { (severity(text(rule, "severity"))) }
                            td {
                                a.entry href=(link(text(rule, "id"))) { code { (text(rule, "id")) } }
                                (switches::marks(switched, text(rule, "id")))
                            }
                            td { (title(text(rule, "title"))) }
                            @for field in ["alerts", "findings", "true", "false", "unjudged"] {
                                td.number { (count(rule, field)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The page of a rule.
pub(super) fn link(rule: &str) -> String {
    let (family, name) = rule.split_once('/').unwrap_or((rule, ""));
    path(&["page", "rules", family, name])
}

/// `GET /page/rules/{family}/{name}`.
pub(super) async fn show(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    Path((family, name)): Path<(String, String)>,
) -> Response {
    let answered = page.ask(&session, Method::GET, &path(&["v1", "rules", &family, &name]), None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    let rule = &answered.value;
    let of_rule = address(&["v1", "noise"], &[("rule", text(rule, "id"))]);
    let noise = page.ask(&session, Method::GET, &of_rule, None).await;
    if !noise.status.is_success() {
        return layout::refused(Some(&session), noise.status, noise.problem());
    }
    let of_rule = address(&["v1", "switches"], &[("rule", text(rule, "id"))]);
    let switched = page.ask(&session, Method::GET, &of_rule, None).await;
    if !switched.status.is_success() {
        return layout::refused(Some(&session), switched.status, switched.problem());
    }
    let switched = switches::of_rule(&session, text(rule, "id"), &switched.value);
    layout::page(&session, text(rule, "id"), "/page/rules", &one(rule, &noise.value["rules"][0], &switched))
}

fn one(rule: &Value, cost: &Value, switched: &Markup) -> Markup {
    let part = |label: &str, field: &str| {
        let said = strings(&rule[field]);
        html! { @if !said.is_empty() { h2 { (label) } ul { @for line in said { li { (line) } } } } }
    };
    let seconds = |field: &str| span(rule[field].as_i64().unwrap_or_default().saturating_mul(SECOND_NS));
    html! {
        article.rule {
            p.kicker { (severity(text(rule, "severity"))) " " code { (text(rule, "id")) } " version " (rule["version"].to_string()) }
            h1 { (title(text(rule, "title"))) }
            @if rule["running"]["parked"] == true {
                p { strong.wrong { "✕ parked" } " It failed and is tried again; what it missed it goes through then." }
            }
            (switched)
            (figures(cost))
            div.meaning {
                div { h2 { "What it means" } p { (text(rule, "meaning")) } }
                div { h2 { "What to do" } ol { @for line in strings(&rule["runbook"]) { li { (line) } } } }
            }
            (part("When it fires without anything being wrong", "false_positives"))
            (part("What it needs to see", "needs"))
            (part("What it asks to be stopped", "response"))
            (part("CCSS", "ccss"))
            (part("MITRE ATT&CK", "attack"))
            p {
                "About: " (text(rule, "entity")) ". Told again for the same after " (seconds("suppress_seconds"))
                ". Decided " (seconds("decided_after_seconds")) " after the event at most."
            }
            @if !text(rule, "without_history").is_empty() { p { "Without history: " (text(rule, "without_history")) } }
            (parameters(items(&rule["parameters"])))
            h2 { "How it is run" }
            (load(&rule["running"]))
            (code_block("How it is run", text(rule, "explain")))
            details { summary { "Its SQL" } (code_block("SQL", text(rule, "sql"))) }
            details { summary { "Its plan" } (code_block("Plan", text(rule, "plan"))) }
        }
    }
}

/// What it cost people; nothing at all where it found nothing.
fn figures(cost: &Value) -> Markup {
    let count = |field: &str| cost[field].as_u64().unwrap_or(0);
    let wait = |field: &str| cost[field].as_i64().map(|seconds| span(seconds.saturating_mul(SECOND_NS)));
    html! {
        h2 { "The last 30 days" }
        dl.summary {
            div { dt { "Findings" } dd { (count("findings")) } dd.more { "told as " (count("alerts")) (if count("alerts") == 1 { " alert" } else { " alerts" }) } }
            div {
                dt { "Verdicts" }
                dd { (count("true")) " true, " (count("false")) " false" }
                dd.more { (count("benign")) " benign, " (count("test")) " test, " (count("unjudged")) " not judged" }
                @if count("retracted") > 0 { dd.more { (count("retracted")) " taken back by a chain" } }
            }
            div { dt { "Incidents taken up" } dd { (count("acknowledged")) } }
            div {
                dt { "Time to acknowledge" }
                dd { (wait("acknowledge_seconds_median").unwrap_or_else(|| "–".to_owned())) }
                @if let Some(most) = wait("acknowledge_seconds_max") { dd.more { "median; at most " (most) } }
            }
        }
    }
}

/// What it costs the machine; nothing where that is not said.
fn load(running: &Value) -> Markup {
    let number = |field: &str| running[field].as_f64().unwrap_or(0.0);
    let (seconds, records) = (number("processor_seconds"), number("records"));
    html! {
        @if running.is_object() {
            dl.facts {
                dt { "Remembers now" }
                dd { (running["rows"].as_i64().unwrap_or(0)) " rows, " (format!("{:.1} MB", number("bytes") / 1e6)) }
                dt { "Processor since the start" }
                dd {
                    (format!("{seconds:.1} s"))
                    @if records > 0.0 { (format!(", {:.2} µs a record, of {records:.0}", seconds * 1e6 / records)) }
                }
            }
        }
    }
}

fn parameters(parameters: &[Value]) -> Markup {
    html! {
        @if !parameters.is_empty() {
            h2 { "Parameters" }
            dl.facts {
                @for parameter in parameters {
                    dt { code { (text(parameter, "name")) } }
                    dd { code { (text(parameter, "default")) } " " (text(parameter, "meaning")) }
                }
            }
        }
    }
}

/// What a rule finds, with the names of what its findings fill in.
fn title(title: &str) -> Markup {
    let word = |column: &str| column.split(':').next().unwrap_or_default().replace('_', " ");
    html! {
        @for (index, part) in title.split('{').enumerate() {
            @match part.split_once('}') {
                Some((column, rest)) if index > 0 => { i { (word(column)) } (rest) },
                _ => { @if index > 0 { "{" } (part) },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_findings_fill_in_stands_there_by_its_name() {
        let said = |text: &str| title(text).into_string();
        let outlier = "Wallet {wallet} moves {amount:asset}, at most {largest_before:asset}";
        assert_eq!(said(outlier), "Wallet <i>wallet</i> moves <i>amount</i>, at most <i>largest before</i>");
        assert_eq!(said("{<b>} and a { that stays"), "<i>&lt;b&gt;</i> and a { that stays");
    }

    #[test]
    fn rules_have_their_figures_and_what_they_say_stays_text() {
        let attack = "<script>alert(1)</script>";
        let rule = json!({
            "id": "own/a&b", "version": 1, "severity": "high", "title": attack, "meaning": attack, "runbook": [attack],
            "explain": attack, "sql": attack, "plan": attack, "parameters": [{ "name": "n", "default": attack }],
            "running": { "processor_seconds": 1.5, "records": 1_000_000, "rows": 41_000, "bytes": 2_500_000, "parked": true },
        });
        let cost = json!({
            "rule": "own/a&b", "alerts": 7, "findings": 41, "false": 3, "retracted": 1, "acknowledged": 2,
            "acknowledge_seconds_median": 90, "acknowledge_seconds_max": 600,
        });
        let noise = json!({ "complete": false, "rules": [cost] });
        let listed = table(&json!({ "rules": [rule] }), &noise, &Value::Null).into_string();
        assert!(listed.contains("href=\"/page/rules/own/a&amp;b\""), "{listed}");
        assert!(listed.contains("class=\"number\">41<") && listed.contains("the first part"), "{listed}");
        let shown = one(&rule, &cost, &html! {}).into_string();
        let cost = ["told as 7 alerts", "0 true, 3 false", "1 taken back by a chain", "1 min 30 s", "at most 10 min"];
        let load = ["41000 rows", "2.5 MB", "1.5 s", "1.50 µs a record, of 1000000", "✕ parked"];
        for said in cost.into_iter().chain(load) {
            assert!(shown.contains(said), "no `{said}` in {shown}");
        }
        for page in [listed, shown, one(&rule, &Value::Null, &html! {}).into_string()] {
            assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "{page}");
        }
    }
}
