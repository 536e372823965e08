//! `keywatch backtest`: the same findings as `replay`, whatever the history is read from and wherever its batches are
//! cut, and figures that were counted by hand from `expected.jsonl`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Topic, line};
use quick_junit::{Report, TestCaseStatus};
use serde_json::Value;

use crate::support::command::{err, keywatch, out};

const BYBIT: &str = "replay-data/2025-02-bybit";
const INCIDENTS: [&str; 2] = [BYBIT, "replay-data/2024-05-dmm-bitcoin"];
const REQUEST: &str = "0x9d89e67333f99c136537be74029c44592985a4855172f4c2d0d942029868f98e";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `keywatch backtest --format json` and expects that exit code.
fn backtest(arguments: &[&str], input: &[u8], code: i32) -> Value {
    let done = keywatch(root(), &[&["backtest", "--format", "json"], arguments].concat(), input);
    assert_eq!(done.status.code(), Some(code), "{arguments:?}: {}", err(&done));
    serde_json::from_str(&out(&done)).unwrap()
}

/// Findings of `keywatch replay`.
fn replayed(path: &str) -> Vec<Value> {
    let done = keywatch(root(), &["replay", path, "--format", "jsonl"], b"");
    out(&done).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Findings and distinct entities of each rule that found something.
fn counted(report: &Value) -> BTreeMap<String, (u64, u64)> {
    let rules = report["rules"].as_array().unwrap().iter();
    let counts = rules
        .map(|rule| (text(&rule["rule"]), (rule["findings"].as_u64().unwrap(), rule["entities"].as_u64().unwrap())));
    counts.filter(|(_, (findings, _))| *findings > 0).collect()
}

fn counted_by_replay(path: &str) -> BTreeMap<String, (u64, u64)> {
    let mut entities: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in replayed(path) {
        entities.entry(text(&finding["rule"])).or_default().push(text(&finding["entity"]));
    }
    let count = |mut entities: Vec<String>| {
        let findings = entities.len() as u64;
        entities.sort();
        entities.dedup();
        (findings, entities.len() as u64)
    };
    entities.into_iter().map(|(rule, entities)| (rule, count(entities))).collect()
}

fn events(path: &str) -> Vec<Event> {
    let text = fs::read_to_string(root().join(path).join("events.jsonl")).unwrap();
    text.lines().map(|text| line::read(text.as_bytes()).unwrap()).collect()
}

/// A copy of the rules of this tree.
fn pack() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&root().join("detectors/rules"), directory.path());
    directory
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Changes the text of a rule in a pack.
fn change(pack: &Path, rule: &str, from: &str, to: &str) {
    let file = pack.join(format!("{rule}.sql"));
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    fs::write(file, text.replace(from, to)).unwrap();
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn it_finds_what_replay_finds() {
    for incident in INCIDENTS {
        let report = backtest(&[incident], b"", 0);
        assert_eq!(counted(&report), counted_by_replay(incident), "{incident}");
        assert_eq!(report["events"].as_u64().unwrap(), events(incident).len() as u64);
    }
    let both = counted(&backtest(&[INCIDENTS[1], INCIDENTS[0]], b"", 0));
    let sum = |rule: &str| INCIDENTS.iter().filter_map(|i| Some(counted_by_replay(i).get(rule)?.0)).sum::<u64>();
    assert!(both.len() > 5 && both.iter().all(|(rule, (findings, _))| *findings == sum(rule)), "{both:?}");
}

#[test]
fn p1_neither_the_cut_of_batches_nor_the_form_of_the_history_changes_a_count() {
    let expected = counted_by_replay(BYBIT);
    for batch in ["1", "7", "65536"] {
        assert_eq!(counted(&backtest(&[BYBIT, "--batch", batch], b"", 0)), expected, "batches of {batch}");
    }
    let lines = fs::read(root().join(BYBIT).join("events.jsonl")).unwrap();
    assert_eq!(counted(&backtest(&["-"], &lines, 0)), expected, "standard input");

    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path(), Options::new(Clock::Recorded)).unwrap();
    log.append(Topic::Events, events(BYBIT)).unwrap();
    let path = name(directory.path());
    let used = keywatch(root(), &["backtest", path], b"");
    assert_eq!(used.status.code(), Some(2));
    assert!(err(&used).contains("open in another keywatch") && err(&used).contains("name the copy"), "{}", err(&used));
    drop(log);
    assert_eq!(counted(&backtest(&[path], b"", 0)), expected, "an embedded log");
    // Once more the same: what happened in the last seven days is recognised, what is older is told to be out of order.
    let twice = backtest(&[path, BYBIT], b"", 0);
    let (repeats, moved) = (twice["repeats"].as_u64().unwrap(), twice["moved"].as_u64().unwrap());
    assert_eq!((counted(&twice), repeats + moved), (expected, events(BYBIT).len() as u64));
    assert!(repeats > 1_000 && moved > 1_000, "{repeats} repeats, {moved} out of order");
}

