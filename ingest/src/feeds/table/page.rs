//! The page of a feed, made of its table.

use std::fmt::{self, Write};

use keywatch_store::event::Origin;
use keywatch_store::line;
use serde_json::Value;

use super::{Case, Fact, Table, path};
use crate::feeds::TABLES;
use crate::{Context, Feed};

/// What the generated pages say about themselves.
const GENERATED: &str = "by `make docs`; edit that.";

/// Every generated page: its file name in `docs/feeds/` and its text.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    let pages = TABLES.iter().map(|table| (format!("{}.md", table.name), of(table)));
    std::iter::once(("README.md".to_owned(), index())).chain(pages).collect()
}

/// The list of feeds.
fn index() -> String {
    let mut page = format!(
        "# Feeds\n\nGenerated from `ingest/src/feeds/` {GENERATED}\n\nWhat keywatch understands, by the name that stands in \
         `POST /v1/ingest/<name>`, in `keywatch import --feed <name>` and in the inventory. What a source says is kept \
         beside the columns in `detail.record`, secrets hidden, up to {} KiB. Where a page names a function that checks a signature, the HTTP door does not \
         call it yet: there a source is known by its bearer token.\n\n| feed | what | format |\n|---|---|---|\n",
        crate::limits::KEPT_BYTES_MAX >> 10
    );
    for (name, what, format) in BY_HAND {
        row(&mut page, &[&format!("`{name}`"), what, format]);
    }
    for table in TABLES {
        row(&mut page, &[&format!("[`{0}`]({0}.md)", table.name), table.about.title, table.about.format]);
    }
    page.push_str("\nA source that none of these knows needs no code: [a mapping file](../mapping.md) says what its records mean.\n");
    page
}

/// Feeds that are code; the head of their module has their page.
const BY_HAND: [(&str, &str, &str); 3] = [
    ("safe", "Safe transaction service: proposals, confirmations, executions, modules", "Safe's API"),
    ("opa", "Open Policy Agent: decision logs", "OPA's decision logs"),
    ("events", "keywatch's own lines, and the same columns as CloudEvents", "[events](../events.md)"),
];

/// What a feed is, in its page's words: how a record is read, for a table the whole page.
#[must_use]
pub fn about(name: &str) -> Option<String> {
    if let Some(table) = TABLES.into_iter().find(|table| table.name == name) {
        return Some(of(table));
    }
    let (_, what, format) = BY_HAND.iter().find(|(by_hand, ..)| *by_hand == name)?;
    Some(format!("# {what}\n\n* **Feed** `{name}`\n* **Format** {format}\n"))
}

/// Every feed that is built in: its name, what it is, whose format.
pub fn listed() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let tables = TABLES.into_iter().map(|table| (table.name, table.about.title, table.about.format));
    BY_HAND.into_iter().chain(tables)
}

/// How a table reads a record: identity, time, kinds, columns.
#[must_use]
pub fn reading(table: &Table) -> String {
    let mut page = String::new();
    write_reading(&mut page, table).expect("a string takes all that is written");
    page
}

fn write_reading(page: &mut String, table: &Table) -> fmt::Result {
    writeln!(page, "* **Identity** {}", identity(table))?;
    writeln!(page, "* **Time** {}", paths(table.time))?;
    write_cases(page, table)?;
    write_fields(page, table)
}

fn of(table: &Table) -> String {
    let mut page = String::new();
    write_page(&mut page, table).expect("a string takes all that is written");
    page
}

fn write_page(page: &mut String, table: &Table) -> fmt::Result {
    let about = &table.about;
    writeln!(page, "# {}\n", about.title)?;
    writeln!(page, "Generated from `ingest/src/feeds/{}/mod.rs` {GENERATED}\n", table.name)?;
    writeln!(page, "{}\n", about.what)?;
    writeln!(page, "* **Feed** `{}`", table.name)?;
    writeln!(page, "* **Format** {}", about.format)?;
    writeln!(page, "* **Delivery** {}", about.delivery)?;
    if let Some(wrapper) = table.wrapper {
        writeln!(page, "* **Body** a record, an array, JSON lines, or an object whose `{wrapper}` holds the records")?;
    } else {
        writeln!(page, "* **Body** a record, an array, or JSON lines")?;
    }
    write_reading(page, table)?;
    if !about.traps.is_empty() {
        writeln!(page, "\n## Traps\n")?;
        about.traps.iter().try_for_each(|trap| writeln!(page, "* {trap}"))?;
    }
    write_example(page, table)
}

