//! The timeline as a list: a picture and words for each row, pauses and days between them, both values of what does not agree.

use std::collections::BTreeMap;

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use maud::{Markup, html};
use serde_json::Value;

use super::super::parts::{clock, items, severity, text, unconfirmed};
use super::links::{Link, links};
use super::picture::{Line, WIDTH, picture, x};
use super::sentence::{found, sentence};
use super::{LANES, Mark, Row, amount, money_left, rows_of, scales};
use crate::wording::span;

/// A pause that is told.
const PAUSE_NS: i64 = 600 * SECOND_NS;

/// Width of the bar of the largest amount.
const BAR: f64 = 160.0;

/// The timeline of an incident.
pub(in super::super) fn timeline(incident: &Value) -> Markup {
    let rows = rows_of(incident);
    let links = links(&rows, incident);
    let (scales, left) = (scales(&rows), money_left(incident));
    html! {
        (legend())
        // A list without marks is none to some readers, unless it says so.
        ol.timeline role="list" {
            @for (index, row) in rows.iter().enumerate() {
                @let before = index.checked_sub(1).map(|before| rows[before].at);
                (between(before, row.at, index, &rows, &links))
                li.row.(class(row)) {
                    (picture(Line::Row(index), &rows, &links))
                    div.said { (said(row, &placed(index, &rows, &links), &scales, left.map(|(first, _)| first))) }
                }
            }
        }
        @if incident["custody"]["complete"] == false {
            p.warning { "There are more events than are shown; the log has them all." }
        }
    }
}

fn legend() -> Markup {
    html! {
        svg.heading width=(WIDTH + 60) height="62" aria-hidden="true" focusable="false" {
            @for lane in LANES {
                text x=(x(lane)) y="58" transform=(format!("rotate(-45 {} 58)", x(lane))) { (lane.name()) }
            }
        }
    }
}

fn class(row: &Row) -> &'static str {
    match row.mark {
        Mark::Good => "plain",
        Mark::Evidence => "plain",
        Mark::Bad => "bad",
        Mark::Found => "found",
        Mark::Done => "done",
    }
}

/// The day where it changes, and a pause where nothing happened.
fn between(before: Option<Instant>, at: Instant, index: usize, rows: &[Row], links: &[Link]) -> Markup {
    let day = |at: Instant| at.to_string().chars().take(10).collect::<String>();
    let pause = before.map_or(0, |before| at.0.saturating_sub(before.0));
    let new_day = before.is_none_or(|before| day(before) != day(at));
    html! {
        @if new_day || pause >= PAUSE_NS {
            li.between {
                (picture(Line::Before(index), rows, links))
                div.said {
                    @if pause >= PAUSE_NS { span.pause { "… " (span(pause)) " pass …" } " " }
                    @if new_day { strong { (day(at)) } }
                }
            }
        }
    }
}

/// What the picture says of a row, for who does not see it: its lane, and the rows that it is linked to.
fn placed(index: usize, rows: &[Row], links: &[Link]) -> Markup {
    let time = |row: &Row| row.at.to_string().chars().skip(11).take(8).collect::<String>();
    html! {
        span.unseen {
            (rows[index].lane.name())
            @for link in links.iter().filter(|link| link.to == index) {
                @let other = &rows[link.from];
                (if link.good { ", linked to the " } else { ", linked as wrong to the " }) (other.lane.name()) " at " (time(other))
            }
            ": "
        }
    }
}

fn said(row: &Row, placed: &Markup, scales: &BTreeMap<String, f64>, money: Option<Instant>) -> Markup {
    html! {
        p {
            (clock(&row.at.to_string()))
            " "
            (placed)
            @if !row.word.is_empty() { strong.word { (row.word) } " " }
            @if let Some((_, word)) = row.missing { strong.word { (word) } " " }
            @if row.mark == Mark::Found { span.lead { (lead(row.at, money)) } } @else { (sentence(row)) }
        }
        @if row.mark == Mark::Found { (alerts(row)) }
        @for event in &row.of {
            @for difference in items(&event["differences"]) { (differs(difference)) }
        }
        @if let Some(bar) = bar(row.first(), scales) { (bar) }
    }
}

fn alerts(row: &Row) -> Markup {
    html! {
        ul.alerts role="list" {
            @for alert in &row.of {
                li { (severity(text(alert, "severity"))) " " (found(alert)) " " code { (text(alert, "rule")) }
                    @if let Some(rests) = alert["rests_on_tainted"].as_str() { " " strong { "rests on tainted events " (rests) } }
                    (unconfirmed(alert))
                }
            }
        }
    }
}

/// How long before money left it was found.
fn lead(at: Instant, money: Option<Instant>) -> String {
    match money.map(|money| money.0.saturating_sub(at.0)) {
        Some(lead) if lead > 0 => format!("{} before money left", span(lead)),
        Some(0) => "as money left".to_owned(),
        Some(late) => format!("{} after money had left", span(-late)),
        None => String::new(),
    }
}

/// Both values, beside each other.
fn differs(difference: &Value) -> Markup {
    let what = text(difference, "what");
    let (expected, found) = match what {
        "signer" => ("filed under the name of", "but signed by"),
        "hash" => ("hash as filed", "but of these fields it is"),
        "implementation" => ("code before", "code now"),
        _ => ("asked for", "but it says"),
    };
    html! {
        dl.differs {
            div { dt { (expected) } dd { code { (text(difference, "expected")) } } }
            div.wrong { dt { (found) } dd { code { (text(difference, "found")) } } }
        }
    }
}

/// The amount of an event, drawn to scale with the others of the same asset.
fn bar(event: &Value, scales: &BTreeMap<String, f64>) -> Option<Markup> {
    let share = amount(event)? / scales.get(text(event, "asset"))?;
    let width = format!("{:.1}", (share * BAR).max(1.0));
    Some(html! {
        svg.bar width=(BAR) height="8" role="img" aria-label=(format!("{:.0} % of the largest amount of this asset", share * 100.0)) {
            rect.most width=(BAR) height="8" {}
            rect.share width=(width) height="8" {}
        }
    })
}
