//! What a mapping file makes of records, and what is refused of it.

use keywatch_store::event::Origin;
use serde_json::{Value, json};

use super::installed::Installed;
use super::*;
use crate::{Context, Feed, Reading, limits};

const EXAMPLE: &str = include_str!("example.toml");
const RECORDS: &str = include_str!("example.jsonl");

const PLAIN: &str = "name = \"plain\"\nid = [\"id\"]\ntime = \"at\"\n";

fn refused(text: &str) -> Vec<String> {
    Mapping::parse("m.toml", text).unwrap_err().problems
}

fn read(mapping: &str, body: &str) -> Reading {
    let table = Mapping::parse("m.toml", mapping).unwrap().into_feed();
    let origin = Origin { system: "cold".into(), source: "badges-1".into() };
    table.read(&Context { origin: &origin, inventory: None }, body.as_bytes())
}

#[test]
fn the_example_gives_events_as_a_table_does() {
    let reading = read(EXAMPLE, RECORDS);
    let told: Vec<_> = reading.events.iter().map(|event| (event.kind(), event.outcome(), event.device())).collect();
    assert_eq!(told, [("custody.access", None, Some("r-1")), ("source.status", Some("down"), Some("r-1"))]);
    let opened = &reading.events[0];
    assert_eq!((opened.actor(), opened.system(), opened.source()), (Some("dana@exchange.example"), "cold", "badges-1"));
    let detail = opened.detail().value();
    assert_eq!(
        (&detail["side"], &detail["act"], &detail["door"]),
        (&json!("enters"), &json!("door.opened"), &json!("vault 2"))
    );
    assert_eq!(detail["record"]["holder"]["holder_name"], "***");
    assert_eq!(reading.events[1].reason(), Some("tamper switch"));
    assert_eq!((reading.skipped, reading.records), (1, 4));
    assert_eq!((reading.rejects[0].line, reading.rejects[0].field.as_str()), (Some(4), "at | received"));
    let wrapped =
        json!({"events": RECORDS.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()});
    assert_eq!(read(EXAMPLE, &wrapped.to_string()).events, reading.events);
}

