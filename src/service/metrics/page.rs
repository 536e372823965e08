//! The page `docs/metrics.md`, made of the list and of what stands in `dashboards/`, and the tests that hold the two
//! against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ALL, Described};

/// An expression of a dashboard or a rule file.
struct Used {
    /// The dashboard's title, or the alert's or recording rule's name.
    by: String,
    place: Place,
    expression: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Dashboard,
    Alert,
    Recording,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder with that extension, in the order of their names.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    assert!(!files.is_empty(), "no .{extension} in {folder}");
    files
}

fn dashboards() -> Vec<(String, Value)> {
    let read = |path: PathBuf| {
        let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        (dashboard["title"].as_str().unwrap().to_owned(), dashboard)
    };
    files("dashboards/grafana/dashboards", "json").into_iter().map(read).collect()
}

/// Every `expr`, and every query of a variable or an annotation.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if name == "expr" || (name == "query" && text.contains("keywatch_")) => {
                        found.push(text.to_owned());
                    }
                    _ => expressions(field, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

fn used() -> Vec<Used> {
    let mut used = Vec::new();
    for (title, dashboard) in dashboards() {
        let mut found = Vec::new();
        expressions(&dashboard, &mut found);
        used.extend(found.into_iter().map(|expression| Used {
            by: title.clone(),
            place: Place::Dashboard,
            expression,
        }));
    }
    for file in ["recording.yml", "alerts.yml"] {
        let text = std::fs::read_to_string(root().join("dashboards/prometheus").join(file)).unwrap();
        let rules: Value = serde_norway::from_str(&text).unwrap();
        for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
            let (by, place) = match (rule["alert"].as_str(), rule["record"].as_str()) {
                (Some(alert), _) => (alert, Place::Alert),
                (_, recorded) => (recorded.unwrap(), Place::Recording),
            };
            used.push(Used { by: by.to_owned(), place, expression: rule["expr"].as_str().unwrap().to_owned() });
        }
    }
    used
}

/// The names in an expression that are keywatch's: what stands in quotes is none.
fn names(expression: &str) -> BTreeSet<String> {
    let unquoted: String = expression.split('"').step_by(2).collect();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let words = unquoted.split(|letter| !is_name(letter));
    words.filter(|word| word.starts_with("keywatch")).map(str::to_owned).collect()
}

/// The metric that a name is of: a histogram has three.
fn metric(name: &str) -> Option<&'static Described> {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    ALL.iter().find(|metric| metric.name == name || (metric.kind == "histogram" && base == Some(metric.name)))
}

/// The metrics that an expression stands on, through recording rules where it names those.
fn metrics(expression: &str, recorded: &BTreeMap<String, String>) -> BTreeSet<&'static str> {
    let of = |name: &String| match recorded.get(name) {
        Some(expression) => metrics(expression, recorded),
        None => metric(name).map(|metric| metric.name).into_iter().collect(),
    };
    names(expression).iter().flat_map(of).collect()
}

fn recorded(used: &[Used]) -> BTreeMap<String, String> {
    let recording = used.iter().filter(|used| used.place == Place::Recording);
    recording.map(|used| (used.by.clone(), used.expression.clone())).collect()
}

/// What its name says after the base: a unit, or what is counted.
fn unit(metric: &Described) -> &'static str {
    let base = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    match base.rsplit('_').next() {
        _ if base.ends_with("_timestamp_seconds") || base == "keywatch_log_head_time" => "unix seconds",
        Some("seconds") => "seconds",
        Some("bytes") => "bytes",
        Some("position" | "hash" | "info" | "coverage" | "ready" | "parked" | "down") => "",
        _ => "count",
    }
}

fn page() -> String {
    let used = used();
    let recorded = recorded(&used);
    let mut page = String::from(
        "# Metrics\n\nGenerated from `src/service/metrics.rs` and `dashboards/` by `make docs`; edit those.\n\n\
         What `keywatch run` shows at `/metrics`, as Prometheus text or, where the scraper asks for it, as OpenMetrics. \
         Names follow the conventions of Prometheus: counters end in `_total`, units are seconds and bytes. Latencies are \
         histograms with the same buckets everywhere, so that they can be added up over machines; in OpenMetrics a bucket \
         carries the id of the last alert that fell into it as an exemplar.\n\n\
         Labels hold only what keywatch or its operator chose: systems, sources, wallets and destinations as configured and \
         declared, rules, kinds and outcomes of the registry. A wallet that nobody declared is `undeclared`, an outcome that \
         the registry does not have `other`: whoever feeds keywatch cannot make up series.\n\n\
         | metric | type | labels | unit | meaning | dashboards | alerts |\n|---|---|---|---|---|---|---|\n",
    );
    for described in ALL {
        let by = |place: Place| {
            let is_of =
                |used: &&Used| used.place == place && metrics(&used.expression, &recorded).contains(described.name);
            let by: BTreeSet<&str> = used.iter().filter(is_of).map(|used| used.by.as_str()).collect();
            by.into_iter().collect::<Vec<_>>().join(", ")
        };
        let labels: Vec<String> = described.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} | {} |",
            described.name,
            described.kind,
            labels.join(", "),
            unit(described),
            described.help,
            by(Place::Dashboard),
            by(Place::Alert),
        )
        .unwrap();
    }
    page.push_str("\n## Recorded\n\n| series | expression |\n|---|---|\n");
    for (name, expression) in &recorded {
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(page, "| `{name}` | `{expression}` |").unwrap();
    }
    page
}

#[test]
fn the_page_of_metrics_is_as_the_list_and_the_dashboards_have_it() {
    let (file, page) = (root().join("docs/metrics.md"), page());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), page, "`make docs` writes it anew");
}

#[test]
fn dashboards_and_rules_name_only_metrics_that_exist() {
    let used = used();
    let recorded = recorded(&used);
    for Used { by, expression, .. } in &used {
        for name in names(expression) {
            let known = metric(&name).is_some() || recorded.contains_key(&name);
            assert!(
                known,
                "`{by}` names `{name}`, which is neither in src/service/metrics.rs nor recorded: {expression}"
            );
        }
    }
}

#[test]
fn every_metric_stands_on_a_dashboard() {
    let used = used();
    let recorded = recorded(&used);
    let shown = used.iter().filter(|used| used.place == Place::Dashboard);
    let shown: BTreeSet<&str> = shown.flat_map(|used| metrics(&used.expression, &recorded)).collect();
    for described in ALL {
        assert!(shown.contains(described.name), "{} stands on no panel", described.name);
    }
}

#[test]
fn names_are_read_out_of_an_expression() {
    let expression =
        r#"sum by (rule) (rate(keywatch_a_total{rule=~"keywatch_b.*"}[5m])) / keywatch:c:d > on() keywatch_e_bucket"#;
    let found: Vec<String> = names(expression).into_iter().collect();
    assert_eq!(found, ["keywatch:c:d", "keywatch_a_total", "keywatch_e_bucket"]);
}
