//! What was put before the signers beside what was signed: requests that claim the same place, field by field.

use maud::{Markup, html};
use serde_json::Value;

use super::parts::{items, text, time};

/// The comparisons of an incident; nothing where no two requests claim the same place.
pub(super) fn compared(incident: &Value) -> Markup {
    html! { @for pair in items(&incident["custody"]["compared"]) { (one(pair)) } }
}

fn one(pair: &Value) -> Markup {
    let (first, other) = (&pair["first"], &pair["other"]);
    let carried_out = other["carried_out"] == true && first["carried_out"] != true;
    let heading = if carried_out { "What was shown, and what was signed" } else { "Two requests for the same place" };
    let right = if carried_out { "What was signed and carried out" } else { "What was filed later" };
    html! {
        section.compared aria-label=(heading) {
            h2 { (heading) }
            p {
                "Of wallet " code { (text(pair, "wallet")) } " and nonce " (pair["nonce"].to_string())
                " only one request can be carried out."
                @if carried_out { " It was not the one that the signers were shown." }
            }
            // It is laid out as blocks on a phone, where rows and cells have to say what they are.
            table.sides role="table" aria-label=(heading) {
                thead role="rowgroup" {
                    tr role="row" {
                        td role="cell" {}
                        th role="columnheader" scope="col" { "What the signers were shown" }
                        td role="cell" {}
                        th role="columnheader" scope="col" { (right) }
                    }
                }
                tbody role="rowgroup" {
                    (row("filed", &time(text(first, "time")), &time(text(other, "time")), false))
                    @for (field, label) in FIELDS {
                        @let (left, right) = (shown(first, field), shown(other, field));
                        @if !left.is_empty() || !right.is_empty() {
                            (row(label, &cell(field, &left), &cell(field, &right), left != right))
                        }
                    }
                    (row("signatures under it", &signatures(first), &signatures(other), false))
                }
            }
        }
    }
}

/// What is compared, and what people call it.
const FIELDS: [(&str, &str); 5] =
    [("request", "hash"), ("operation", "operation"), ("to_address", "to"), ("amount", "value"), ("call", "call")];

fn row(label: &str, left: &Markup, right: &Markup, differs: bool) -> Markup {
    html! {
        tr.differs[differs] role="row" {
            th role="rowheader" scope="row" { (label) }
            td role="cell" data-label="shown" { (left) }
            td.sign role="cell" { @if differs { span role="img" aria-label="is not" { "≠" } } }
            td.other role="cell" data-label="signed" { (right) }
        }
    }
}

fn cell(field: &str, value: &str) -> Markup {
    let code = ["request", "to_address", "call"].contains(&field);
    html! {
        @if value.is_empty() { span.quiet { "none" } }
        @else if code { code { (value) } }
        @else { (value) }
    }
}

fn shown(request: &Value, field: &str) -> String {
    match (field, &request[field]) {
        (_, Value::Null) => String::new(),
        ("operation", operation) => match operation.as_i64() {
            Some(0) => "0: an ordinary call".to_owned(),
            Some(1) => "1: delegatecall, foreign code acts as the wallet".to_owned(),
            _ => operation.to_string(),
        },
        ("amount", Value::String(digits)) => request["amount_in_words"].as_str().unwrap_or(digits).to_owned(),
        ("call", call) => called(call),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// A call as its name and arguments.
fn called(call: &Value) -> String {
    let Some(name) = call["name"].as_str() else { return call.to_string() };
    let arguments = call["args"].as_object().into_iter().flatten();
    let arguments = arguments.map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    format!("{name}({})", arguments.collect::<Vec<_>>().join(", "))
}

fn signatures(request: &Value) -> Markup {
    let count = |what: &str| request["signatures"][what].as_u64().unwrap_or_default();
    let (fit, wrong) = (count("fit"), count("mismatch"));
    html! {
        @if fit > 0 { (fit) " fit it" }
        @if fit > 0 && wrong > 0 { ", " }
        @if wrong > 0 { strong.wrong { "✕ " (wrong) @if wrong == 1 { " does not fit it" } @else { " do not fit it" } } }
        @if fit + wrong == 0 { span.quiet { "none" } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_sides_stand_beside_each_other_and_what_differs_is_said() {
        let side = |request: &str, operation: u64, fit: u64, wrong: u64, carried_out: bool| {
            json!({
                "request": request, "operation": operation, "time": "2025-02-21T05:42:39Z",
                "amount": "1", "asset": "x", "amount_in_words": "1 <i>",
                "signatures": { "fit": fit, "mismatch": wrong }, "carried_out": carried_out,
            })
        };
        let pair = json!({
            "wallet": "w", "nonce": 71, "first": side("0xshown", 0, 0, 3, false), "other": side("0xsigned", 1, 3, 0, true),
        });
        let shown = compared(&json!({ "custody": { "compared": [pair] } })).into_string();
        for part in
            ["0xshown", "0xsigned", "3 do not fit it", "3 fit it", "delegatecall", "What was signed", "&lt;i&gt;"]
        {
            assert!(shown.contains(part), "no `{part}` in {shown}");
        }
        // Hash and operation differ, the value does not.
        assert_eq!(shown.matches("is not").count(), 2, "{shown}");
    }
}
