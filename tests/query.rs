//! `keywatch query` as a user meets it: the log of an incident with all that the pipeline concluded, asked in SQL and
//! reckoned plainly; what is refused, and what a query may take.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keywatch_alerting::{Act, AlertState, Verdict};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Log, Topic};
use serde_json::{Value, json};

use crate::incidents::process::{Outcome, Process};
use crate::incidents::recording::{Incident, bybit};
use crate::support::command::{err, keywatch, out};
use crate::support::tree;

/// Leaves the log of an incident in `directory`, as the pipeline ran over it and an operator looked at it; what that came to,
/// and what alerting knows of it.
async fn recorded(incident: &Incident, directory: &Path) -> (Outcome, AlertState) {
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap());
    for batch in incident.events.chunks(500) {
        log.append(Topic::Events, batch.to_vec()).unwrap();
    }
    let first = &incident.events[0];
    let mut process = Process::retell(log, first.system(), first.time()).await.unwrap();
    process.catch_up().await.unwrap();
    process.idle().await;
    handle(&process, incident.events.last().unwrap().time()).await;
    process.idle().await;
    let (outcome, state) = (process.came_to(), process.executor().with_state(AlertState::clone));
    drop(process);
    // What the executor has under way holds the log until it ends.
    let patience = Instant::now() + Duration::from_secs(30);
    while EmbeddedLog::open(directory, Options::new(Clock::Recorded)).is_err() {
        assert!(Instant::now() < patience, "the pipeline does not let go of its log");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (outcome, state)
}

/// Takes up the worst incident, gives it to somebody, and says of one of its alerts what it was.
async fn handle(process: &Process, now: keywatch_store::Instant) {
    let executor = process.executor();
    let (incident, alert) = executor.with_state(|state| {
        let worst = state.incidents().iter().max_by_key(|incident| incident.severity).unwrap();
        (worst.id.clone(), state.alerts_of(worst).next().unwrap().alert_id.clone())
    });
    let resolve = Act::Resolve { verdict: Verdict::Benign, reason: "a drill".to_owned() };
    for (name, act) in [
        (&incident, Act::Acknowledge),
        (&incident, Act::Assign { assignee: Some("bob".to_owned()) }),
        (&incident, Act::Comment { comment: "who is this?".to_owned() }),
        (&alert, resolve),
    ] {
        assert!(executor.operate(name, "ann", None, act, now).await.unwrap().changed);
    }
}

fn ask(path: &Path, sql: &str, more: &[&str]) -> (String, String) {
    let path = path.to_str().unwrap();
    let done = keywatch(tree::root(), &[&["query", sql, path], more].concat(), b"");
    assert_eq!(done.status.code(), Some(0), "{sql}: {}", err(&done));
    (out(&done), err(&done))
}