#[test]
fn a_log_with_the_wall_clock_is_read_too() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path(), Options::new(Clock::Wall)).unwrap();
    log.append(Topic::Events, events(BYBIT).into_iter().take(3).collect()).unwrap();
    drop(log);
    assert_eq!(backtest(&[name(directory.path())], b"", 0)["events"], 3);
}

#[test]
fn figures_of_the_json_are_consistent() {
    let report = backtest(&[BYBIT, "--sort", "cost"], b"", 0);
    let number = |value: &Value, field: &str| value[field].as_f64().unwrap_or_else(|| panic!("{field} of {value}"));
    let rules = report["rules"].as_array().unwrap();
    let sum = |field: &str| rules.iter().map(|rule| number(rule, field)).sum::<f64>();
    assert!(rules.len() >= 24);
    assert!((sum("cpu_share") - 1.0).abs() < 1e-3);
    assert!((sum("cpu_seconds") - number(&report, "cpu_seconds")).abs() < 1e-3);
    assert_eq!((sum("findings"), report["findings"].as_u64()), (20.0, Some(20)));
    assert_eq!(report["severities"], serde_json::json!({"low": 0, "medium": 3, "high": 3, "critical": 14}));
    for rule in rules {
        let a_day = number(rule, "findings") / number(&report, "days");
        assert!((number(rule, "findings_per_day") - a_day).abs() < 1e-5, "{rule}");
        assert!(rule["parked"].is_null() && rule["severity"].is_string() && rule["version"].is_u64());
    }
    let costs: Vec<f64> = rules.iter().map(|rule| number(rule, "cpu_seconds")).collect();
    assert!(costs.is_sorted_by(|one, other| one >= other), "{costs:?}");
    let rate = number(&report, "events") / number(&report, "seconds");
    assert!((number(&report, "events_per_second") / rate - 1.0).abs() < 0.01);
    assert!(number(&report, "state_bytes") >= 0.0);
    if cfg!(target_os = "linux") {
        assert!(number(&report, "peak_bytes") > 1e6);
    }
    assert_eq!(report["sessions"], 140);
    assert!(report.get("diff").is_none() && report.get("truth").is_none());
}

#[test]
fn a_changed_rule_shows_exactly_what_it_changes() {
    let pack = pack();
    let first_signer = text(&replayed(BYBIT)[0]["actor"]);
    let less = format!("outcome = 'mismatch' AND actor <> '{first_signer}'");
    change(pack.path(), "signing/confirmation_mismatch", "outcome = 'mismatch'", &less);
    fs::remove_file(pack.path().join("source/silent.sql")).unwrap();
    let rules = name(pack.path());

    let removed = &backtest(&[BYBIT, "--diff", rules], b"", 1)["diff"];
    let added = &backtest(&[BYBIT, "--rules", rules, "--diff", name(&root().join("detectors/rules"))], b"", 1)["diff"];
    for (diff, field, sign, lacking) in [(removed, "removed", "-", "first"), (added, "added", "+", "other")] {
        assert_eq!((&diff["kept"], &diff[field]), (&Value::from(19), &Value::from(1)));
        assert_eq!(diff["added"].as_u64().unwrap() + diff["removed"].as_u64().unwrap(), 1);
        let differing: Vec<&Value> = diff["rules"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule["packs"] != "both" || rule["added"] != 0 || rule["removed"] != 0)
            .collect();
        assert_eq!(differing.len(), 2, "{differing:?}");
        assert_eq!(differing[0]["rule"], "signing/confirmation_mismatch");
        assert_eq!((&differing[0]["packs"], &differing[0]["kept"]), (&"both".into(), &2.into()));
        let example = &differing[0]["examples"][0];
        assert_eq!(example["sign"], sign);
        assert_eq!(example["time"], "2025-02-21T05:42:40.788469Z");
        assert_eq!((&example["entity"], &example["event_id"]), (&REQUEST.into(), &replayed(BYBIT)[0]["anchor"]));
        assert_eq!((&differing[1]["rule"], &differing[1]["packs"]), (&"source/silent".into(), &lacking.into()));
    }
    let same = backtest(&[BYBIT, "--diff", name(&root().join("detectors/rules"))], b"", 0);
    assert_eq!(
        (&same["diff"]["kept"], &same["diff"]["added"], &same["diff"]["removed"]),
        (&20.into(), &0.into(), &0.into())
    );

    let shown = keywatch(root(), &["backtest", BYBIT, "--diff", rules], b"");
    let line = format!("  - 2025-02-21T05:42:40.788469Z bybit-eth-cold-1 {REQUEST}");
    assert!(out(&shown).contains(&line), "{}", out(&shown));
}