fn identity(table: &Table) -> String {
    let part = |part: &&str| if *part == path::RECORD_HASH { "a hash of the record".to_owned() } else { paths(part) };
    table.id.iter().map(part).collect::<Vec<_>>().join(" and ")
}

fn write_cases(page: &mut String, table: &Table) -> fmt::Result {
    writeln!(page, "\n## Kinds\n\nThe first row that fits counts. What fits none is passed over and counted.\n")?;
    writeln!(page, "| {} | becomes | `outcome` | says |\n|---|---|---|---|", paths(table.select))?;
    for case in table.cases {
        let kind = case.kind.map_or("nothing: passed over".to_owned(), |kind| format!("`{kind}`"));
        let outcome = case.outcome.map_or(String::new(), said);
        row(page, &[&conditions(case), &kind, &outcome, &facts(case)]);
    }
    Ok(())
}

fn conditions(case: &Case) -> String {
    let words = |words: &[&str]| {
        let word = |word: &&str| if word.is_empty() { "nothing".to_owned() } else { format!("`{word}`") };
        words.iter().map(word).collect::<Vec<_>>().join(", ")
    };
    let and = case.and.iter().map(|(path, wanted)| format!("; {} is {}", paths(path), words(wanted)));
    std::iter::once(words(case.is)).chain(and).collect()
}

fn facts(case: &Case) -> String {
    let columns = case.columns.iter().map(|(column, path)| format!("`{}`: {}", column.name(), paths(path)));
    let facts = case.facts.iter().map(|(name, fact)| format!("`detail.{name}`: {}", said(*fact)));
    let person = case.done_to.map(|path| format!("`actor`: {}; if another did it, that is `detail.by`", paths(path)));
    columns.chain(facts).chain(person).collect::<Vec<_>>().join("; ")
}

fn said(fact: Fact) -> String {
    match fact {
        Fact::Is(word) => format!("`{word}`"),
        Fact::At(path) => paths(path),
        Fact::By(words) => {
            let pair = |(theirs, ours): &(&str, &str)| {
                let theirs = if theirs.is_empty() { "absent".to_owned() } else { format!("`{theirs}`") };
                format!("{theirs} → `{ours}`")
            };
            let otherwise = words.otherwise.map(|word| format!("else `{word}`"));
            let all: Vec<String> = words.words.iter().map(pair).chain(otherwise).collect();
            format!("{}: {}", paths(words.from), all.join(", "))
        }
    }
}

fn write_fields(page: &mut String, table: &Table) -> fmt::Result {
    writeln!(page, "\n## Columns\n\n| column | field |\n|---|---|")?;
    for (column, path) in table.columns {
        row(page, &[&format!("`{}`", column.name()), &paths(path)]);
    }
    for (name, fact) in table.facts {
        row(page, &[&format!("`detail.{name}`"), &said(*fact)]);
    }
    if !table.hidden.is_empty() {
        let hidden: Vec<String> = table.hidden.iter().map(|name| format!("`{name}`")).collect();
        writeln!(page, "\nHidden in `detail.record` and in rejects as personal: {}.", hidden.join(", "))?;
    }
    Ok(())
}

fn write_example(page: &mut String, table: &Table) -> fmt::Result {
    let record: Value = serde_json::from_str(table.example).expect("an example is JSON");
    let origin = Origin { system: "cold-wallets".to_owned(), source: table.name.to_owned() };
    let reading = table.read(&Context { origin: &origin, inventory: None }, table.example.as_bytes());
    writeln!(page, "\n## Example\n\n```json\n{}\n```\n", pretty(&record))?;
    for event in &reading.events {
        let mut written: Value = serde_json::from_str(&line::write(event)).expect("an event line is JSON");
        if let Some(detail) = written.get_mut("detail").and_then(Value::as_object_mut) {
            detail.remove("record");
        }
        writeln!(page, "becomes, beside `detail.record`,\n\n```json\n{}\n```", pretty(&written))?;
    }
    Ok(())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value is JSON")
}

/// Paths as code, alternatives told apart.
fn paths(paths: &str) -> String {
    paths.split(" | ").map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", else ")
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(page, "| {} |", cells.join(" | ")).expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::CODE;

    #[test]
    fn every_feed_that_is_code_is_in_the_list() {
        assert_eq!(BY_HAND.map(|(name, _, _)| name), CODE.map(Feed::name));
    }
}
