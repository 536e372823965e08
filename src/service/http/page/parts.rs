//! Small pieces of pages: times, badges, fields of forms. Text of any origin is escaped by the templates; nothing here writes
//! markup by itself.

use keywatch_store::Instant;
use maud::{Markup, html};
use serde_json::Value;

use super::addresses::address;
use crate::wording;

/// Characters of a time to the second.
const TO_THE_SECOND: usize = 19;

/// Characters of an id by which people tell incidents apart.
const ID_SHOWN: usize = 12;

/// A field as text; nothing where there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The items of a list; none where there is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a list.
pub(super) fn strings(value: &Value) -> Vec<&str> {
    items(value).iter().filter_map(Value::as_str).collect()
}

/// Text that keeps its columns; who has a keyboard alone can go to its right end.
pub(super) fn code_block(label: &str, text: &str) -> Markup {
    html! { pre tabindex="0" role="region" aria-label=(label) { code { (text) } } }
}

/// An instant of an answer.
pub(super) fn instant(text: &str) -> Option<Instant> {
    text.parse().ok()
}

/// A time to the second; the script puts the viewer's own beside it.
pub(super) fn time(text: &str) -> Markup {
    let shown: String = text.chars().take(TO_THE_SECOND).collect::<String>().replace('T', " ");
    html! { time datetime=(text) { (shown) } }
}

/// The time of a day to the millisecond.
pub(super) fn clock(text: &str) -> Markup {
    let (_, time) = text.split_once('T').unwrap_or(("", text));
    let (seconds, fraction) = time.trim_end_matches('Z').split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
    let fraction: String = fraction.chars().take(3).collect();
    html! {
        time datetime=(text) data-clock {
            (seconds) @if !fraction.trim_end_matches('0').is_empty() { span.fraction { "." (fraction) } }
        }
    }
}

/// How long ago, in the two largest units.
pub(super) fn age(since: &str, now: Instant) -> String {
    let Some(since) = instant(since) else { return String::new() };
    let span = wording::span(now.0.saturating_sub(since.0).max(0));
    span.split(' ').take(4).collect::<Vec<_>>().join(" ")
}

/// How bad: a word, and a shape for each. The colour repeats it.
pub(super) fn severity(severity: &str) -> Markup {
    let shape = match severity {
        "critical" => "◆",
        "high" => "▲",
        "medium" => "■",
        _ => "●",
    };
    let class = match severity {
        "critical" | "high" | "medium" | "low" => severity,
        _ => "info",
    };
    html! { span.severity.(class) { span.shape aria-hidden="true" { (shape) } " " (severity) } }
}

/// Where an incident stands.
pub(super) fn status(incident: &Value) -> Markup {
    let status = text(incident, "status");
    let verdict = text(&incident["resolved"], "verdict");
    html! {
        span.status.(if status == "open" { "is-open" } else { "is-taken" }) {
            (status) @if !verdict.is_empty() { ": " (verdict) }
        }
    }
}

/// That what an alert saw was taken back from its chain; nothing where it was not.
pub(super) fn unconfirmed(alert: &Value) -> Markup {
    html! {
        @if let Some(says) = alert["unconfirmed"]["says"].as_str() {
            " " strong title=(says) { @if alert["unconfirmed"]["final"] == true { "not on the chain" } @else { "unconfirmed" } }
        }
    }
}

/// The same of an incident: of how many of its alerts.
pub(super) fn unconfirmed_alerts(incident: &Value) -> Markup {
    let (count, all) = (incident["unconfirmed"].as_u64().unwrap_or_default(), incident["alerts"].as_u64());
    html! {
        @if count > 0 {
            " " strong { "unconfirmed" @if all != Some(count) { ": " (count) " of " (all.unwrap_or_default()) } }
        }
    }
}

/// The beginning of an id, with all of it at hand.
pub(super) fn id(id: &str) -> Markup {
    html! { code title=(id) { (id.chars().take(ID_SHOWN).collect::<String>()) } }
}

/// A field that is not seen.
pub(super) fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// A choice of one, or of none.
pub(super) fn choice(name: &str, label: &str, any: Option<&str>, options: &[&str], chosen: &str) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                @if let Some(any) = any { option value="" { (any) } }
                @for option in options { option value=(option) selected[*option == chosen] { (option) } }
            }
        }
    }
}

/// The way through a list that goes over several pages of the address `place`; `query` is what else stands in it.
pub(super) fn pages(place: &str, query: &[(&str, &str)], number: usize, total: usize, each: usize) -> Markup {
    let last = total.div_ceil(each).max(1);
    let to = |number: usize| {
        let number = number.to_string();
        let parts: Vec<&str> = place.trim_start_matches('/').split('/').collect();
        address(&parts, &[query, &[("page", number.as_str())]].concat())
    };
    html! {
        nav.pages aria-label="Pages of the list" {
            @if number > 1 { a #newer rel="prev" href=(to(number.min(last + 1) - 1)) { "Newer" } }
            span { "Page " (number) " of " (last) ", " (total) " in all" }
            @if number < last { a #older rel="next" href=(to(number + 1)) { "Older" } }
        }
    }
}

/// The head of a table that is laid out as blocks on a phone, where rows and cells have to say what they are.
pub(super) fn columns(names: &[&str]) -> Markup {
    html! {
        thead role="rowgroup" {
            tr role="row" { @for name in names { th role="columnheader" scope="col" { (name) } } }
        }
    }
}

/// Text of several lines, each one a line.
pub(super) fn lines(text: &str) -> Markup {
    html! { @for line in text.lines().filter(|line| !line.trim().is_empty()) { li { (line) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_stays_text_wherever_it_stands() {
        let attack = "\"><script>alert(1)</script>";
        for markup in [severity(attack), time(attack), id(attack), hidden("x", attack), clock(attack), lines(attack)] {
            let shown = markup.into_string();
            assert!(!shown.contains("<script") && !shown.contains("value=\"\""), "{shown}");
        }
    }

    #[test]
    fn times_and_ages_are_as_people_read_them() {
        assert!(clock("2025-02-21T05:42:40.788469Z").into_string().contains("05:42:40<span class=\"fraction\">.788"));
        assert!(!clock("2025-02-21T14:13:35.000000001Z").into_string().contains("fraction"));
        let now = instant("2025-02-21T08:00:10Z").unwrap();
        assert_eq!(age("2025-02-21T05:42:05Z", now), "2 h 18 min");
        assert_eq!(age("2025-02-21T09:00:00Z", now), "0 s");
    }
}
