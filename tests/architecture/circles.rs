//! Files of a room form no circles: what two of them need stands in a third, below both.
//!
//! An arrow is what a file names by `crate::`, `super::` or `self::`, in a `use` or elsewhere; comments and tests are left
//! out. What a parent takes from its own children (`use child::Type`) is none, and neither is what lies in the crate's
//! root: that children use a type of their parent, and that the parent shows what its children have, is ordinary Rust.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::support::tree;

/// The rooms that are looked at, by their folders.
const ROOMS: [&str; 7] = [
    "alerting/src",
    "detectors/src",
    "ingest/src",
    "replay-data/simulator/src",
    "replay-data/stranger/src",
    "src",
    "store/src",
];

/// For each file which others it names: `a/b` is `a/b.rs` or `a/b/mod.rs`, and the crate's root has no name.
type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn files_of_a_room_form_no_circles() {
    let texts = tree::texts(&["rs"]);
    for room in ROOMS {
        let arrows = arrows(room, &texts);
        assert!(arrows.values().any(|to| !to.is_empty()), "the files of {room} were not found");
        let circles = circles(&arrows);
        assert!(
            circles.is_empty(),
            "{room}: {circles:?} need each other; what two need belongs into a third, below both"
        );
    }
}

/// Each with all of its files: what two subcommands need stands outside of both.
#[test]
fn subcommands_form_no_circles() {
    let mut whole = Arrows::new();
    for (module, to) in arrows("src", &tree::texts(&["rs"])) {
        let Some(from) = subcommand(&module) else { continue };
        let others = to.iter().filter_map(|module| subcommand(module)).filter(|other| *other != from);
        whole.entry(from.to_owned()).or_default().extend(others.map(str::to_owned));
    }
    assert!(whole.values().any(|to| !to.is_empty()), "no subcommand was found");
    let circles = circles(&whole);
    assert!(circles.is_empty(), "{circles:?} need each other; what two need belongs below `commands/`");
}

/// The subcommand that a file of `src/` belongs to.
fn subcommand(module: &str) -> Option<&str> {
    module.strip_prefix("commands/")?.split('/').next()
}

fn arrows(room: &str, texts: &[(PathBuf, String)]) -> Arrows {
    let base = format!("{room}/");
    let of_room = texts.iter().filter_map(|(file, text)| {
        let module = module(file.to_str()?.strip_prefix(&base)?)?;
        Some((module, code(text)))
    });
    let files: BTreeMap<String, String> = of_room.collect();
    files.iter().map(|(module, code)| (module.clone(), named(module, code, &files))).collect()
}

/// What a file of a room is called here; `None` for tests.
pub(super) fn module(file: &str) -> Option<String> {
    let mut names: Vec<&str> = file.strip_suffix(".rs")?.split('/').collect();
    if names.contains(&"tests") {
        return None;
    }
    if ["lib", "main", "mod"].contains(names.last()?) {
        names.pop();
    }
    Some(names.join("/"))
}

/// A text without comments, and without the tests at its end.
pub(super) fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join("\n")
}

/// The files of a room that one of them names.
fn named(module: &str, code: &str, files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let starts = ["crate::", "super::", "self::"].into_iter().flat_map(|word| code.match_indices(word));
    let begins_a_path = |start: usize| {
        let before = &code[..start];
        let goes_on = before.ends_with(|last: char| last.is_alphanumeric() || "_:$".contains(last));
        // `pub(in crate::module)` names who may see something.
        !goes_on && !before.ends_with("(in ")
    };
    let mut found = BTreeSet::new();
    for (start, _) in starts.filter(|(start, _)| begins_a_path(*start)) {
        for path in expand(&code[start..]).0 {
            let mut at: Vec<&str> = module.split('/').filter(|name| !name.is_empty()).collect();
            for name in path {
                match name {
                    "crate" => at.clear(),
                    "super" => {
                        at.pop();
                    }
                    "self" => {}
                    name => at.push(name),
                }
            }
            while !at.is_empty() && !files.contains_key(&at.join("/")) {
                at.pop();
            }
            let to = at.join("/");
            if !to.is_empty() && to != module {
                found.insert(to);
            }
        }
    }
    found
}

/// The paths that a text begins with, such as `a::b` or `a::{b, c::d}`, and what follows them.
fn expand(text: &str) -> (Vec<Vec<&str>>, &str) {
    let Some(group) = text.strip_prefix('{') else {
        let end = text.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let Some(below) = rest.strip_prefix("::") else { return (vec![vec![name]], rest) };
        let (paths, rest) = expand(below);
        return (paths.into_iter().map(|path| [vec![name], path].concat()).collect(), rest);
    };
    let (mut all, mut rest) = (Vec::new(), group.trim_start());
    while !rest.is_empty() && !rest.starts_with('}') {
        let (paths, after) = expand(rest);
        all.extend(paths);
        // ` as name`, a comma and the space before the next one.
        let after = after.trim_start_matches(|next: char| next != ',' && next != '}');
        rest = after.trim_start_matches(',').trim_start();
    }
    (all, rest.strip_prefix('}').unwrap_or(rest))
}

/// Files each of which leads to all others of its circle.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|from| (from.as_str(), all_reached(from, arrows))).collect();
    let circles = reached.iter().map(|(module, others)| {
        let circle = others.iter().copied().filter(|other| reached[other].contains(module));
        circle.collect::<BTreeSet<&str>>()
    });
    circles.filter(|circle| !circle.is_empty()).collect()
}

fn all_reached<'a>(from: &str, arrows: &'a Arrows) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&'a str> = arrows[from].iter().map(String::as_str).collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(arrows[module].iter().map(String::as_str));
        }
    }
    reached
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_arrow_is_seen_however_a_file_is_named() {
    let files: BTreeMap<String, String> =
        set(&["", "a", "a/b", "a/c", "d", "e", "f"]).into_iter().map(|module| (module, String::new())).collect();
    for (line, to) in [
        ("use crate::d::T;", set(&["d"])),
        ("use crate::{\n    d,\n    e::{X, Y as Z},\n};", set(&["d", "e"])),
        ("use super::{c::{self, T}, U};", set(&["a", "a/c"])),
        ("let x = super::super::f::g(super::c::h());", set(&["a/c", "f"])),
        ("pub(in crate::a) fn f() {}", set(&[])),
        ("use self::own; use crate::Error; use other::d;", set(&[])),
    ] {
        assert_eq!(named("a/b", line, &files), to, "{line}");
    }
    assert_eq!(code("a\n/// crate::d\nb\n\n#[cfg(test)]\nmod tests {\n    c\n}\n"), "a\nb");
}

#[test]
fn a_circle_is_found_and_what_leads_to_it_is_none() {
    let arrows: Arrows = BTreeMap::from([
        ("a".to_owned(), set(&["b"])),
        ("b".to_owned(), set(&["c"])),
        ("c".to_owned(), set(&["b", "d"])),
        ("d".to_owned(), set(&[])),
    ]);
    assert_eq!(circles(&arrows), BTreeSet::from([BTreeSet::from(["b", "c"])]));
}
