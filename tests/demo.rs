//! `keywatch demo` as a stranger runs it, without a terminal, and on the page.

pub(crate) mod served;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::command::{err, keywatch, out};

/// How long a demo without pauses may take.
const DEMO_MAX: Duration = Duration::from_mins(1);

/// Plays an incident without pauses and gives what it writes.
fn play(directory: &Path, more: &[&str]) -> String {
    let begun = Instant::now();
    let arguments = [&["demo", "--speed", "1000000000", "--data", "log"], more].concat();
    let done = keywatch(directory, &arguments, b"");
    assert_eq!(done.status.code(), Some(0), "{}\n{}", out(&done), err(&done));
    assert!(begun.elapsed() < DEMO_MAX, "{:?}", begun.elapsed());
    let text = out(&done);
    assert!(!text.contains('\u{1b}'), "colour without a terminal");
    assert!(directory.join("log").is_dir(), "--data keeps the log");
    text
}

/// Every one of these stands in one line, in this order within it.
fn says(text: &str, parts: &[&str]) {
    let holds = |line: &str| {
        let mut rest = line;
        parts.iter().all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    assert!(text.lines().any(holds), "no line says {parts:?} in:\n{text}");
}

#[test]
fn the_demo_catches_the_bybit_theft_and_proves_it() {
    let here = tempfile::tempdir().unwrap();
    let text = play(here.path(), &[]);
    says(&text, &["05:42:40", "signing/confirmation_mismatch"]);
    says(&text, &["2025-02-21T05:42:40.788469Z", "signing/confirmation_mismatch", "8 h 33 min 30 s"]);
    says(&text, &["ses-1f4e-71", "denied_at_pdp"]);
    for later in ["ses-e3df-71", "ses-3cc3-71"] {
        says(&text, &["denied", later, "0x9d89e673"]);
    }
    for rule in ["chain/implementation_changed", "signing/first_delegatecall", "chain/outflow_without_signature"] {
        says(&text, &[rule]);
    }
    for topic in ["events", "conclusions"] {
        says(&text, &["proof", topic]);
    }
}

#[test]
fn the_story_fits_on_a_screen_and_says_what_happens_what_is_found_and_what_is_done() {
    for (incident, told) in [
        ("2025-02-bybit", ["signs payment", "but the signature is over something else", "The policy says yes"]),
        ("2024-05-dmm-bitcoin", ["orders a payment of 12.4 BTC", "has all the signatures", "4,502.9 BTC leave"]),
    ] {
        let here = tempfile::tempdir().unwrap();
        let text = play(here.path(), &["--incident", incident]);
        let (story, proof) = text.split_once("What came of it").unwrap();
        assert!(story.lines().count() <= 45, "{} lines:\n{story}", story.lines().count());
        for sentence in told {
            says(story, &[sentence]);
        }
        says(story, &["FOUND", "before the loss"]);
        says(story, &["DONE", "people are told"]);
        assert!(proof.contains("Proof") && proof.lines().count() <= 25, "{proof}");
        // Ordinary payments of the weeks before are none of the story.
        assert!(!story.contains("wd-2024-0113"), "{story}");
    }
}

#[test]
fn everything_is_shown_where_that_is_asked_for() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (short, long) = (play(one.path(), &[]), play(other.path(), &["--all"]));
    let found = |text: &str| text.lines().filter(|line| line.contains(" FOUND ")).count();
    assert!(found(&long) > found(&short) && long.lines().count() > short.lines().count(), "{long}");
    says(&long, &["14:22:00", "chain/outflow_without_signature", "too late"]);
    assert!(!long.contains("repeat what is shown above"), "nothing is left out:\n{long}");
}

#[test]
fn the_demo_catches_the_dmm_bitcoin_theft_too() {
    let here = tempfile::tempdir().unwrap();
    let text = play(here.path(), &["--incident", "2024-05-dmm-bitcoin"]);
    says(&text, &["05-16 13:22:41", "session/two_places"]);
    says(&text, &["2024-05-31T04:07:35Z", "signing/request_altered", "11 min 55 s"]);
    says(&text, &["denied_at_pdp"]);
    says(&text, &["proof", "events"]);
}

#[test]
fn a_directory_with_a_log_in_it_is_refused_and_left_as_it_is() {
    let here = tempfile::tempdir().unwrap();
    play(here.path(), &[]);
    let again = keywatch(here.path(), &["demo", "--speed", "1000000000", "--data", "log"], b"");
    assert_eq!(again.status.code(), Some(2), "{}", out(&again));
    assert!(err(&again).contains("log holds a log already"), "{}", err(&again));
    assert_eq!(out(&again), "", "nothing was played");
}

#[test]
fn what_cannot_be_played_is_refused_with_what_can() {
    let here = tempfile::tempdir().unwrap();
    let unknown = keywatch(here.path(), &["demo", "--incident", "nonsense"], b"");
    assert_ne!(unknown.status.code(), Some(0));
    for said in ["nonsense", "2025-02-bybit", "2024-05-dmm-bitcoin"] {
        assert!(err(&unknown).contains(said), "{}", err(&unknown));
    }
    for speed in ["0", "-1", "nan", "fast"] {
        let refused = keywatch(here.path(), &["demo", &format!("--speed={speed}")], b"");
        assert_ne!(refused.status.code(), Some(0), "--speed {speed}");
        assert!(err(&refused).contains("--speed"), "{}", err(&refused));
        assert_eq!(out(&refused), "");
    }
}
