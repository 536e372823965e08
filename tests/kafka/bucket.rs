//! What windows and alerting remember moves through a bucket: from machine to machine, each with nothing on its disk, while the
//! bucket refuses, holds, damages, is slow or is not there. Every finding of the embedded log stands in Kafka once.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::partitions::{found, round};
use super::running::{THIRD, log_section, sessions};
use crate::running::machine::{Machine, Running};
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::{Broker, broker, prefix};
use crate::support::meanwhile::until;
use crate::support::s3::{Bucket, Fault};

const METRIC: &str = "keywatch_state_store_snapshots_total";

fn keys(secret: &str) -> String {
    format!("access_key_id = \"EXAMPLE\"\nsecret_access_key = \"{secret}\"\n")
}

/// A machine that has nothing but its configuration.
fn machine(broker: &Broker, prefix: &str, bucket: &Bucket, key: &Path) -> Machine {
    let machine = Machine::with_this_rule_alone(THIRD);
    let endpoint = &bucket.endpoint;
    let store = format!(
        "key_file = \"{}\"\nstate = \"s3://state/kw\"\n[log.state_store]\nendpoint = \"{endpoint}\"\npath_style = true\n\
         region = \"eu-central-1\"\nkeys_file = \"keys.toml\"\nallow_plain_http = true\n",
        key.display()
    );
    machine.configure(&log_section(broker, prefix, &store));
    std::fs::write(machine.path("keys.toml"), keys("secret")).unwrap();
    machine
}

/// How often that became of a state.
async fn count(running: &Running, state: &str, outcome: &str) -> u64 {
    running.metric(METRIC, &format!("outcome=\"{outcome}\",state=\"{state}\"")).await
}

/// Waits until it has found one thing that was not found before.
async fn finds(running: &Running) {
    running.until("keywatch_rule_findings_total", "", 1).await;
}

/// Manifests of a state.
fn manifests(bucket: &Bucket, state: &str) -> Vec<String> {
    let mut keys = bucket.keys();
    keys.retain(|key| key.contains(&format!("/{state}/")) && key.ends_with(".manifest"));
    keys
}

/// Ids of what stands in Kafka as found, each as often as it stands there.
fn concluded(machine: &Machine) -> BTreeMap<String, usize> {
    let arguments = ["log", "tail", "keywatch.toml", "--topic", "conclusions", "--all", "--kind", "finding."];
    let done = keywatch(&machine.path(""), &arguments, b"");
    assert!(done.status.success(), "{}", err(&done));
    let mut found = BTreeMap::new();
    for line in out(&done).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        *found.entry(line["detail"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// What the embedded log finds of what six machines are sent.
async fn found_on_the_embedded_log() -> BTreeMap<String, usize> {
    let machine = Machine::with_this_rule_alone(THIRD);
    let running = machine.start().await;
    running.send(round(0..2, 1)).await;
    running.send(round(0..2, 2)).await;
    running.send(round(0..2, 3)).await;
    for actor in ["carl", "dan", "eve"] {
        running.send(sessions(actor, 1..=3)).await;
    }
    running.until("keywatch_rule_findings_total", "", 5).await;
    running.stop();
    found(&machine.record().conclusions)
}

#[tokio::test]
async fn p1_state_moves_through_a_bucket_that_fails_in_every_way_and_nothing_is_found_twice() {
    let expected = found_on_the_embedded_log().await;
    assert!(expected.len() == 5 && expected.values().all(|times| *times == 1), "{expected:?}");
    let (broker, prefix, shared) = (broker(), prefix(), tempfile::tempdir().unwrap());
    let bucket = Bucket::start("state", "secret");
    let key = shared.path().join("role.key");
    let machines = [(); 6].map(|()| machine(&broker, &prefix, &bucket, &key));
    let [first, second, third, fourth, fifth, sixth] = &machines;

    let running = first.start().await;
    running.send(round(0..2, 1)).await;
    running.send(round(0..2, 2)).await;
    running.stop();
    let place = format!("kw/{prefix}-partition-0/");
    assert!(bucket.keys().iter().all(|key| key.starts_with(&place)), "{:?}", bucket.keys());
    assert_eq!(["window-state", "alerting-state"].map(|state| manifests(&bucket, state).len()), [1, 1]);
    assert_eq!(bucket.refused(), 0, "every signature is right");

    // It goes on from there; at its end, its keys are no good any more.
    let running = second.start().await;
    for state in ["windows", "alerting"] {
        assert_eq!(count(&running, state, "fetched").await, 1, "{state}");
    }
    assert_eq!(running.metric("keywatch_snapshots_total", "outcome=\"restored\"").await, 1);
    running.send(round(0..1, 3)).await;
    finds(&running).await;
    std::fs::write(second.path("keys.toml"), keys("wrong")).unwrap();
    running.stop();
    assert!(bucket.refused() > 0 && manifests(&bucket, "window-state").len() == 1);

    // The next one is killed when the parts are sent and the manifest is not.
    let running = third.start().await;
    assert_eq!(count(&running, "windows", "fetched").await, 1, "of the first machine");
    running.send(round(1..2, 3)).await;
    finds(&running).await;
    bucket.set(Fault::Holds(".manifest"));
    let before = bucket.keys().len();
    running.signal("TERM");
    until("a manifest waits", || async { bucket.held() > 0 }).await;
    drop(running);
    assert!(bucket.keys().len() > before && manifests(&bucket, "window-state").len() == 1, "{:?}", bucket.keys());
    bucket.set(Fault::None);

    let running = fourth.start().await;
    assert_eq!(count(&running, "windows", "fetched").await, 1, "half an upload is none");
    assert_eq!(count(&running, "windows", "rejected").await, 0);
    running.send(sessions("carl", 1..=3)).await;
    finds(&running).await;
    running.stop();
    let whole = manifests(&bucket, "window-state");
    assert_eq!((whole.len(), manifests(&bucket, "alerting-state").len()), (2, 2));

    // Somebody turns bits, and every answer takes long: the windows before, and alerting's newest state.
    let newest = whole[1].strip_suffix(".manifest").unwrap();
    bucket.damage(&format!("{newest}-"));
    bucket.set(Fault::Slow);
    let running = fifth.start().await;
    for (state, rejected) in [("windows", 1), ("alerting", 0)] {
        let found = (count(&running, state, "rejected").await, count(&running, state, "fetched").await);
        assert_eq!(found, (rejected, 1), "{state}");
    }
    running.send(sessions("dan", 1..=3)).await;
    finds(&running).await;
    running.stop();

    // It is not there at all: the rules go through the log.
    bucket.set(Fault::Busy);
    let running = sixth.start().await;
    assert_eq!(count(&running, "windows", "unreachable").await, 1);
    assert_eq!(running.metric("keywatch_snapshots_total", "outcome=\"restored\"").await, 0);
    running.send(sessions("eve", 1..=3)).await;
    finds(&running).await;
    running.stop();
    assert_eq!(concluded(first), expected);
}
