//! The Grafana dashboards as files: fresh, loadable, linked, and readable by people who do not see every colour.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::left_out;
use crate::support::tools;
use crate::support::tree::root;

/// The dashboards by the name of their file.
pub(super) fn dashboards() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(root().join("dashboards/grafana/dashboards")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// The Python that has the SDK: where `make dashboards` installs it, or the one of the machine.
fn python() -> Option<PathBuf> {
    let cached = tools::folder().join("grafana-sdk/bin/python");
    let named = std::env::var_os("KEYWATCH_TEST_PYTHON").map(PathBuf::from);
    let has_sdk = |python: &PathBuf| {
        let imported = Command::new(python).args(["-c", "import grafana_foundation_sdk"]).output();
        imported.is_ok_and(|output| output.status.success())
    };
    named.into_iter().chain([cached, PathBuf::from("python3")]).find(has_sdk)
}

#[test]
fn the_dashboards_are_what_the_generator_makes() {
    let Some(python) = python() else {
        return left_out("no Python with the Grafana foundation SDK (`make dashboards` installs it)");
    };
    let made = tempfile::tempdir().unwrap();
    let generator = root().join("dashboards/grafana/generate/generate.py");
    let mut command = Command::new(python);
    command.arg(generator).arg(made.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stands = dashboards();
    assert_eq!(stands.len(), std::fs::read_dir(made.path()).unwrap().count(), "a dashboard that nothing makes");
    for (name, stands) in stands {
        let text = std::fs::read_to_string(made.path().join(format!("{name}.json"))).unwrap();
        assert!(serde_json::from_str::<Value>(&text).unwrap() == stands, "{name}: `make dashboards` writes it anew");
    }
}

#[test]
fn every_dashboard_has_its_links_its_variables_and_panels_that_say_what_they_show() {
    let mut identifiers = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert_eq!(dashboard["uid"], *name);
        assert!(identifiers.insert(name.clone()));
        assert_eq!(dashboard["tags"], serde_json::json!(["keywatch"]), "{name}: the links go by this tag");
        let variables: Vec<&str> = dashboard["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert!(variables.starts_with(&["datasource", "docs", "page", "system"]), "{name}: {variables:?}");
        let text = dashboard.to_string();
        assert_eq!(variables.contains(&"wallet"), text.contains("$wallet"), "{name}");
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{name}: {title} has no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            let place = &panel["gridPos"];
            assert!(
                place["x"].as_u64().unwrap_or(0) + place["w"].as_u64().unwrap() <= 24,
                "{name}: {title} is too wide"
            );
        }
    }
    assert_eq!(identifiers.len(), 8);
}

#[test]
fn what_is_counted_by_rule_leads_to_its_incidents_and_to_its_page() {
    let mut tables = 0;
    for (name, dashboard) in dashboards() {
        assert_eq!(dashboard["links"][1]["url"], "${page}", "{name}");
        for panel in dashboard["panels"].as_array().unwrap() {
            let urls: Vec<&str> = panel["fieldConfig"]["defaults"]["links"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|link| link["url"].as_str().unwrap())
                .collect();
            let asked = panel["targets"][0]["expr"].as_str().unwrap();
            if panel["type"] == "table" && asked.contains("rule") {
                tables += 1;
                let of_rule =
                    ["${page}?rule=${__data.fields.rule:percentencode}", "${page}/rules/${__data.fields.rule}"];
                assert!(urls.starts_with(&of_rule), "{name}: {}: {urls:?}", panel["title"]);
            }
            let severity = panel["title"].as_str().unwrap().strip_prefix("Open incidents: ");
            if let Some(severity) = severity {
                assert_eq!(urls, [format!("${{page}}?severity={severity}")], "{name}");
            }
        }
    }
    assert_eq!(tables, 8);
    // An exemplar is an alert; the page shows the incident that an alert is in.
    let source = root().join("dashboards/grafana/provisioning/datasources/prometheus.yml");
    let source = std::fs::read_to_string(source).unwrap();
    assert!(source.contains("name: alert_id") && source.contains("/page/incidents/$${__value.raw}"), "{source}");
}

#[test]
fn panels_do_not_lie_on_one_another() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let of = |field: &str| panel["gridPos"][field].as_u64().unwrap_or(0);
            for (x, y) in (of("x")..of("x") + of("w")).flat_map(|x| (of("y")..of("y") + of("h")).map(move |y| (x, y))) {
                assert!(taken.insert((x, y)), "{name}: {} lies on another panel", panel["title"]);
            }
        }
    }
}

/// The palette of Okabe and Ito, which people with any colour blindness can tell apart, and grey.
const PALETTE: [&str; 8] = ["#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#F0E442", "#999999"];

#[test]
fn every_colour_is_one_that_everybody_can_tell_apart() {
    for (name, dashboard) in dashboards() {
        let text = dashboard.to_string();
        let colours: BTreeSet<&str> = text.match_indices("\"#").map(|(at, _)| &text[at + 1..at + 8]).collect();
        assert!(!colours.is_empty() && colours.iter().all(|colour| PALETTE.contains(colour)), "{name}: {colours:?}");
        for mode in ["palette-classic", "GrYlRd", "RdYlGr"] {
            assert!(!text.contains(mode), "{name} has colours of {mode}");
        }
    }
}
