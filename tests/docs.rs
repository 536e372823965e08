//! Documents that are generated are as the code has them, and those written by hand point to what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use keywatch_store::inventory::{Cell, TABLES};
use keywatch_store::kinds::{KINDS, Kind, Writer};
use keywatch_store::schema::{COLUMNS, ColumnType};

use crate::support::{golden, tree};

#[test]
fn the_event_reference_is_as_the_registry_has_it() {
    golden::check(&tree::root().join("docs/events.md"), &event_reference());
}

#[test]
fn the_inventory_reference_is_as_the_tables_have_it() {
    golden::check(&tree::root().join("docs/inventory.md"), &inventory_reference());
}

fn event_reference() -> String {
    let mut page = String::from(
        "# Events\n\nGenerated from `store/src/schema.rs` and `store/src/kinds/` by `make docs`; edit those.\n\n\
         ## Columns\n\nOne flat table, `events`. Rules select from it; an event line has the same fields, the empty \
         ones left out.\n\n| column | type | may be empty | meaning |\n|---|---|---|---|\n",
    );
    for (name, column, nullable, meaning) in COLUMNS {
        let empty = if *nullable { "yes" } else { "no" };
        row(&mut page, &[&code(name), column_type(*column), empty, meaning]);
    }
    let families: BTreeSet<&str> = KINDS.iter().map(family).collect();
    for family_name in families {
        write!(page, "\n## {family_name}\n").unwrap();
        for kind in KINDS.iter().filter(|kind| family(kind) == family_name) {
            describe(&mut page, kind);
        }
    }
    page
}

fn family(kind: &Kind) -> &'static str {
    kind.name.split('.').next().unwrap_or(kind.name)
}

fn describe(page: &mut String, kind: &Kind) {
    let writer = match kind.writer {
        Writer::Source => "a source",
        Writer::Keywatch => "keywatch, in the events topic",
        Writer::Conclusion => "keywatch, in the conclusions topic",
    };
    let mut meaning = kind.meaning.to_owned();
    meaning[..1].make_ascii_uppercase();
    write!(page, "\n### `{}`\n\n{meaning}. Written by {writer}.", kind.name).unwrap();
    if !kind.outcomes.is_empty() {
        let outcomes: Vec<String> = kind.outcomes.iter().map(|outcome| code(outcome)).collect();
        write!(page, " `outcome` is one of {}.", outcomes.join(", ")).unwrap();
    }
    page.push('\n');
    if !kind.detail.is_empty() {
        page.push_str("\n| in `detail` | type | meaning |\n|---|---|---|\n");
        for (name, field_type, meaning) in kind.detail {
            row(page, &[&code(name), field_type, meaning]);
        }
    }
}

fn inventory_reference() -> String {
    let mut page = String::from(
        "# Inventory\n\nGenerated from `store/src/inventory/` by `make docs`; edit that.\n\n\
         What you declare about your systems, as TOML: one `[[systems]]` for each trusted environment, with the tables \
         below as arrays in it (`[[systems.wallets]]` and so on). Rules join them under the names below; every table also \
         has the column `system`, and a row of `events` sees the inventory as of its own time. Addresses may be written with \
         the capitals of EIP-55: where their case says nothing they are read in lower case, as events have them, and so are \
         names of chains.\n\n\
         What is declared of a system is one record of the log, which has room for some 20,000 wallets with all that is \
         declared of them, or for as much of other rows. An inventory with more is not used: `keywatch doctor`, a start and \
         a running keywatch say how many of its rows have room. The others can be declared in a system of their own.\n",
    );
    for table in TABLES {
        write!(page, "\n## {}\n\nRows are {}.", table.name, table.meaning).unwrap();
        if !table.key.is_empty() {
            let key: Vec<String> = table.key.iter().map(|column| code(column)).collect();
            write!(page, " Within a system a row is identified by {}.", key.join(" and ")).unwrap();
        }
        page.push_str("\n\n| column | type | meaning |\n|---|---|---|\n");
        for (name, cell, meaning) in table.columns {
            let cell = match cell {
                Cell::Text => "text",
                Cell::Integer => "integer",
                Cell::Boolean => "boolean",
            };
            row(&mut page, &[&code(name), cell, meaning]);
        }
    }
    page
}

fn column_type(column: ColumnType) -> &'static str {
    match column {
        ColumnType::Text => "text",
        ColumnType::Time => "timestamp (ns, UTC)",
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "integer",
        ColumnType::Amount => "decimal(38, 0)",
        ColumnType::Usd => "decimal(38, 2)",
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(page, "| {} |", cells.join(" | ")).unwrap();
}

