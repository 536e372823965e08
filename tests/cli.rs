//! The command line as a user meets it: what is wrong is said with its file, line and field, and in the exit code.

use std::path::Path;

use keywatch_store::line;

use crate::support::command::{err, keywatch, out};

const HEARTBEAT: &str = r#"{"id":"1","kind":"source.heartbeat","event_time":"2025-02-21T00:00:00Z"}"#;

/// A directory with these files in it.
fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn import(directory: &Path, more: &[&str], input: &[u8]) -> std::process::Output {
    let arguments = [&["import", "--feed", "events", "--system", "cold", "--source", "idp"], more].concat();
    keywatch(directory, &arguments, input)
}

#[test]
fn help_teaches() {
    let here = directory(&[]);
    let top = out(&keywatch(here.path(), &["--help"], b""));
    for subcommand in ["demo", "replay", "backtest", "run", "import", "detectors"] {
        assert!(top.contains(subcommand), "{top}");
        let help = keywatch(here.path(), &[subcommand, "--help"], b"");
        assert!(help.status.success() && out(&help).contains("Examples:"), "{}", out(&help));
    }
    assert!(top.contains("Exit codes"), "{top}");
}

#[test]
fn an_import_writes_event_lines_and_counts() {
    let here = directory(&[("a.jsonl", format!("{HEARTBEAT}\n").as_bytes())]);
    let done = import(here.path(), &["a.jsonl", "-"], HEARTBEAT.replace("\"1\"", "\"2\"").as_bytes());
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let events: Vec<_> = out(&done).lines().map(|text| line::read(text.as_bytes()).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.system() == "cold" && event.source() == "idp"));
    assert_eq!(err(&done).trim(), "2 files, 2 records, 2 events, 0 rejects");
}

#[test]
fn a_dry_run_says_which_shares_are_accepted_and_understood() {
    let okta = |uuid: &str, act: &str| {
        format!(
            r#"{{"uuid":"{uuid}","published":"2025-02-21T05:12:03Z","eventType":"{act}","actor":{{"alternateId":"dana"}}}}"#
        )
    };
    let lines = [
        okta("1", "user.session.start"),
        okta("2", "user.session.start"),
        okta("3", "user.account.lock"),
        okta("4", "system.org.rate_limit.warning"),
        okta("5", "system.push.send_factor_verify_push"),
        okta("", "user.session.end"),
    ];
    let here = directory(&[("okta.jsonl", lines.join("\n").as_bytes())]);
    let arguments = ["import", "--feed", "okta", "--system", "cold", "--dry-run", "okta.jsonl"];
    let done = keywatch(here.path(), &arguments, b"");
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert!(err(&done).contains("okta.jsonl:6: uuid: is missing"), "{}", err(&done));
    let said: Vec<String> =
        out(&done).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "accepted 5 83.3 % not rejected",
        "understood 3 50.0 % became events",
        "passed over 2 33.3 % nothing of this feed's",
        "session.risk 1",
        "session.started 2",
    ] {
        assert!(said.iter().any(|said| said == line), "{line}: {said:?}");
    }
    let event = lines[0].as_str();
    assert!(!out(&done).contains(event) && !out(&done).contains("event_id"), "{}", out(&done));
}