fn rows(path: &Path, sql: &str) -> Vec<Value> {
    let (json, _) = ask(path, sql, &["--format", "json"]);
    json.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refused(path: &Path, sql: &str, more: &[&str]) -> String {
    let done = keywatch(tree::root(), &[&["query", sql, path.to_str().unwrap()], more].concat(), b"");
    assert_eq!(done.status.code(), Some(2), "{sql}: {}{}", out(&done), err(&done));
    err(&done)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_say_what_the_pipeline_concluded() {
    let directory = tempfile::tempdir().unwrap();
    let incident = bybit();
    let (outcome, _) = recorded(&incident, directory.path()).await;
    let path = directory.path();

    let counted = rows(path, "SELECT kind, count(*) AS n FROM events WHERE source <> 'keywatch' GROUP BY kind");
    let counted: BTreeMap<&str, u64> =
        counted.iter().map(|row| (row["kind"].as_str().unwrap(), row["n"].as_u64().unwrap())).collect();
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for event in incident.events.iter().filter(|event| event.source() != "keywatch") {
        *expected.entry(event.kind()).or_default() += 1;
    }
    assert_eq!(counted, expected);

    let found = rows(path, "SELECT id, rule, entity, time, session, evidence FROM findings");
    let found: BTreeMap<&str, &Value> = found.iter().map(|row| (row["id"].as_str().unwrap(), row)).collect();
    assert_eq!(found.len(), outcome.findings.len());
    for finding in &outcome.findings {
        let row = found[&*finding.id];
        assert_eq!((&row["rule"], &row["entity"]), (&json!(finding.rule), &json!(finding.entity)));
        assert_eq!((&row["time"], &row["session"]), (&json!(finding.time), &json!(finding.session)));
        let evidence: Vec<String> = serde_json::from_str(row["evidence"].as_str().unwrap()).unwrap();
        assert_eq!(evidence.len(), finding.evidence.len());
    }

    let counts =
        rows(path, "SELECT sum(findings) AS findings, sum(suppressed) AS quiet, sum(notified) AS notified FROM alerts");
    let of_kind = |kind: &str| -> u64 {
        let counts = outcome.alerts.iter().filter(|((of, _), _)| of == kind).map(|(_, count)| *count as u64);
        counts.sum()
    };
    let quiet = of_kind("alert.suppressed");
    assert_eq!(counts[0]["quiet"], quiet);
    assert_eq!(counts[0]["findings"], of_kind("alert.opened") + of_kind("alert.updated") + quiet);
    assert_eq!(counts[0]["notified"], outcome.told.values().sum::<usize>() as u64);

    let responses = rows(path, "SELECT response_id, status FROM responses");
    let verified: BTreeMap<&str, &str> =
        responses.iter().map(|row| (row["response_id"].as_str().unwrap(), row["status"].as_str().unwrap())).collect();
    assert_eq!(verified.len(), outcome.responses.len());
    for (id, (_, status)) in &outcome.responses {
        assert_eq!(verified[&**id], status.as_str(), "{id}");
    }
    let owners =
        rows(path, "SELECT w.chain, count(*) AS owners FROM wallets w JOIN owners o USING (wallet) GROUP BY w.chain");
    assert_eq!((owners[0]["chain"].as_str(), owners[0]["owners"].as_u64()), (Some("ethereum"), Some(7)));
}

/// The API answers from alerting's state, SQL from the records: both say the same.
#[tokio::test(flavor = "multi_thread")]
async fn incidents_and_alerts_stand_where_alerting_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let (_, state) = recorded(&bybit(), directory.path()).await;
    let by_id = |table: &str, id: &str| -> BTreeMap<String, Value> {
        let found = rows(directory.path(), &format!("SELECT * FROM {table}"));
        found.into_iter().map(|row| (row[id].as_str().unwrap().to_owned(), row)).collect()
    };
    let (alerts, incidents) = (by_id("alerts", "alert_id"), by_id("incidents", "incident"));

    assert_eq!(incidents.len(), state.incidents().iter().count());
    for incident in state.incidents().iter() {
        let row = &incidents[&incident.id];
        assert_eq!(row["status"], json!(incident.handling.status));
        assert_eq!(row["severity"], json!(incident.severity));
        assert_eq!((&row["title"], &row["opened"]), (&json!(incident.title), &json!(incident.opened)));
        assert_eq!(row["assignee"], json!(incident.handling.assignee));
        assert_eq!(row["acknowledged_by"], json!(incident.handling.acknowledged.as_ref().map(|(by, _)| by)));
        assert_eq!(row["verdict"], json!(incident.handling.resolved.as_ref().map(|(verdict, ..)| verdict)));
        assert_eq!(row["findings"].as_u64(), Some(incident.findings));
        // Of one rule and entity alerting keeps the newest alert; a log has all of them.
        let own = alerts.values().filter(|alert| alert["incident"] == json!(incident.id)).count();
        assert_eq!(row["alerts"].as_u64(), Some(own as u64));
        assert!(own >= state.alerts_of(incident).count());
        assert_eq!(row["pages"].as_u64(), Some(u64::from(incident.paging.pages)));
        assert_eq!(row["acts"].as_u64(), Some(incident.handling.acts));
    }
    assert!(incidents.values().any(|row| row["acts"].as_u64() == Some(4) && row["assignee"] == "bob"), "{incidents:?}");

    for alert in state.alerts() {
        let incident = state.incidents().get(&alert.incident).unwrap();
        let row = &alerts[&alert.alert_id];
        assert_eq!((&row["incident"], &row["rule"]), (&json!(incident.id), &json!(alert.rule)));
        assert_eq!((&row["status"], &row["verdict"]), (&json!(alert.status(incident)), &json!(alert.verdict)));
        assert_eq!((&row["severity"], &row["last"]), (&json!(alert.severity), &json!(alert.last)));
        assert_eq!(row["suppressed"].as_u64(), Some(alert.suppressed));
        assert_eq!(row["pages"].as_u64(), Some(u64::from(alert.deliveries)));
    }
    assert_eq!(alerts.values().filter(|row| row["verdict"] == "benign").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_questions_of_the_docs_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    recorded(&bybit(), directory.path()).await;
    let page = std::fs::read_to_string(tree::root().join("docs/sql.md")).unwrap();
    let questions: Vec<&str> = page.split("```sql\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(questions.len() >= 7);
    for question in questions {
        assert!(!rows(directory.path(), question).is_empty(), "no row for {question}");
    }
    for table in ["findings", "alerts", "incidents", "responses"] {
        let shown = rows(directory.path(), &format!("SHOW COLUMNS FROM {table}"));
        assert!(shown.len() > 10, "{table}");
    }
}

#[test]
fn files_are_asked_as_they_stand_and_written_in_every_format() {
    let incident = tree::root().join("replay-data/2025-02-bybit");
    let (shown, said) = ask(&incident, "SELECT count(*) AS n, max(time) AS last FROM events", &[]);
    assert!(shown.contains("2831") && shown.contains('n'), "{shown}");
    assert!(said.contains("1 rows in ") && said.contains("2831 records read, 0 not"), "{said}");
    let sql = "SELECT actor, amount, late, 'a,\"b\"' AS quoted FROM events WHERE kind = 'chain.transfer' ORDER BY time LIMIT 1";
    let (csv, _) = ask(&incident, sql, &["--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "actor,amount,late,quoted");
    assert!(lines[1].ends_with(",false,\"a,\"\"b\"\"\""), "{csv}");
    let json = &rows(&incident, sql)[0];
    assert_eq!(json["late"], false);
    let done = keywatch(tree::root(), &["query", "--format", "parquet", sql, incident.to_str().unwrap()], b"");
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert!(done.stdout.starts_with(b"PAR1") && done.stdout.ends_with(b"PAR1") && done.stdout.len() > 200);
    assert!(json["amount"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_digit()), "{json}");
    let (shown, said) = ask(&incident, "SELECT * FROM events", &["--rows", "2"]);
    assert_eq!(shown.lines().filter(|line| line.contains("bybit-eth-cold-1")).count(), 2, "{shown}");
    assert!(said.contains("only the first 2 rows"), "{said}");
}

#[test]
fn what_changes_something_is_refused_by_its_name() {
    let incident = tree::root().join("replay-data/2025-02-bybit");
    for sql in [
        "INSERT INTO events VALUES ('a')",
        "UPDATE events SET actor = 'x'",
        "DELETE FROM events",
        "DROP TABLE events",
        "CREATE TABLE t AS SELECT * FROM events",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT 1",
        "COPY events TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "TRUNCATE events",
        "PREPARE p AS SELECT 1",
    ] {
        let said = refused(&incident, sql, &[]);
        let name = sql.split(' ').next().unwrap();
        assert!(said.contains(name) && said.contains("changes nothing"), "{sql}: {said}");
    }
    for (sql, expected) in [
        ("SELECT * INTO t FROM events", "changes nothing"),
        ("EXPLAIN ANALYZE INSERT INTO events SELECT * FROM events", "changes nothing"),
        ("SELECT 1; SELECT 2", "2 statements at once"),
        ("SELECT * FROM '/etc/passwd'", "not found"),
        ("SELECT * FROM incident", "table `incident` not found; SHOW TABLES lists those there are"),
        ("SELEC 1", "keywatch: Expected: an SQL statement, found: SELEC"),
        ("SELECT nothing FROM events", "nothing"),
        ("", "no statement"),
    ] {
        let said = refused(&incident, sql, &[]);
        assert!(said.contains(expected), "{sql}: {said}");
    }
}

#[test]
fn p7_a_query_takes_no_more_time_memory_or_text_than_it_may() {
    let incident = tree::root().join("replay-data/2025-02-bybit");
    let long =
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value * b.value = 7";
    assert!(refused(&incident, long, &["--timeout", "1"]).contains("took longer than 1 s"));
    let wide = "SELECT count(DISTINCT value) FROM generate_series(1, 10000000)";
    assert!(refused(&incident, wide, &["--memory", "1"]).contains("Resources exhausted"));
    let doubled = |turns: usize| {
        let table = |turn: usize| format!("t{turn} AS (SELECT v || v AS v FROM t{})", turn - 1);
        let tables = (1..=turns).map(table).collect::<Vec<_>>().join(", ");
        format!("WITH t0 AS (SELECT '{}' AS v), {tables} SELECT * FROM t{turns}", "x".repeat(64))
    };
    for (sql, said) in [
        (doubled(11), "could make texts of"),
        (doubled(29), "consists of"),
        ("SELECT repeat('x', 1000000000)".to_owned(), "repeat"),
        ("WITH RECURSIVE t AS (SELECT 'x' v UNION ALL SELECT v || v FROM t) SELECT * FROM t".to_owned(), "ecursive"),
    ] {
        let refused = refused(&incident, &sql, &[]);
        assert!(refused.contains(said), "{sql}: {refused}");
    }
}

/// The same questions over a log with segments, without them, and in lines.
#[test]
fn what_is_left_unread_changes_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("made.log");
    let lines = directory.path().join("made");
    for place in [&log, &lines] {
        let made = ["simulate", "--events", "40000", "--systems", "2", "--days", "3", "--out", place.to_str().unwrap()];
        let done = keywatch(directory.path(), &made, b"");
        assert!(done.status.success(), "{}", err(&done));
    }
    let one = &rows(
        &lines,
        "SELECT system, session, to_address, time FROM events WHERE session IS NOT NULL AND kind = 'decision' ORDER BY time LIMIT 1",
    )[0];
    let text = |name: &str| one[name].as_str().unwrap().to_owned();
    let questions = [
        (format!("SELECT event_id FROM events WHERE session = '{}' ORDER BY event_id", text("session")), true),
        (format!("SELECT event_id FROM events WHERE system = '{}' AND time <= '{}' ORDER BY event_id", text("system"), text("time")), true),
        ("SELECT kind, count(*) FROM events WHERE kind LIKE 'chain.%' OR kind = 'decision' GROUP BY kind ORDER BY kind".to_owned(), false),
        ("SELECT event_id FROM events WHERE kind IN ('no.such', 'nor.this')".to_owned(), true),
        ("SELECT count(*) FROM events WHERE session = 'a' OR wallet = 'b' OR kind = 'tick'".to_owned(), false),
        ("SELECT count(*) FROM events WHERE NOT (session = 'a') AND time > now() - INTERVAL '1 second'".to_owned(), true),
    ];
    for (question, prunes) in questions {
        let (expected, _) = ask(&lines, &question, &["--format", "csv"]);
        let (first, said) = ask(&log, &question, &["--format", "csv"]);
        assert_eq!(first, expected, "{question}");
        assert_eq!(!said.contains(" 0 not"), prunes, "{question}: {said}");
        std::fs::remove_dir_all(log.join("segments")).unwrap();
        assert_eq!(ask(&log, &question, &["--format", "csv"]).0, expected, "{question}");
    }
}
