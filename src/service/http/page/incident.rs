//! One incident: what happened, what it means, what to do, its timeline, what proves it and what people said.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use keywatch_store::Instant;
use maud::{Markup, html};
use serde_json::Value;

use super::addresses::{address, path};
use super::compared::compared;
use super::parts::{age, id, instant, items, lines, severity, status, text, time, unconfirmed};
use super::responses::of_incident;
use super::sessions::Session;
use super::timeline::{money_left, timeline};
use super::{Page, acts, layout};
use crate::clock;
use crate::limits::PAGE_LIST_RESPONSES;
use crate::wording::{did, shortened, span};

/// What an incident names, and what people call it.
const NAMES: [(&str, &str); 5] = [
    ("wallets", "Wallets"),
    ("sessions", "Sessions"),
    ("requests", "Requests"),
    ("transactions", "Transactions"),
    ("destinations", "Destinations"),
];

/// `GET /page/incidents/{id}`.
pub(super) async fn show(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
) -> Response {
    let answered = page.ask(&session, Method::GET, &path(&["v1", "incidents", &name]), None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    let incident = &answered.value;
    let limit = PAGE_LIST_RESPONSES.to_string();
    let query = [("incident", text(incident, "id")), ("limit", limit.as_str())];
    let standing = page.ask(&session, Method::GET, &address(&["v1", "responses"], &query), None).await;
    if !standing.status.is_success() {
        return layout::refused(Some(&session), standing.status, standing.problem());
    }
    let responses = of_incident(&session, items(&standing.value["responses"]), incident);
    let content = html! {
        (content(incident, clock::now(), &acts::quick(&session, incident), &responses))
        (acts::forms(&session, incident))
    };
    layout::page(&session, text(incident, "title"), "/page", &content)
}

/// An incident, for whoever looks at it; `quick` is what can be done at once, `responses` what keywatch did.
pub(super) fn content(incident: &Value, now: Instant, quick: &Markup, responses: &Markup) -> Markup {
    html! {
        article.incident {
            (head(incident, now))
            (quick)
            (summary(incident))
            (compared(incident))
            section.story aria-label="Timeline" {
                h2 { "Timeline" }
                (timeline(incident))
            }
            (meaning(incident))
            (alerts(incident))
            (evidence(incident))
            (responses)
            (history(incident))
            (names(incident))
        }
    }
}

fn head(incident: &Value, now: Instant) -> Markup {
    let opened = text(incident, "opened");
    html! {
        p.kicker {
            (severity(text(incident, "severity"))) " " (status(incident)) " " (text(incident, "system")) " · "
            (id(text(incident, "id")))
        }
        h1 { (shortened(text(incident, "title"))) }
        (taken_back(incident))
        p.under {
            "Began " (time(opened)) " UTC, " (age(opened, now)) " ago. "
            @match incident["assignee"].as_str() {
                Some(name) => { (name) " sees to it." },
                None => "Nobody sees to it.",
            }
            @if let Some(by) = incident["acknowledged"]["by"].as_str() {
                " " (by) " saw it at " (time(text(&incident["acknowledged"], "at"))) "."
            }
            @if let Some(by) = incident["resolved"]["by"].as_str() {
                " " (by) " says " strong { (text(&incident["resolved"], "verdict")) } ": " (text(&incident["resolved"], "reason"))
            }
        }
    }
}

/// What its alerts saw and is no longer on its chain, each reorganisation in one sentence.
fn taken_back(incident: &Value) -> Markup {
    let alerts = items(&incident["alert_list"]).iter();
    let says: BTreeSet<&str> = alerts.filter_map(|alert| alert["unconfirmed"]["says"].as_str()).collect();
    html! {
        @if !says.is_empty() {
            p.warning {
                strong { (incident["unconfirmed"].as_u64().unwrap_or_default()) " of " (incident["alerts"].as_u64().unwrap_or_default()) " alerts" } ": "
                @for said in &says { (said) " " }
                "Nothing that was done is undone by it."
            }
        }
    }
}

/// When it was found and done, and how long before the loss.
fn summary(incident: &Value) -> Markup {
    let found = instant(text(incident, "opened"));
    let left = money_left(incident);
    let lead = found.zip(left).map(|(found, (first, _))| first.0.saturating_sub(found.0));
    let done =
        items(&incident["custody"]["timeline"]).iter().filter(|event| text(event, "kind") == "response.verified");
    let (confirmed, failed): (Vec<&Value>, Vec<&Value>) =
        done.partition(|event| text(event, "outcome") != "unconfirmed");
    html! {
        dl.summary {
            div {
                dt { "Found" }
                dd { @if found.is_some() { (time(text(incident, "opened"))) } }
                dd.more { (people_told(incident["pages"].as_u64().unwrap_or_default())) }
            }
            div {
                dt { "Cut off" }
                @if let Some(first) = confirmed.first() {
                    dd { (time(text(first, "time"))) }
                    dd.more { (text(first, "outcome").replace('_', " ")) }
                } @else if let Some(first) = failed.first() {
                    dd.wrong { "✕ not confirmed" }
                    dd.more { (time(text(first, "time"))) }
                } @else { dd { "nothing yet" } }
            }
            div {
                dt { "Money left" }
                @if let Some((first, last)) = left {
                    dd { (time(&first.to_string())) }
                    @if last.0 - first.0 > 0 { dd.more { "until " (time(&last.to_string())) } }
                } @else { dd { "none seen" } }
            }
            div {
                dt { "Warning" }
                @match lead {
                    Some(lead) if lead > 0 => { dd.lead { (span(lead)) } dd.more { "before money left" } },
                    Some(late) => { dd.wrong { "✕ " (span(-late)) } dd.more { "after money had left" } },
                    None => { dd { "–" } },
                }
            }
        }
    }
}

fn people_told(pages: u64) -> String {
    match pages {
        0 => "people not told yet".to_owned(),
        1 => "people told once".to_owned(),
        times => format!("people told {times} times"),
    }
}

fn meaning(incident: &Value) -> Markup {
    let finding = &incident["finding"];
    html! {
        section.meaning {
            div {
                h2 { "What it means" }
                p { (text(finding, "meaning")) }
            }
            div {
                h2 { "What to do" }
                ol { (lines(text(finding, "runbook"))) }
            }
        }
    }
}

fn alerts(incident: &Value) -> Markup {
    html! {
        section {
            h2 { "Alerts" }
            div.wide tabindex="0" role="region" aria-label="Alerts" {
                table {
                    thead { tr {
                        th scope="col" { "Severity" } th scope="col" { "First (UTC)" } th scope="col" { "What was found" }
                        th scope="col" { "Rule" } th scope="col" { "Verdict" }
                    } }
                    tbody {
                        @for alert in items(&incident["alert_list"]) {
                            tr {
                                td { (severity(text(alert, "severity"))) }
                                td { (time(text(alert, "opened"))) }
                                td {
                                    (shortened(text(alert, "title")))
                                    @if let Some(more) = alert["counted"].as_u64().filter(|more| *more > 0) {
                                        span.quiet { " and " (more) " more" }
                                    }
                                    (unconfirmed(alert))
                                }
                                td { code { (text(alert, "rule")) } }
                                td { (text(alert, "verdict")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn evidence(incident: &Value) -> Markup {
    let proves = items(&incident["custody"]["timeline"]).iter().filter(|event| event["evidence"] == true);
    html! {
        section {
            h2 { "Events that prove it" }
            div.wide tabindex="0" role="region" aria-label="Events that prove it" {
                table {
                    thead { tr {
                        th scope="col" { "Log time (UTC)" } th scope="col" { "Kind" } th scope="col" { "Source" }
                        th scope="col" { "What it says" } th scope="col" { "Event" }
                    } }
                    tbody {
                        @for event in proves {
                            tr {
                                td { (time(text(event, "time"))) }
                                td { (text(event, "kind")) }
                                td { (text(event, "source")) }
                                td { (text(event, "outcome")) @if event["reason"].is_string() { ": " (text(event, "reason")) } }
                                td { (id(text(event, "event_id"))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What keywatch did, for who decides on nothing.
pub(super) fn responses(incident: &Value) -> Markup {
    let responses = items(&incident["responses"]);
    html! {
        @if !responses.is_empty() {
            section {
                h2 { "What keywatch did" }
                ul.plain role="list" {
                    @for response in responses {
                        li {
                            (time(text(response, "decided"))) " " strong { (text(response, "status").replace('_', " ")) } ": "
                            (targets(&response["targets"])) " " span.quiet { (text(response, "why")) }
                        }
                    }
                }
            }
        }
    }
}

fn targets(targets: &Value) -> String {
    match targets {
        Value::String(text) => shortened(text),
        other => items(other).iter().filter_map(Value::as_str).map(shortened).collect::<Vec<_>>().join(", "),
    }
}

fn history(incident: &Value) -> Markup {
    let entries = items(&incident["history"]);
    html! {
        section {
            h2 { "What people said and did" }
            @if entries.is_empty() { p.quiet { "Nothing yet." } }
            ul.plain role="list" {
                @for entry in entries {
                    li {
                        (time(text(entry, "at"))) " " strong { (text(entry, "by")) } " " span.words { (did(entry)) }
                    }
                }
            }
        }
    }
}

fn names(incident: &Value) -> Markup {
    html! {
        section {
            h2 { "Names in it" }
            dl.names {
                @for (field, label) in NAMES {
                    @let names = items(&incident[field]);
                    @if !names.is_empty() {
                        dt { (label) }
                        @for name in names { dd { code { (name.as_str().unwrap_or_default()) } } }
                    }
                }
            }
        }
    }
}