#[test]
fn words_count_in_the_order_of_the_file() {
    let with = |words: &str| {
        let fact = format!("facts = {{ f = {{ from = \"w\", words = {words}, otherwise = \"o\" }} }}");
        let text = format!("{PLAIN}{fact}\n[[cases]]\nkind = \"source.heartbeat\"\n");
        read(&text, r#"{"id":1,"at":1740116560,"w":"ab"}"#).events[0].detail().value()["f"].clone()
    };
    assert_eq!(with("{ 'z*' = 'z', 'a*' = 'first', 'ab' = 'second' }"), "first");
    assert_eq!(with("{ ab = 'second', 'a*' = 'first' }"), "second");
    assert_eq!(with("{ x = 'y' }"), "o");
}

/// The trap: a source that may write for one system maps a field of its own onto the column of another.
#[test]
fn p8_a_mapping_never_says_for_which_system_or_source_it_speaks() {
    for (column, said) in [
        ("system", "comes from the credential"),
        ("source", "comes from the credential"),
        ("time", "keywatch fills"),
        ("event_id", "keywatch fills"),
        ("late", "keywatch fills"),
        ("kind", "into a case"),
        ("event_time", "at the top"),
        ("detail", "`facts`"),
        ("tenant", "no such column"),
    ] {
        let text = format!(
            "{PLAIN}[columns]\nactor = \"who\"\n{column} = \"tenant.{column}\"\n[[cases]]\nkind = \"session.started\"\n"
        );
        let problems = refused(&text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("m.toml:6: columns.{column}: ")) && problems[0].contains(said),
            "{problems:?}"
        );
        let in_case = format!("{PLAIN}[[cases]]\nkind = \"session.started\"\ncolumns = {{ {column} = \"x\" }}\n");
        assert!(refused(&in_case)[0].starts_with(&format!("m.toml:6: cases[0].columns.{column}: ")));
    }
    let top = refused(&format!("system = \"hot\"\n{PLAIN}[[cases]]\nkind = \"session.started\"\n"));
    assert!(top[0].starts_with("m.toml:1: system: unknown field"), "{top:?}");
    // What a record says of systems is a fact about the record and nothing else.
    let text = format!("{PLAIN}[facts]\nsystem = \"system\"\n[[cases]]\nkind = \"session.started\"\n");
    let record = r#"{"id":1,"at":1740116560,"system":"hot","source":"other","event_id":"00","time":5,"kind":"tick"}"#;
    let event = read(&text, record).events.remove(0);
    assert_eq!((event.system(), event.source(), event.kind()), ("cold", "badges-1", "session.started"));
    let own = read(&text, r#"{"id":1,"at":1740116560}"#).events.remove(0);
    assert_eq!(event.event_id(), own.event_id(), "an id is made of who speaks and of what the source calls the record");
}

#[test]
fn p8_a_mapping_makes_no_kind_that_is_not_a_sources_to_write() {
    for (kind, said) in [
        ("tick", "by keywatch alone"),
        ("inventory.activated", "by keywatch alone"),
        ("finding.created", "by keywatch alone"),
        ("response.requested", "by keywatch alone"),
        ("session.stolen", "is no kind of event"),
    ] {
        let problems = refused(&format!("{PLAIN}[[cases]]\nkind = \"{kind}\"\n"));
        assert!(problems[0].starts_with("m.toml:5: cases[0].kind: ") && problems[0].contains(said), "{problems:?}");
    }
}

#[test]
fn what_is_wrong_is_named_by_line_and_key_all_at_once() {
    let text = "name = \"okta\"\nid = [\"a..b\"]\ntime = \"at\"\nselect = \"[\"\n[[cases]]\nis = [\"x\"]\nkind = \"session.mfa\"\noutcome = { is = \"maybe\" }\n[[cases]]\nkind = \"session.ended\"\noutcome = \"how\"\n[[cases]]\nis = [\"y\"]\n[facts]\nrecord = \"x\"\nA = \"x\"\n";
    let problems = refused(text);
    for expected in [
        "m.toml:1: name: `okta` is a feed that is built in",
        "m.toml:2: id: `a..b`",
        "m.toml:4: select: `[`",
        "m.toml:8: cases[0].outcome: `maybe` is no outcome of `session.mfa`; it has success, failure, bypass",
        "m.toml:10: cases[1].is: is missing",
        "m.toml:11: cases[1].outcome: has to be { is",
        "cases[2]: needs either `kind` or `skip = true`",
        "m.toml:15: facts.record: keywatch keeps",
        "m.toml:16: facts.A: lower-case",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:#?}");
    }
    let end = refused(&format!("{PLAIN}[[cases]]\nkind = \"session.ended\"\noutcome = {{ is = \"success\" }}\n"));
    assert!(end[0].contains("`session.ended` has no outcome"), "{end:?}");
    assert!(refused("name = \"x\"\n")[0].contains("missing field"));
    assert!(refused("name = \n")[0].starts_with("m.toml:"));
    assert!(refused(&format!("{PLAIN}[[cases]]\nskip = true\n"))[0].contains("no event"));
    assert!(refused(&"#".repeat(limits::MAPPING_BYTES_MAX + 1))[0].contains("at most"));
    let many = "[[cases]]\nkind = \"session.ended\"\n".repeat(limits::MAPPING_CASES_MAX + 1);
    assert!(refused(&format!("{PLAIN}{many}"))[0].contains("at most 256"));
}

#[test]
fn names_of_mapped_feeds_are_their_own() {
    let mapping =
        |name: &str| Mapping::parse("m.toml", &EXAMPLE.replace("\"badges\"", &format!("\"{name}\""))).unwrap();
    let mut installed = Installed::default();
    installed.add(mapping("badges")).unwrap();
    assert_eq!(installed.find("badges").unwrap().name(), "badges");
    assert_eq!(installed.find("okta").unwrap().name(), "okta");
    let unknown = installed.find("nonsense").err().unwrap().to_string();
    assert!(unknown.contains("safe, opa, events") && unknown.ends_with(", badges"), "{unknown}");
    assert!(installed.add(mapping("badges")).unwrap_err().to_string().contains("another mapping file"));
    for number in 1..limits::MAPPINGS_MAX {
        installed.add(mapping(&format!("badges-{number}"))).unwrap();
    }
    assert!(installed.add(mapping("more")).unwrap_err().to_string().contains("too many"));
    assert!(crate::feeds::find("badges").is_err(), "a mapping is of the installation that names it");
}

#[test]
fn a_mapping_says_which_kinds_it_makes() {
    let kinds: Vec<&str> = Mapping::parse("m.toml", EXAMPLE).unwrap().kinds().into_iter().collect();
    assert_eq!(kinds, ["custody.access", "source.heartbeat", "source.status"]);
}