#[test]
fn what_cannot_be_read_is_named_and_costs_nothing_else() {
    let spoiled: [(&str, Vec<u8>, &str); 7] = [
        ("malformed", b"{\"id\":\"2\",".to_vec(), "bad:2: record: "),
        ("wrong type", HEARTBEAT.replace(r#""id":"1""#, r#""id":"2","asn":"x""#).into(), "bad:2: asn: "),
        ("unknown kind", HEARTBEAT.replace("heartbeat", "nonsense").into(), "bad:2: kind: "),
        ("keywatch's own kind", HEARTBEAT.replace("source.heartbeat", "tick").into(), "bad:2: kind: "),
        (
            "no number",
            HEARTBEAT.replace(r#""id":"1""#, r#""id":"2","asn":99999999999999999999"#).into(),
            "bad:2: asn: ",
        ),
        ("not UTF-8", b"{\"id\":\"\xff\"}".to_vec(), "bad:2: record: invalid UTF-8"),
        ("terminal escape", b"{\"id\":\"2\",\"\x1b[2J\":1}".to_vec(), "bad:2: record: "),
    ];
    for (what, line, said) in spoiled {
        let text = [HEARTBEAT.as_bytes(), b"\n", &line, b"\n", HEARTBEAT.replace("\"1\"", "\"3\"").as_bytes()].concat();
        let here = directory(&[("bad", &text)]);
        let done = import(here.path(), &["bad"], b"");
        assert_eq!(done.status.code(), Some(1), "{what}: {}", err(&done));
        assert!(err(&done).contains(said), "{what}: {}", err(&done));
        assert!(!err(&done).contains('\x1b'), "{what}: {}", err(&done));
        assert_eq!(out(&done).lines().count(), 2, "{what}: {}", err(&done));
    }
}

#[test]
fn p7_a_line_of_100_mb_is_rejected_and_the_next_is_read() {
    let mut text = vec![b'x'; 100 << 20];
    text.push(b'\n');
    text.extend(HEARTBEAT.bytes());
    let here = directory(&[("bad", &text)]);
    let done = import(here.path(), &["bad"], b"");
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert!(err(&done).contains("bad:1: record: 104857601 bytes, at most"), "{}", err(&done));
    assert_eq!(out(&done).lines().count(), 1);
}

#[test]
fn what_cannot_be_done_says_why_and_what_to_do() {
    let unknown_field = b"[[systems]]\nid = \"cold\"\nwalets = []\n";
    let here = directory(&[("i.toml", unknown_field), ("a", HEARTBEAT.as_bytes()), ("keywatch.toml", b"dta = 1\n")]);
    for (arguments, said) in [
        (vec!["import", "--feed", "nonsense", "--system", "s", "a"], "there is no feed `nonsense`; the feeds are"),
        (vec!["import", "--feed", "events", "a"], "--system SYSTEM"),
        (vec!["import", "--feed", "events", "--system", "s", "none"], "cannot import none"),
        (vec!["import", "--feed", "safe", "--inventory", "i.toml", "a"], "i.toml: "),
        (vec!["import", "--feed", "safe", "--inventory", "i.toml", "a"], "walets"),
        (vec!["run"], "keywatch.toml: "),
        (vec!["run"], "dta"),
        (vec!["run", "--config", "none.toml"], "--print-config"),
        (vec!["replay", "none"], "none"),
        (vec!["flee"], "unrecognized subcommand"),
    ] {
        let done = keywatch(here.path(), &arguments, b"");
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", err(&done));
        assert!(err(&done).contains(said), "{arguments:?}: {}", err(&done));
    }
}

#[test]
fn the_printed_configuration_is_one_step_from_serving() {
    let here = directory(&[]);
    let printed = keywatch(here.path(), &["run", "--print-config"], b"");
    assert!(printed.status.success());
    std::fs::write(here.path().join("keywatch.toml"), &printed.stdout).unwrap();
    std::fs::write(here.path().join("inventory.toml"), "[[systems]]\nid = \"cold\"\n").unwrap();
    let done = keywatch(here.path(), &["run"], b"");
    assert_eq!(done.status.code(), Some(2));
    assert!(err(&done).contains("[[credentials]]"), "{}", err(&done));
}

#[test]
fn rules_that_cannot_be_run_as_configured_are_said_and_nothing_is_served() {
    let server = "[server]\nlisten = \"127.0.0.1:0\"\n";
    let credential = "[[credentials]]\nsystem = \"cold\"\nsource = \"idp\"\nfeed = \"events\"\ntoken_sha256 = ";
    let inventory = "[[systems]]\nid = \"cold\"\n[[systems.sources]]\nsource = \"idp\"\nfeed = \"events\"\n".as_bytes();
    for (setting, said) in [
        ("[rules]\ndisabled = [\"no/such\"]\n", "[rules]: there is no rule `no/such`"),
        ("rules_directory = \"none\"\n", "none: "),
        ("rules_directory = \"rules\"\n", "own/spoiled"),
    ] {
        let config = format!("{setting}{server}{credential}\"{}\"\n", "5".repeat(64));
        let here = directory(&[("keywatch.toml", config.as_bytes()), ("inventory.toml", inventory)]);
        std::fs::create_dir_all(here.path().join("rules/own")).unwrap();
        std::fs::write(here.path().join("rules/own/spoiled.sql"), "SELECT").unwrap();
        let done = keywatch(here.path(), &["run"], b"");
        assert_eq!(done.status.code(), Some(2), "{setting}: {}", err(&done));
        assert!(err(&done).contains(said) && !err(&done).contains("panicked"), "{setting}: {}", err(&done));
        assert_eq!(out(&done), "", "{setting}");
    }
}

#[test]
fn a_receiver_can_be_tried_before_it_matters() {
    let token = "ab".repeat(32);
    let config = format!(
        "[[credentials]]\nsystem = 'cold'\nsource = 'opa-1'\nfeed = 'opa'\ntoken_sha256 = '{token}'\n\
         [[receivers]]\nkind = 'siem'\nname = 'siem'\nfile = 'findings.jsonl'\n\
         [[receivers]]\nkind = 'siem'\nname = 'nowhere'\nfile = 'missing/findings.jsonl'\n"
    );
    let inventory = "[[systems]]\nid = 'cold'\nsources = [{ source = 'opa-1', feed = 'opa' }]\n";
    let directory = directory(&[("keywatch.toml", config.as_bytes()), ("inventory.toml", inventory.as_bytes())]);
    let test =
        |receiver: &str| keywatch(directory.path(), &["deliveries", "test", receiver, "--severity", "high"], b"");
    let taken = test("siem");
    assert!(taken.status.success() && out(&taken).contains("siem took the test"), "{}", err(&taken));
    let line = std::fs::read_to_string(directory.path().join("findings.jsonl")).unwrap();
    assert!(line.contains("TEST of receiver siem: nothing has happened") && line.contains("alert.test"), "{line}");
    let refused = test("nowhere");
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("`nowhere` did not take the notification"), "{}", err(&refused));
    let unknown = test("pager");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("has no receiver `pager`; it has siem, nowhere"), "{}", err(&unknown));
}
