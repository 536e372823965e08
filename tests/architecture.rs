//! The house rules that a machine can check: who may import whom, what every room has, how large a file may be.

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::tree;

const ROOMS: [&str; 6] = ["alerting", "detectors", "ingest", "replay-data/simulator", "replay-data/stranger", "store"];

/// Rooms that import nothing of ours: the centre, and the stranger, who is to agree with nobody.
const ALONE: [&str; 2] = ["keywatch-store", "keywatch-stranger"];

/// What may stand at the top, besides hidden files and `*.toml`.
const TOP: [&str; 20] = [
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
    "docker-compose.kafka.yml",
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
        let allowed = if ALONE.contains(&room.as_str()) { BTreeSet::new() } else { only_the_store.clone() };
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
fn every_file_is_a_module_of_something() {
    let texts: BTreeMap<PathBuf, String> = tree::texts(&["rs"]).into_iter().collect();
    for (file, text) in &texts {
        let is_target =
            text.contains("\nfn main(") || ["all.rs", "lib.rs", "main.rs"].iter().any(|end| file.ends_with(end));
        let module: &Path = if file.ends_with("mod.rs") { file.parent().unwrap() } else { file };
        let (folder, name) = (module.parent().unwrap(), module.file_stem().unwrap().to_string_lossy());
        let beside = ["all.rs", "lib.rs", "main.rs", "mod.rs"].map(|name| folder.join(name));
        let above = beside.into_iter().chain([folder.with_extension("rs")]);
        let above: Vec<&String> = above.filter_map(|file| texts.get(&file)).collect();
        // A test or benchmark in a folder without such a file is a target of its own.
        if is_target || above.is_empty() {
            continue;
        }
        let line = format!("mod {name};");
        let names_it = |other: &str| {
            other.strip_suffix(line.as_str()).is_some_and(|before| before.is_empty() || before.starts_with("pub"))
        };
        assert!(above.iter().any(|text| text.lines().any(names_it)), "{}: nobody says `{line}`", file.display());
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
fn nothing_that_runs_uses_a_log_that_fails_on_command() {
    let texts = tree::texts(&["rs"]);
    let name_it = |text: &str| text.contains(concat!("log::", "faulty"));
    assert!(texts.iter().any(|(_, text)| name_it(text)), "no test uses one");
    for (file, text) in &texts {
        let runs = circles::module(&file.to_string_lossy()).is_some() && name_it(&circles::code(text));
        assert!(!runs, "{}: store/src/log/faulty.rs is for tests", file.display());
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

/// The rows of a section of `ARCHITECTURE.md`: the folder of the heading above the row, and the names in backquotes in
/// its first cell and in the others.
struct MapRow {
    folder: String,
    named: Vec<String>,
    mentioned: Vec<String>,
}

fn map_rows(section: &str) -> Vec<MapRow> {
    let text = std::fs::read_to_string(tree::root().join("ARCHITECTURE.md")).unwrap();
    let heading = format!("\n## {section}\n");
    let (_, after) = text.split_once(&heading).expect("the page has this section");
    let body = after.split("\n## ").next().unwrap_or_default();
    let mut folder = String::new();
    let mut rows = Vec::new();
    for line in body.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            folder = heading.trim_matches('`').to_owned();
        } else if let Some(row) = line.strip_prefix("| ") {
            let (first, rest) = row.split_once(" | ").unwrap_or((row, ""));
            rows.push(MapRow { folder: folder.clone(), named: quoted(first), mentioned: quoted(rest) });
        }
    }
    assert!(rows.len() > 5, "`{section}` has no tables");
    rows
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_path(name: &str) -> bool {
    name.contains('/') && !name.contains(' ')
}

#[test]
fn every_path_of_the_code_map_exists() {
    let exists = |path: &str| tree::root().join(path).exists();
    for MapRow { folder, named, mentioned } in map_rows("Code map") {
        for name in &named {
            let path = format!("{folder}{name}");
            assert!(exists(&path) || exists(&format!("{path}.rs")), "the code map names `{path}`, which is not there");
        }
        for name in mentioned.iter().filter(|name| is_path(name)) {
            let path = format!("{folder}{name}");
            assert!(exists(&path) || exists(name), "the code map names `{path}`, which is not there");
        }
    }
}

#[test]
fn what_is_missing_has_a_place_that_exists() {
    for MapRow { mentioned, .. } in map_rows("Where what is missing will go") {
        for name in mentioned.iter().filter(|name| is_path(name)) {
            let path = tree::root().join(name);
            let parent = path.parent().expect("it stands below the root");
            assert!(path.exists() || parent.exists(), "`{name}` would stand where nothing is");
        }
    }
}

#[test]
fn every_folder_and_module_stands_in_the_code_map() {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for MapRow { folder, named, mentioned } in map_rows("Code map") {
        let names = named.iter().chain(&mentioned).map(|name| name.trim_end_matches('/').to_owned());
        known.entry(folder).or_default().extend(names);
    }
    for file in tree::files() {
        let path = file.to_string_lossy().into_owned();
        let top = path.split_once('/').map_or("", |(top, _)| top);
        assert!(top.is_empty() || top.starts_with('.') || known[""].contains(top), "the code map lacks `{top}/`");
        let Some(room) = ROOMS
            .iter()
            .map(|room| format!("{room}/src/"))
            .chain(["src/".to_owned()])
            .find(|room| path.starts_with(room))
        else {
            continue;
        };
        for place in places(&path[room.len()..]) {
            assert!(known[&room].contains(&place), "the code map of `{room}` lacks `{place}`");
        }
    }
}

/// The places of a module in its room that the map has to name: what stands directly in `src/`, and folders in that.
/// Every room has `lib` or `main`, `limits` and `error`, which the map does not repeat.
fn places(module: &str) -> Vec<String> {
    let parts: Vec<&str> = module.split('/').collect();
    let name = parts[0].trim_end_matches(".rs");
    if Path::new(module).extension().is_none_or(|extension| extension != "rs")
        || ["lib", "main", "limits", "error"].contains(&name)
    {
        return Vec::new();
    }
    let folder = (parts.len() > 2 && parts[1] != "tests").then(|| format!("{name}/{}", parts[1]));
    [name.to_owned()].into_iter().chain(folder).collect()
}