/// Labels over the theft of 2025-02-21; what comes of them is counted by hand from its `expected.jsonl`.
fn labels(directory: &Path) -> PathBuf {
    let findings = replayed(BYBIT);
    let (anchor, wallet) = (&findings[0]["anchor"], &findings[3]["entity"]);
    let text = format!(
        r#"{{"id":"a1","scenario":"forged","system":"bybit-eth-cold-1","from":"2025-02-21T05:42:30.788469Z","to":"2025-02-21T05:42:31Z","entities":[],"events":[{anchor}],"rules":["signing/confirmation_mismatch"]}}
{{"id":"a2","scenario":"forged","system":"bybit-eth-cold-1","from":"2025-02-21T13:40:00Z","to":"2025-02-21T13:50:00Z","entities":["{REQUEST}"],"events":[],"rules":["signing/nonce_conflict"]}}
{{"id":"a3","scenario":"drain","system":"bybit-eth-cold-1","from":"2025-02-21T14:13:35Z","to":"2025-02-21T14:20:00Z","entities":[{wallet}],"events":[],"rules":["chain/outflow_without_signature"]}}
{{"id":"a4","scenario":"drain","system":"bybit-eth-cold-1","from":"2025-02-20T00:00:00Z","to":"2025-02-20T01:00:00Z","entities":["nobody"],"events":[],"rules":[]}}

{{"id":"a5","scenario":"drain","system":"elsewhere","from":"2025-02-20T00:00:00Z","to":"2025-02-20T01:00:00Z","entities":[{wallet}],"events":[]}}
"#
    );
    let file = directory.join("truth.jsonl");
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn labelled_attacks_give_the_figures_counted_by_hand() {
    let directory = tempfile::tempdir().unwrap();
    let file = labels(directory.path());
    let report = backtest(&[BYBIT, "--truth", name(&file)], b"", 0);
    let truth = &report["truth"];
    // a1 by its event, a2 by request and time, a3 by wallet and time; a4 has nothing, a5 is of another system.
    assert_eq!((&truth["attacks"], &truth["seen"], &truth["outside"]), (&4.into(), &3.into(), &1.into()));
    assert_eq!((&truth["recall"], &truth["missed"]), (&0.75.into(), &serde_json::json!(["a4"])));
    assert_eq!(truth["seen_by_named_rule"], 2);
    // All 20 findings but the confirmation of 14:11:40, which lies in no label's time.
    assert_eq!((&truth["precision"], &truth["false_findings"]), (&0.95.into(), &1.into()));
    assert_eq!(truth["findings_per_1000_sessions"], 142.857_143);
    assert_eq!(truth["false_findings_per_1000_sessions"], 7.142_857);
    // 10 s after a1 begins, 4 min 22.9 s after a2 does, and a3 with its first event.
    assert_eq!(truth["seconds_to_detect"], serde_json::json!({"p50": 10.0, "p99": 262.889_083, "max": 262.889_083}));
    let (forged, drain) = (&truth["scenarios"]["forged"], &truth["scenarios"]["drain"]);
    assert_eq!(
        (&forged["recall"], &forged["findings"], &drain["recall"], &drain["findings"]),
        (&1.0.into(), &2.into(), &0.5.into(), &17.into())
    );
    assert_eq!(drain["seconds_to_detect"]["max"], 0.0);
    let mismatch = &truth["rules"]["signing/confirmation_mismatch"];
    assert_eq!((&mismatch["findings"], &mismatch["of_attacks"]), (&3.into(), &2.into()));
}

#[test]
fn thresholds_that_do_not_hold_are_failures_of_junit_and_of_the_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let file = labels(directory.path());
    let arguments = [
        "backtest",
        BYBIT,
        "--format",
        "junit",
        "--truth",
        name(&file),
        "--min-recall",
        "0.8",
        "--min-precision",
        "0.95",
        "--max-findings-per-day",
        "0.008",
    ];
    let done = keywatch(root(), &arguments, b"");
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    let report = Report::deserialize_from_str(&out(&done)).unwrap();
    let suites: Vec<&str> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(suites, ["rules", "truth"]);
    assert!(report.test_suites[0].test_cases.len() >= 24);
    // 5 findings in 551 days are more than 0.008 a day, 4 are not; 3 of 4 attacks are less than 0.8 of them.
    assert_eq!(failures(&report), ["chain/outflow_without_signature", "recall"]);

    let held = ["backtest", BYBIT, "--format", "junit", "--max-findings-per-day", "0.01"];
    let done = keywatch(root(), &held, b"");
    assert_eq!((done.status.code(), failures(&Report::deserialize_from_str(&out(&done)).unwrap()).len()), (Some(0), 0));
}

fn failures(report: &Report) -> Vec<String> {
    let cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let failed = cases.filter(|case| matches!(case.status, TestCaseStatus::NonSuccess { .. }));
    failed.map(|case| case.name.to_string()).collect()
}

