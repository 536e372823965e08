//! `keywatch doctor` over a keywatch that runs, over the log of one that does not, and over what is not as it should be.

use std::fs;

use serde_json::Value;

use crate::operators;
use crate::running::machine::{Machine, presented};
use crate::support::command::{err, keywatch, out};

/// What it says as JSON, and its exit code, which has to fit.
fn doctor(machine: &Machine, arguments: &[&str]) -> Value {
    let done = keywatch(&machine.path(""), &[&["doctor", "--json"][..], arguments].concat(), b"");
    let report: Value = serde_json::from_str(&out(&done)).unwrap_or_else(|_| panic!("{}", err(&done)));
    let wrong = lines(&report).iter().filter(|line| line["state"] == "wrong").count();
    assert_eq!(report["wrong"], wrong);
    assert_eq!(done.status.code(), Some(i32::from(wrong > 0)), "{report}");
    for line in lines(&report).iter().filter(|line| line["state"] != "fine") {
        assert!(line["do"].as_str().is_some_and(|advice| !advice.is_empty()), "{line}");
    }
    report
}

fn lines(report: &Value) -> &[Value] {
    report["lines"].as_array().map_or(&[][..], Vec::as_slice)
}

/// The state of the one line of an area that says so.
fn state<'a>(report: &'a Value, area: &str, found: &str) -> &'a str {
    let says = |line: &&Value| line["area"] == area && line["found"].as_str().is_some_and(|text| text.contains(found));
    let said: Vec<&Value> = lines(report).iter().filter(says).collect();
    assert_eq!(said.len(), 1, "lines of {area} with `{found}`: {report:#}");
    said[0]["state"].as_str().unwrap()
}

/// Areas with a line that is wrong. The disk of who runs the tests is theirs.
fn wrong(report: &Value) -> Vec<&str> {
    let wrong = lines(report).iter().filter(|line| line["state"] == "wrong" && line["area"] != "disk");
    wrong.map(|line| line["area"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_keywatch_is_examined_while_it_runs_and_after_it_has_stopped() {
    let machine = operators::machine();
    let token = machine.path("ann.token");
    fs::write(&token, "ann").unwrap();
    let running = machine.start().await;
    running.send([presented("s-1", "ann", 1)]).await;
    let url = running.url().to_owned();
    let with_token = ["--url", url.as_str(), "--token-file", token.to_str().unwrap()];

    let report = doctor(&machine, &with_token);
    assert_eq!((report["service"].as_str(), wrong(&report)), (Some("running"), Vec::new()), "{report:#}");
    assert_eq!(state(&report, "source", "last session.presented at"), "fine");
    assert_eq!(state(&report, "source", "1 records, 0 rejects, 0 conflicts"), "fine");
    let report = doctor(&machine, &["--url", &url]);
    assert_eq!((wrong(&report), state(&report, "operator", "no token")), (vec!["operator"], "wrong"));
    // Nobody answers where the configuration says, and its log is not to be read beside it.
    let report = doctor(&machine, &[]);
    assert_eq!((report["service"].as_str(), wrong(&report)), (Some("stopped"), vec!["log"]), "{report:#}");
    assert_eq!(state(&report, "log", "open in another keywatch"), "wrong");

    running.stop();
    let report = doctor(&machine, &with_token);
    assert_eq!((report["service"].as_str(), wrong(&report)), (Some("stopped"), Vec::new()), "{report:#}");
    assert_eq!(state(&report, "keywatch", "does not answer"), "doubtful");
    assert_eq!(state(&report, "source", "1 records, 0 rejects, 0 conflicts"), "fine");
    assert_eq!(state(&report, "log", "events"), "fine");

    // The same log under the inventory of another system.
    for file in ["keywatch.toml", "inventory.toml"] {
        let text = fs::read_to_string(machine.path(file)).unwrap();
        fs::write(machine.path(file), text.replace("\"cold\"", "\"warm\"")).unwrap();
    }
    let report = doctor(&machine, &[]);
    assert_eq!(state(&report, "log", "records of `cold`, which is not declared"), "wrong");
    assert_eq!(state(&report, "source", "has said nothing"), "doubtful");
}

#[test]
fn what_cannot_be_reached_or_read_is_wrong_before_the_first_start() {
    let machine = operators::machine();
    // Nobody listens on a port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = fs::read_to_string(machine.path("keywatch.toml")).unwrap();
    let more = format!(
        "[[webhooks]]\nname = \"on-call\"\nurl = \"http://{nobody}/hook\"\nsecret_files = [\"hook.secret\"]\n\
         [[decision_points]]\nsystem = \"cold\"\nopa = \"http://{nobody}\"\ntoken_file = \"opa.token\"\n\
         control_file = \"control.json\"\n"
    );
    fs::write(machine.path("keywatch.toml"), format!("{config}\n{more}")).unwrap();
    fs::write(machine.path("control.json"), "{}").unwrap();
    fs::write(machine.path("opa.token"), "t").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(machine.path("opa.token"), mode).unwrap();
    let report = doctor(&machine, &[]);
    assert_eq!(wrong(&report), ["file", "file", "decision point", "receiver"], "{report:#}");
    assert_eq!(state(&report, "file", "mode 0644"), "wrong");
    assert_eq!(state(&report, "log", "there is none yet"), "doubtful");

    // Nobody may send: keywatch would not start, and it says for which source nobody speaks.
    fs::write(machine.path("keywatch.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let report = doctor(&machine, &[]);
    assert_eq!(wrong(&report), ["configuration"], "{report:#}");
    assert_eq!(state(&report, "configuration", "nothing would be heard"), "wrong");
    assert_eq!(state(&report, "source", "nothing is configured that could speak for it"), "doubtful");

    fs::write(machine.path("keywatch.toml"), "nonsense = 1\n").unwrap();
    let report = doctor(&machine, &[]);
    assert_eq!((lines(&report).len(), wrong(&report)), (1, vec!["configuration"]), "{report:#}");
}
