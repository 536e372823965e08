//! A rule that looks back over thirty days, in a keywatch that is stopped, killed and started again: it goes on from what
//! was kept, and finds everything once, whatever became of that.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::machine::{Machine, Rule, Running, alerting_snapshots, position, presented, snapshots};
use crate::support::command::{err, keywatch};

/// Finds the third session of an actor, and no other.
const THIRD: Rule = Rule {
    id: "own/third",
    sql: "SELECT event_id, actor AS entity, n FROM (SELECT *, count(*) OVER (PARTITION BY actor ORDER BY time RANGE \
          BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW) AS n FROM events WHERE kind = 'session.presented') \
          WHERE n = 3",
};

/// More records than a restart writes or ticks are added while a test runs.
const MANY: u64 = 2_000;

/// Records in which the rule sees nothing.
fn heartbeats() -> impl Iterator<Item = Value> {
    (0..MANY).map(
        |id| json!({ "id": format!("beat-{id}"), "kind": "source.heartbeat", "event_time": "2025-03-03T09:00:00Z" }),
    )
}

/// Sessions `<actor>-<number>`.
fn sessions(actor: &str, numbers: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    numbers.map(|number| presented(&format!("{actor}-{number}"), actor, 1)).collect()
}

fn third(actors: &[&str]) -> BTreeMap<String, usize> {
    actors.iter().map(|actor| (format!("{actor}-3"), 1)).collect()
}

/// Whether it went on from a snapshot, how many could not be used, and whether the rules went over all of the log.
async fn began(running: &Running) -> (u64, u64, bool) {
    let restored = running.metric("keywatch_snapshots_total", "restored").await;
    let rejected = running.metric("keywatch_snapshots_total", "rejected").await;
    (restored, rejected, running.metric("keywatch_engine_records_total", "").await >= MANY)
}

