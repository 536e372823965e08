//! The commands of docs/front-door.md, run as they stand there.

use std::process::Command;

use super::site::Site;

/// What stands in fenced blocks of that kind, in order.
fn blocks(kind: &str) -> Vec<String> {
    let page = include_str!("../../docs/front-door.md");
    let begin = format!("```{kind}\n");
    page.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_commands_of_the_page_do_what_it_says() {
    let inventory = "[[systems]]\nid = \"cold\"\nsources = [{ source = \"idp\", feed = \"events\" }, \
                     { source = \"agent\", feed = \"events\" }]\n";
    let credentials = &blocks("toml")[0];
    let secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n".as_slice();
    let site =
        Site::of(inventory, &format!("[server]\nlisten = \"127.0.0.1:0\"\n{credentials}"), &[("agent.secret", secret)]);
    let commands = blocks("sh");
    assert_eq!(commands.len(), 3);
    for command in &commands {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", command]).current_dir(site.directory.path());
        let ran = shell.env("KEYWATCH", &site.keywatch.url).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{command}\n{said}\n{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.contains("\"events\":") && !said.contains("\"events\":0"), "{command}\n{said}");
    }
    let events = site.stop();
    let sessions: Vec<&str> = events.iter().filter_map(|event| event.session()).collect();
    assert_eq!((events.len(), sessions), (5, vec!["s-1", "s-2", "s-3"]));
}

#[test]
fn every_refusal_stands_on_the_page() {
    let source = include_str!("../../src/service/http/refusal.rs");
    let names = source.split("fn name(").nth(1).unwrap().split("fn said(").next().unwrap();
    let names: Vec<&str> = names.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next()).collect();
    assert!(names.len() > 10, "{names:?}");
    let page = include_str!("../../docs/front-door.md");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "docs/front-door.md does not name `{name}`");
    }
}