#[test]
fn a_parked_rule_is_a_failure_and_the_others_go_on() {
    let pack = pack();
    change(
        pack.path(),
        "signing/first_delegatecall",
        "SELECT\n  event_id,",
        "SELECT\n  event_id,\n  kind AS evidence_kind,",
    );
    let report = backtest(&[BYBIT, "--rules", name(pack.path())], b"", 1);
    let failures = report["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!((&failures[0]["check"], &failures[0]["rule"]), (&"parked".into(), &"signing/first_delegatecall".into()));
    assert!(text(&failures[0]["message"]).contains("must hold event ids"), "{failures:?}");
    let mut expected = counted_by_replay(BYBIT);
    expected.remove("signing/first_delegatecall");
    assert_eq!(counted(&report), expected);
}

#[test]
fn only_the_rules_that_are_named_are_run() {
    let report = backtest(&[BYBIT, "--rule", "signing/confirmation_mismatch", "--rule", "source/silent"], b"", 0);
    assert_eq!(report["rules"].as_array().unwrap().len(), 2);
    assert_eq!(counted(&report), BTreeMap::from([("signing/confirmation_mismatch".to_owned(), (3, 1))]));
}

#[test]
fn a_line_that_is_no_event_costs_the_exit_code_and_nothing_else() {
    let lines = fs::read_to_string(root().join(BYBIT).join("events.jsonl")).unwrap();
    let spoiled = lines.replacen('\n', "\n{\"event_id\":1}\n", 1);
    let report = backtest(&["-"], spoiled.as_bytes(), 1);
    assert_eq!((&report["rejects"], counted(&report)), (&1.into(), counted_by_replay(BYBIT)));
    let done = keywatch(root(), &["backtest", "-"], spoiled.as_bytes());
    assert!(err(&done).contains("standard input line 2: event_id: "), "{}", err(&done));
    assert!(out(&done).contains("1 lines rejected"), "{}", out(&done));
}

#[test]
fn what_cannot_be_done_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::create_dir(here.join("empty")).unwrap();
    fs::write(here.join("nothing.jsonl"), "\n").unwrap();
    fs::write(here.join("noise.jsonl"), "noise\n").unwrap();
    let label = r#"{"id":"a","scenario":"x","system":"s","from":"2025-01-01T00:00:00Z","to":"2025-01-01T00:00:00Z"}"#;
    fs::write(here.join("twice.jsonl"), format!("{label}\n{label}\n")).unwrap();
    fs::write(here.join("bad.jsonl"), label.replace("2025-01-01T00:00:00Z\"}", "2024-01-01T00:00:00Z\"}")).unwrap();
    fs::write(here.join("wrong.jsonl"), "{\"id\":1}").unwrap();
    let bybit = root().join(BYBIT);
    let bybit = name(&bybit);
    let cases: &[(&[&str], &str)] = &[
        (&["none.jsonl"], "cannot read none.jsonl: "),
        (&["empty"], "empty holds neither an events.jsonl nor a log"),
        (&["nothing.jsonl"], "nothing.jsonl holds no event line"),
        (&["noise.jsonl"], "noise.jsonl line 1: "),
        (&["-"], "standard input holds no event line"),
        (&["-", "-"], "standard input (`-`) can be read only once"),
        (&[bybit, "--rule", "signing/none"], "there is no rule `signing/none`"),
        (&[bybit, "--rules", "none"], "none: "),
        (&[bybit, "--rules", "empty"], "holds no <family>/<name>.sql"),
        (&[bybit, "--diff", "empty"], "holds no <family>/<name>.sql"),
        (&[bybit, "--inventory", "none.toml"], "cannot read the inventory none.toml"),
        (&[bybit, "--truth", "none.jsonl"], "cannot read none.jsonl"),
        (&[bybit, "--truth", "nothing.jsonl"], "nothing.jsonl holds no label"),
        (&[bybit, "--truth", "twice.jsonl"], "twice.jsonl line 2: `a` is labelled twice"),
        (&[bybit, "--truth", "bad.jsonl"], "bad.jsonl line 1: `from` is after `to`"),
        (&[bybit, "--truth", "wrong.jsonl"], "wrong.jsonl line 1: invalid type"),
        (&[bybit, "--min-recall", "0.5"], "--truth"),
        (&[bybit, "--max-findings-per-day=-1"], "must be zero or more"),
        (&[bybit, "--batch", "0"], "--batch"),
        (&[], "LOG|DIR|FILE"),
    ];
    for (arguments, said) in cases {
        let done = keywatch(here, &[&["backtest"], *arguments].concat(), b"");
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}{}", out(&done), err(&done));
        assert!(err(&done).contains(said), "{arguments:?}: {}", err(&done));
    }
}
