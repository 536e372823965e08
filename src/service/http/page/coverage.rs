//! The coverage matrix: for each row of the CCSS the rules that name it and how much of each system they see, and what each of
//! them needs to see, with the sources that tell of it and the feeds that could.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::parts::{items, severity, strings, text};
use super::sessions::Session;
use super::{Page, layout, rules};

/// `GET /page/coverage`.
pub(super) async fn show(State(page): State<Arc<Page>>, Extension(session): Extension<Session>) -> Response {
    let answered = page.ask(&session, Method::GET, "/v1/coverage", None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    layout::page(&session, "Coverage", "/page/coverage", &matrix(&answered.value))
}

fn matrix(answer: &Value) -> Markup {
    let systems = strings(&answer["systems"]);
    let mut rows: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for rule in items(&answer["rules"]) {
        let named = strings(&rule["ccss"]);
        let named = if named.is_empty() { vec![""] } else { named };
        named.into_iter().for_each(|row| rows.entry(row).or_default().push(rule));
    }
    html! {
        h1 { "Coverage" }
        p {
            "Rows of the CCSS that a rule names, and how much each rule sees of each system, by what was heard of it. What nobody "
            "tells of is shown here and pages nobody."
        }
        p { "✓ sees all that it needs. ◐ sees some of it. ✕ is blind." }
        div.wide tabindex="0" role="region" aria-label="Rules by row of the CCSS" {
            table.matrix {
                thead { tr {
                    th scope="col" { "Rule" } th scope="col" { "Severity" }
                    @for system in &systems { th scope="col" { (system) } }
                    th scope="col" { "Needs to see" }
                } }
                @for (row, rules) in &rows {
                    tbody {
                        tr { th.row scope="rowgroup" colspan=(systems.len() + 3) { (title(row)) " " (counted(rules, &systems)) } }
                        @for rule in rules { (line(rule, &systems)) }
                    }
                }
            }
        }
        h2 { "What tells of it" }
        (needs(items(&answer["needs"]), &systems))
    }
}

fn title(row: &str) -> String {
    if row.is_empty() { "No row of the CCSS".to_owned() } else { format!("CCSS {row}") }
}

/// How many of the rules see all that they need in every system.
fn counted(rules: &[&Value], systems: &[&str]) -> Markup {
    let sees = |rule: &&&Value| systems.iter().all(|system| rule["sight"][system] == "sees");
    html! { span.quiet { (rules.iter().filter(sees).count()) " of " (rules.len()) " rules see everywhere" } }
}

fn line(rule: &Value, systems: &[&str]) -> Markup {
    let needs = strings(&rule["needs"]);
    html! {
        tr {
            td { a.entry href=(rules::link(text(rule, "rule"))) title=(text(rule, "title")) { code { (text(rule, "rule")) } } }
            td { (severity(text(rule, "severity"))) }
            @for system in systems { td { (sight(text(&rule["sight"], system))) } }
            td { @if needs.is_empty() { span.quiet { "any event" } } @else { (needs.join(", ")) } }
        }
    }
}

fn sight(sight: &str) -> Markup {
    html! {
        @match sight {
            "sees" => "✓ sees",
            "half blind" => "◐ half blind",
            _ => { strong.wrong { "✕ blind" } },
        }
    }
}

fn needs(needs: &[Value], systems: &[&str]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="What tells of it" {
            table {
                thead { tr {
                    th scope="col" { "Needed" }
                    @for system in systems { th scope="col" { "Sources in " (system) } }
                    th scope="col" { "Feeds that tell of it" }
                } }
                tbody {
                    @for need in needs {
                        tr {
                            th scope="row" { code { (text(need, "need")) } }
                            @for system in systems {
                                @let sources = strings(&need["sources"][system]);
                                td { @if sources.is_empty() { strong.wrong { "✕ none" } } @else { (sources.join(", ")) } }
                            }
                            td { (strings(&need["feeds"]).join(", ")) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_row_has_its_rules_and_each_need_its_sources() {
        let attack = "<script>alert(1)</script>";
        let rule = |id: &str, ccss: &[&str], sight: &str| {
            let sight = json!({ "cold": sight });
            json!({ "rule": id, "severity": "high", "title": attack, "ccss": ccss, "needs": ["signer"], "sight": sight })
        };
        let answer = json!({
            "systems": ["cold"],
            "rules": [rule("a/one", &["2.02.3.2", "1.05.8.1"], "sees"), rule("a/two", &["2.02.3.2"], "half blind")],
            "needs": [{ "need": "signer", "feeds": ["safe"], "sources": { "cold": [attack] } }, { "need": "node", "sources": {} }],
        });
        let shown = matrix(&answer).into_string();
        let (first, second) = shown.split_once("CCSS 2.02.3.2").unwrap();
        assert!(
            first.contains("CCSS 1.05.8.1") && first.contains("1 of 1 rules") && !first.contains("a/two"),
            "{shown}"
        );
        assert!(second.contains("1 of 2 rules see everywhere") && second.contains("◐ half blind"), "{shown}");
        assert!(second.contains("safe") && second.contains("✕ none"), "{shown}");
        assert!(shown.contains("&lt;script&gt;alert(1)") && !shown.contains("<script"), "{shown}");
    }
}