/// A first life: many records, two sessions of ann, three of bob.
async fn first_life(machine: &Machine) {
    let running = machine.start().await;
    assert_eq!(began(&running).await, (0, 0, false), "there is nothing yet");
    running.send(heartbeats()).await;
    running.send(sessions("ann", 1..=2)).await;
    running.send(sessions("bob", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();
    assert_eq!(machine.record().found(), third(&["bob"]));
}

#[tokio::test]
async fn p1_a_restart_goes_on_from_what_was_kept_and_finds_what_needs_both_lives() {
    let machine = Machine::new(THIRD);
    first_life(&machine).await;
    let [kept] = snapshots(&machine).try_into().unwrap();
    assert!(position(&kept) >= MANY, "it has seen all of the first life: {}", kept.display());

    let running = machine.start().await;
    assert_eq!(began(&running).await, (1, 0, false), "the log is not run again");
    running.send(sessions("ann", 3..=4)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();
    assert_eq!(machine.record().found(), third(&["ann", "bob"]));
}

#[tokio::test]
async fn p1_a_backup_is_gone_on_with_in_the_place_of_its_log() {
    let machine = Machine::new(THIRD);
    first_life(&machine).await;
    let before = machine.record();
    let copied = keywatch(&machine.path(""), &["log", "copy", "--backup", "keywatch-data", "backup"], b"");
    assert!(copied.status.success(), "{}", err(&copied));
    // No further one is written over it, and nothing else is made a backup of.
    for (from, to) in [("keywatch-data", "backup"), ("keywatch-data", "keywatch.toml")] {
        let refused = keywatch(&machine.path(""), &["log", "copy", "--backup", from, to], b"");
        assert!(!refused.status.success() && !err(&refused).is_empty(), "{from} {to}");
    }
    std::fs::remove_dir_all(machine.path("keywatch-data")).unwrap();
    std::fs::rename(machine.path("backup"), machine.path("keywatch-data")).unwrap();
    let backup = machine.record();
    assert_eq!((&backup.events, &backup.conclusions), (&before.events, &before.conclusions), "with all log times");

    let running = machine.start().await;
    running.send(sessions("bob", 1..=3)).await;
    assert_eq!(running.metric("keywatch_ingest_repeats_total", "idp").await, 3, "the log has them");
    running.send(sessions("ann", 3..=4)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();
    let record = machine.record();
    assert_eq!(record.found(), third(&["ann", "bob"]));
    let told = record.told();
    assert!(!told.is_empty() && told.values().all(|times| *times == 1), "{told:?}");
}

#[tokio::test]
async fn p1_killed_after_the_last_snapshot_everything_is_found_once() {
    let machine = Machine::new(THIRD);
    first_life(&machine).await;
    let kept = snapshots(&machine);

    let running = machine.start().await;
    running.send(sessions("ann", 3..=3)).await;
    running.send(sessions("carl", 1..=2)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    drop(running);
    assert_eq!(snapshots(&machine), kept, "the snapshot is older than the log");

    let running = machine.start().await;
    assert_eq!(began(&running).await, (1, 0, false));
    running.send(sessions("carl", 3..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();
    assert_eq!(machine.record().found(), third(&["ann", "bob", "carl"]));
}

#[tokio::test]
async fn p1_damaged_snapshots_are_rejected_and_the_log_rebuilds_them() {
    let machine = Machine::new(THIRD);
    first_life(&machine).await;
    let running = machine.start().await;
    running.send(sessions("carl", 1..=2)).await;
    running.stop();
    let [older, newer] = snapshots(&machine).try_into().unwrap();
    flip(&newer);

    let running = machine.start().await;
    assert_eq!(began(&running).await, (1, 1, false), "the older one does");
    drop(running);
    cut(&older);

    let running = machine.start().await;
    assert_eq!(began(&running).await, (0, 2, true), "the log is run again");
    running.send(sessions("ann", 3..=3)).await;
    running.send(sessions("carl", 3..=3)).await;
    running.until("keywatch_rule_findings_total", "", 2).await;
    running.stop();
    assert_eq!(machine.record().found(), third(&["ann", "bob", "carl"]));

    let running = machine.start().await;
    assert_eq!(began(&running).await, (1, 0, false), "what was rebuilt is kept in place of what was damaged");
}

/// Whether alerting went on from a snapshot, and how many could not be used.
async fn alerting_began(running: &Running) -> (u64, u64) {
    let restored = running.metric("keywatch_alerting_snapshots_total", "restored").await;
    (restored, running.metric("keywatch_alerting_snapshots_total", "rejected").await)
}

/// Finds the third session of an actor while it runs.
async fn find(running: &Running, actor: &str) {
    running.send(sessions(actor, 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
}

#[tokio::test]
async fn p4_whatever_became_of_alertings_state_everything_is_found_and_told_once() {
    let machine = Machine::new(THIRD);
    first_life(&machine).await;
    let running = machine.start().await;
    assert_eq!(alerting_began(&running).await, (1, 0));
    find(&running, "carl").await;
    running.stop();
    let [older, newer] = alerting_snapshots(&machine).try_into().unwrap();
    assert_eq!(position(&newer), position(snapshots(&machine).last().unwrap()), "at the position of window state");
    flip(&newer);

    let running = machine.start().await;
    assert_eq!(alerting_began(&running).await, (1, 1), "the older one does, and the log since");
    find(&running, "dora").await;
    drop(running);
    cut(&older);

    let running = machine.start().await;
    assert_eq!(alerting_began(&running).await, (0, 2), "the log is read from its beginning");
    find(&running, "emil").await;
    running.stop();
    std::fs::remove_dir_all(machine.path("keywatch-data/window-state")).unwrap();

    let running = machine.start().await;
    assert_eq!(
        (alerting_began(&running).await.0, began(&running).await),
        (1, (0, 0, true)),
        "windows alone are made again"
    );
    running.stop();
    std::fs::remove_dir_all(machine.path("keywatch-data/alerting-state")).unwrap();
    std::fs::remove_dir_all(machine.path("keywatch-data/window-state")).unwrap();
    std::fs::remove_dir_all(machine.path("keywatch-data/ids")).unwrap();
    machine.start().await.stop();

    let record = machine.record();
    assert_eq!(record.found(), third(&["bob", "carl", "dora", "emil"]));
    let told = record.told();
    assert!(told.len() >= 4, "{told:?}");
    assert!(told.values().all(|count| *count == 1), "{told:?}");
}

/// Changes one byte in the middle.
fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// Leaves the first half.
fn cut(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}
