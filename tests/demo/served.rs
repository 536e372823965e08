//! `keywatch demo --serve`: the story on the page, from signing in to ctrl-c.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Instant as Time, Log, Position, Topic};
use reqwest::StatusCode;

use crate::page::browser::{Browser, between};

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Lines that are held for whoever waits for one.
const LINES_MAX: usize = 10_000;

/// A demo that is served, killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    /// What it writes, line by line.
    lines: Receiver<String>,
}

impl Served {
    /// Starts it, with `directory` for what is temporary.
    pub(crate) fn start(directory: &Path) -> Served {
        Served::start_with(directory, &[])
    }

    /// As [`Served::start`], with further arguments.
    fn start_with(directory: &Path, more: &[&str]) -> Served {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
        command.args(["demo", "--serve", "--speed", "1000000000"]).args(more);
        command.env("TMPDIR", directory).current_dir(directory);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (send, lines) = sync_channel(LINES_MAX);
        let written = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || written.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Served { child, lines }
    }

    /// What stands behind the words in the next line that begins with them.
    pub(crate) fn says(&self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("it never says `{words}`"));
            if let Some(rest) = line.strip_prefix(words) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Presses ctrl-c, and waits until it has ended in order.
    fn interrupt(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_is_served_to_who_has_the_token_until_ctrl_c() {
    let here = tempfile::tempdir().unwrap();
    let demo = Served::start(here.path());
    let page = demo.says("The page: ");
    let token = demo.says("Sign in with: ");
    let url = page.strip_suffix("/page").unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{page}");
    let refused = reqwest::get(format!("{url}/v1/incidents")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let mut browser = Browser::at(url);
    assert_eq!(browser.sign_in("a guess").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.sign_in(&token).await.status, StatusCode::SEE_OTHER);
    // The story begins with the first page that is shown.
    let board = browser.until("/page?severity=critical", "href=\"/page/incidents/").await;
    let incident = format!("/page/incidents/{}", between(&board.text, "href=\"/page/incidents/", "\""));
    let shown = browser.until(&incident, "401,346 ETH").await;
    for said in ["MISMATCH", "05:42:40", "denied at pdp", "action=\"/page/responses/"] {
        assert!(shown.text.contains(said), "no `{said}` in {}", shown.text);
    }
    assert!(browser.get("/page/coverage").await.text.contains("<td>✓ sees</td>"));
    demo.says("The page stays until Ctrl-C");
    demo.interrupt();
    let left: Vec<_> = std::fs::read_dir(here.path()).unwrap().collect();
    assert!(left.is_empty(), "what was temporary is gone: {left:?}");
}

#[test]
fn a_served_demo_that_nobody_looks_at_ends_on_ctrl_c_too() {
    let here = tempfile::tempdir().unwrap();
    let demo = Served::start(here.path());
    demo.says("Sign in with: ");
    demo.interrupt();
}

#[tokio::test(flavor = "multi_thread")]
async fn that_somebody_signs_in_is_a_record_of_the_time_of_the_story() {
    let here = tempfile::tempdir().unwrap();
    let demo = Served::start_with(here.path(), &["--data", "log"]);
    let page = demo.says("The page: ");
    let token = demo.says("Sign in with: ");
    let mut browser = Browser::at(page.strip_suffix("/page").unwrap());
    assert_eq!(browser.sign_in(&token).await.status, StatusCode::SEE_OTHER);
    assert!(browser.get("/page").await.status.is_success());
    demo.says("The page stays until Ctrl-C");
    demo.interrupt();
    let log = EmbeddedLog::open(here.path().join("log"), Options::new(Clock::Recorded)).unwrap();
    let conclusions = log.read(Topic::Conclusions, Position(0), 100_000).unwrap();
    let signed_in: Vec<&Event> = conclusions.iter().filter(|event| event.kind() == "operator.signed_in").collect();
    let [signed_in] = signed_in[..] else { panic!("{} records that somebody signed in", signed_in.len()) };
    let [before, after] = ["2025-02-01T00:00:00Z", "2025-02-21T05:30:00Z"].map(|time| time.parse::<Time>().unwrap());
    assert_eq!(signed_in.actor(), Some("you"));
    assert!((before..after).contains(&signed_in.time()), "{}", signed_in.time());
}
