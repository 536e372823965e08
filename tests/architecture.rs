//! The house rules that a machine can check: who may import whom, what every room has, how large a file may be.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::process::Command;

use serde_json::Value;

#[path = "support/tree.rs"]
mod tree;

const ROOMS: [&str; 5] = ["alerting", "detectors", "ingest", "replay-data/simulator", "store"];

/// What may stand at the top, besides hidden files and `*.toml`.
const TOP: [&str; 19] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "alerting",
    "benches",
    "dashboards",
    "detectors",
    "docker-compose.yml",
    "docs",
    "ingest",
    "replay-data",
    "src",
    "store",
    "tests",
];

const LINES_MAX: usize = 500;

fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--offline", "--format-version", "1", "--no-deps"]).current_dir(tree::root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> String {
    package["name"].as_str().unwrap().to_owned()
}

#[test]
fn rooms_form_a_star_around_the_store() {
    let packages = packages();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let rooms = ROOMS.map(|room| format!("keywatch-{}", room.rsplit('/').next().unwrap()));
    assert_eq!(ours, rooms.iter().cloned().chain(["keywatch".to_owned()]).collect());

    let imports: BTreeMap<String, BTreeSet<String>> = packages
        .iter()
        .map(|package| {
            // Of every kind: a test that needs another room belongs into the root's tests.
            let dependencies = package["dependencies"].as_array().unwrap().iter().map(name);
            (name(package), dependencies.filter(|dependency| ours.contains(dependency)).collect())
        })
        .collect();
    let only_the_store = BTreeSet::from(["keywatch-store".to_owned()]);
    for room in &rooms {
        let allowed = if room == "keywatch-store" { BTreeSet::new() } else { only_the_store.clone() };
        assert_eq!(imports[room], allowed, "{room} may import {allowed:?} and nothing else of ours");
    }
    assert_eq!(imports["keywatch"], rooms.into_iter().collect());
}

#[test]
fn a_dependency_of_ours_has_its_version_in_one_place() {
    for file in ["Cargo.toml"].into_iter().map(str::to_owned).chain(ROOMS.map(|room| format!("{room}/Cargo.toml"))) {
        let text = std::fs::read_to_string(tree::root().join(&file)).unwrap();
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for (dependency, how) in dependencies {
                let inherited = how.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherited, "{file}: `{dependency}` has to be `workspace = true`");
            }
        }
        assert!(manifest.contains_key("lints"), "{file} does not take the workspace's lints");
    }
}

#[test]
fn there_are_no_features_of_our_own() {
    for package in packages() {
        assert_eq!(package["features"].as_object().map(serde_json::Map::len), Some(0), "{}", name(&package));
    }
}

#[test]
fn nothing_is_named_for_having_no_place() {
    for file in tree::files() {
        for part in file.components() {
            let Component::Normal(part) = part else { continue };
            let stem = Path::new(part).file_stem().unwrap().to_string_lossy().to_lowercase();
            let placeless = ["common", "util", "utils", "helper", "helpers", "misc"].contains(&stem.as_str());
            assert!(!placeless, "{}: name it for what it does", file.display());
        }
    }
}

#[test]
fn the_top_level_holds_only_what_is_known() {
    let tops: BTreeSet<String> = tree::files()
        .iter()
        .map(|file| file.components().next().unwrap().as_os_str().to_string_lossy().into_owned())
        .collect();
    for top in tops {
        let file = Path::new(&top);
        let configuration = file.extension().is_some_and(|extension| extension == "toml");
        assert!(
            top.starts_with('.') || configuration || TOP.contains(&top.as_str()),
            "`{top}` is not known at the top"
        );
    }
}

#[test]
fn every_room_has_its_limits() {
    for room in ROOMS.map(|room| format!("{room}/src")).into_iter().chain(["src".to_owned()]) {
        let file = format!("{room}/limits.rs");
        let text = std::fs::read_to_string(tree::root().join(&file)).unwrap_or_default();
        assert!(text.lines().any(|line| line.contains("const ")), "{file} has to hold the room's limits (promise P7)");
    }
}

#[test]
fn every_room_repeats_the_lints_of_the_root() {
    let read = |file: &Path| toml::from_str::<toml::Table>(&std::fs::read_to_string(file).unwrap()).unwrap();
    let paths = |lints: &toml::Table| -> BTreeSet<String> {
        let methods = lints["disallowed-methods"].as_array().unwrap();
        methods.iter().map(|method| method["path"].as_str().unwrap().to_owned()).collect()
    };
    let root = read(&tree::root().join("clippy.toml"));
    for room in ROOMS {
        let lints = read(&tree::root().join(room).join("clippy.toml"));
        for (key, value) in root.iter().filter(|(key, _)| *key != "disallowed-methods") {
            assert_eq!(lints.get(key), Some(value), "{room}/clippy.toml: `{key}`");
        }
        // The root alone has a module that prints; rooms have the lints `print_stdout` and `print_stderr`.
        let missing: Vec<String> = paths(&root).difference(&paths(&lints)).cloned().collect();
        assert_eq!(missing, ["std::io::stderr", "std::io::stdout"], "{room}/clippy.toml");
        for method in lints["disallowed-methods"].as_array().unwrap() {
            assert!(method["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{room}: {method}");
        }
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for (file, text) in tree::texts(&["rs"]) {
        assert!(text.starts_with("//! "), "{} does not open with `//!`", file.display());
    }
}

#[test]
fn no_file_holds_two_ideas() {
    let generated = Path::new("docs");
    for (file, text) in tree::texts(&["rs", "rego", "sql", "toml", "yml", "md", "sh"]) {
        let lines = text.lines().count();
        assert!(
            lines <= LINES_MAX || file.starts_with(generated),
            "{}: {lines} lines, at most {LINES_MAX}",
            file.display()
        );
    }
}

#[test]
fn nothing_is_left_to_be_done() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!"), concat!("to", "do!(")];
    for (file, text) in tree::texts(&["rs", "rego", "sql", "toml", "yml", "md", "sh"]) {
        for (number, line) in text.lines().enumerate() {
            let found = marks.iter().find(|mark| line.contains(**mark));
            assert!(found.is_none(), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}
