//! The page in a real browser: Chromium, driven by `chromium/scenarios.mjs`, over the theft from Bybit and over a `keywatch run`
//! with ten thousand incidents. axe-core looks for barriers on every page. A machine without Chromium leaves it out.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use super::crowded::crowd;
use crate::demo::served::Served;
use crate::support::installed::installed;
use crate::support::tools::cached;
use crate::support::tree;

/// What the scenarios are; each has to be said to hold.
const SCENARIOS: [&str; 7] = [
    "theStoryBegins",
    "aLiveUpdateArrives",
    "anAnalystAcknowledgesByTheKeyboardAlone",
    "aViewerCannot",
    "aScriptStaysText",
    "tenThousandScroll",
    "theStoryOfBybit",
];

/// Where Playwright and axe-core are: where `KEYWATCH_TEST_BROWSER` says, else where `make tools` puts them.
fn driver() -> PathBuf {
    let folder = cached("KEYWATCH_TEST_BROWSER", "browser");
    let place = folder.display();
    assert!(
        folder.join("complete").is_file(),
        "Playwright is not in {place}: `make tools` installs it, KEYWATCH_TEST_BROWSER may name another folder"
    );
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_on_the_page_in_a_real_browser() {
    let chromium = installed("KEYWATCH_TEST_CHROMIUM", &["chromium", "chromium-browser", "google-chrome"], "chromium");
    let Some(chromium) = chromium else { return };
    let Some(node) = installed("KEYWATCH_TEST_NODE", &["node", "nodejs"], "nodejs") else { return };
    let here = tempfile::tempdir().unwrap();
    let demo = Served::start(here.path());
    let (page, token) = (demo.says("The page: "), demo.says("Sign in with: "));
    let story = page.strip_suffix("/page").unwrap();
    let machine = crowd();
    let running = machine.start().await;

    let given = json!({ "story": story, "storyToken": token, "run": running.url() }).to_string();
    let script = tree::root().join("tests/page/chromium/scenarios.mjs");
    let mut command = Command::new(node);
    command.arg(script).arg(given).env("KEYWATCH_TEST_CHROMIUM", chromium).env("KEYWATCH_TEST_BROWSER", driver());
    // It ends by itself, however long a page takes.
    command.current_dir(here.path()).env("TMPDIR", here.path()).stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [done.stdout.as_slice(), &done.stderr].map(String::from_utf8_lossy).concat();
    assert!(done.status.success(), "{said}");
    for scenario in SCENARIOS {
        assert!(said.contains(&format!("holds: {scenario}, ")), "nothing is said of {scenario}: {said}");
    }
    running.stop();
}