#[test]
fn links_lead_somewhere() {
    for (file, text) in tree::texts(&["md"]) {
        let here = tree::root().join(file.parent().unwrap_or(Path::new("")));
        for target in links(&text) {
            let path = target.split('#').next().unwrap_or_default();
            let inside = !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:");
            assert!(!inside || here.join(path).exists(), "{}: `{target}` leads nowhere", file.display());
        }
    }
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    let starts = text.match_indices("](").map(|(index, _)| &text[index + 2..]);
    starts.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

#[test]
fn every_page_of_the_docs_is_linked_from_another_page() {
    let pages = tree::texts(&["md"]);
    let mut linked = BTreeSet::new();
    for (file, text) in &pages {
        let here = tree::root().join(file.parent().unwrap_or(Path::new("")));
        let targets = links(text).into_iter().map(|target| here.join(target.split('#').next().unwrap_or_default()));
        let own = tree::root().join(file).canonicalize().unwrap();
        linked.extend(targets.filter_map(|target| target.canonicalize().ok()).filter(|target| *target != own));
    }
    for (file, _) in pages.iter().filter(|(file, _)| file.starts_with("docs")) {
        let page = tree::root().join(file).canonicalize().unwrap();
        assert!(linked.contains(&page), "no other page links to {}", file.display());
    }
}

#[test]
fn commands_that_documents_name_exist() {
    let makefile = std::fs::read_to_string(tree::root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let mut helps = BTreeMap::new();
    for (file, text) in tree::texts(&["md"]) {
        // What goes on in the next line is one command.
        let text = text.replace("\\\n", " ");
        for (line, words) in commands(&text) {
            let place = format!("{}: {line}", file.display());
            match words.as_slice() {
                ["make", target, ..] => assert!(targets.contains(target), "{place}"),
                ["keywatch", address, ..] if address.contains("://") => {}
                ["keywatch", arguments @ ..] | ["cargo", "run", "--release", "--", arguments @ ..] => {
                    check_arguments(arguments, &place, &mut helps);
                }
                _ => {}
            }
        }
    }
}

/// What stands before the options is a subcommand, and every option is one of it.
fn check_arguments(arguments: &[&str], place: &str, helps: &mut BTreeMap<String, String>) {
    let ends = ["|", "||", "&&", "&", ";", "#", ">", ">>", "<"];
    let arguments = arguments.split(|word| ends.contains(word)).next().unwrap_or_default();
    let mut depth = 0;
    while depth < arguments.len() && lists(&help_of(&arguments[..depth], helps), arguments[depth]) {
        depth += 1;
    }
    let (subcommand, rest) = arguments.split_at(depth);
    let help = help_of(subcommand, helps);
    let is_word = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let is_unknown = |next: &&str| !next.starts_with('-') && (depth == 0 || is_word(next));
    let misses = help.contains(COMMANDS) && rest.first().is_some_and(is_unknown);
    assert!(!misses, "{place}: there is no such subcommand");
    for word in rest {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-');
        let option = word.split('=').next().unwrap_or(word);
        let is_option =
            option.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
        let is_known = help.split(|c: char| !c.is_alphanumeric() && c != '-').any(|known| known == option);
        assert!(!is_option || is_known, "{place}: {subcommand:?} has no {option}");
    }
}

/// Before the subcommands in a help.
const COMMANDS: &str = "\nCommands:\n";

/// Whether a help lists a subcommand of that name.
fn lists(help: &str, name: &str) -> bool {
    let commands = help.split_once(COMMANDS).map_or("", |(_, after)| after.split("\n\n").next().unwrap_or_default());
    let mut names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    !name.is_empty() && names.any(|listed| listed == name)
}

fn help_of(subcommand: &[&str], helps: &mut BTreeMap<String, String>) -> String {
    let ask = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keywatch"));
        let asked = command.args(subcommand).arg("--help").output().unwrap();
        assert!(asked.status.success(), "{subcommand:?}");
        String::from_utf8(asked.stdout).unwrap()
    };
    helps.entry(subcommand.join(" ")).or_insert_with(ask).clone()
}

/// Words of the commands in a page: in backquotes, indented or fenced; each with the line it stands on.
fn commands(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut fenced = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let block = (fenced || line.starts_with("    ")).then_some(line);
        let quoted = line.split('`').skip(1).step_by(2);
        commands.extend(quoted.chain(block).map(|command| (line, command.split_whitespace().collect())));
    }
    commands
}

#[test]
fn every_dependency_has_its_cost_written_down() {
    let manifest = std::fs::read_to_string(tree::root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let foreign =
        manifest["workspace"]["dependencies"].as_table().unwrap().iter().filter(|(_, how)| how.get("path").is_none());
    let named: BTreeSet<&str> = foreign.map(|(name, _)| name.as_str()).collect();
    let page = std::fs::read_to_string(tree::root().join("docs/dependencies.md")).unwrap();
    let row = |line: &'_ str| Some(line.strip_prefix("| `")?.split_once("` | ")?.0.to_owned());
    let written: BTreeSet<String> = page.lines().filter_map(row).collect();
    let written: BTreeSet<&str> = written.iter().map(String::as_str).collect();
    assert_eq!(named, written, "docs/dependencies.md has a row for each; `make build-cost` prints them");
}
