//! How long the systems of a partition are not watched when a process joins those that share the partitions
//! (`make bench-kafka`): the longest time in which no finding of a partition came out that moved, beside those that stayed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keywatch_store::log::kafka::partition_of;
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use super::latency::{MARKED, MARKED_ASN};
use super::reading::Reading;
use super::running::log_section;
use super::say;
use super::shares::{EVALUATE, PARTITIONS, SYSTEMS, ask, of_all_systems, token, until_shared};
use crate::running::machine::{Machine, presented};
use crate::support::kafka::{broker, prefix};

/// Between two events that are found, each in the next partition.
const EVERY: Duration = Duration::from_millis(50);
/// How long it is looked at before a process joins, and after the partitions are shared.
const SPELL: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_mins(2);

/// When findings came out, by the session that each is about.
type Arrivals = Arc<Mutex<BTreeMap<String, Vec<(i32, Instant)>>>>;

/// The systems, so that each is in another partition than the next one.
fn in_turn() -> impl Iterator<Item = &'static str> + Clone {
    SYSTEMS.into_iter().step_by(2).chain(SYSTEMS.into_iter().skip(1).step_by(2))
}

/// Sends an event that is found at even times, whatever became of those before, until it is told to end; how many.
async fn send_until(stop: Arc<AtomicBool>, url: String) -> usize {
    let (client, url, begun) = (Client::new(), format!("{url}/v1/ingest/events"), Instant::now());
    let (mut sending, mut count) = (JoinSet::new(), 0_u32);
    for system in in_turn().cycle() {
        tokio::time::sleep_until((begun + EVERY * count).into()).await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let body = presented(&format!("marked-{count}"), "ann", MARKED_ASN).to_string();
        let request = client.post(&url).bearer_auth(token(system)).body(body);
        sending.spawn(async move { request.send().await.unwrap().status() });
        count += 1;
    }
    let statuses = sending.join_all().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    statuses.len()
}

/// Waits until so many sessions were found.
async fn until_found(arrivals: &Arrivals, count: usize) {
    let until = Instant::now() + PATIENCE;
    let found = || arrivals.lock().unwrap().len();
    while found() < count {
        assert!(Instant::now() < until, "{} of {count} are found", found());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The longest time between two findings of one of these partitions.
fn longest_pause(arrivals: &Arrivals, of_these: impl Fn(i32) -> bool, before: Option<Instant>) -> Duration {
    let mut of_partition: BTreeMap<i32, Vec<Instant>> = BTreeMap::new();
    for (partition, at) in arrivals.lock().unwrap().values().flatten() {
        if of_these(*partition) && before.is_none_or(|before| *at < before) {
            of_partition.entry(*partition).or_default().push(*at);
        }
    }
    let mut longest = Duration::ZERO;
    for times in of_partition.values_mut() {
        times.sort_unstable();
        longest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(longest, Duration::max);
    }
    longest
}

#[test]
fn one_system_after_the_other_is_in_another_partition() {
    let partitions: Vec<u32> = in_turn().map(|system| partition_of(system, PARTITIONS)).collect();
    assert_eq!(partitions, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures, by `make bench-kafka`"]
async fn measure_the_log_on_kafka_while_a_process_joins() {
    let (broker, prefix, shared) = (broker(), prefix(), tempfile::tempdir().unwrap());
    let (key, state) = (shared.path().join("role.key"), shared.path().join("state"));
    let all = format!("partitions = {PARTITIONS}\nkey_file = \"{}\"\n", key.display());
    let taker = of_all_systems(Machine::new(MARKED));
    taker.configure(&log_section(&broker, &prefix, &all));
    let taking = taker.start_with(&["--role", "ingest"]).await;
    let machines = [(); 2].map(|()| {
        let machine = of_all_systems(Machine::new(MARKED));
        let here = format!("{all}share_partitions = true\nstate = \"{}\"\n", state.display());
        machine.configure(&log_section(&broker, &prefix, &here));
        machine
    });
    let one = machines[0].start_with(&EVALUATE).await;
    until_shared(&[&one], 4).await;

    let arrivals = Arrivals::default();
    let noted = Arc::clone(&arrivals);
    let partitions = i32::try_from(PARTITIONS).unwrap();
    let reading = Reading::start(&broker, &prefix, partitions, move |found| {
        if found.rule == MARKED.id {
            noted.lock().unwrap().entry(found.entity).or_default().push((found.partition, Instant::now()));
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send_until(Arc::clone(&stop), taking.url().to_owned()));
    tokio::time::sleep(SPELL).await;
    let joined = Instant::now();
    let two = machines[1].start_with(&EVALUATE).await;
    until_shared(&[&one, &two], 2).await;
    let took = joined.elapsed().as_secs_f64();
    tokio::time::sleep(SPELL).await;
    stop.store(true, Ordering::Relaxed);
    let sent = sending.await.unwrap();
    until_found(&arrivals, sent).await;

    let (_, ready) = ask(&two, "/readyz", None).await;
    let moved: Vec<i32> = serde_json::from_value(ready["partitions"].clone()).unwrap();
    let pause = |moved_ones: bool, before| {
        longest_pause(&arrivals, |partition| moved.contains(&partition) == moved_ones, before).as_secs_f64()
    };
    let twice = arrivals.lock().unwrap().values().filter(|times| times.len() > 1).count();
    say("| a second process joins | longest without a finding, s |");
    say("|---|---:|");
    say(&format!("| a partition that moved | {:.1} |", pause(true, None)));
    say(&format!("| a partition that stayed | {:.1} |", pause(false, None)));
    say(&format!("| all, before it joined | {:.1} |", pause(true, Some(joined)).max(pause(false, Some(joined)))));
    say(&format!("shared after {took:.1} s; an event of each partition every {:.1} s", (EVERY * 4).as_secs_f64()));
    assert_eq!(twice, 0, "of {sent} findings");
    drop(reading);
    // One after the other, each with what it has at rest: one that is given partitions as it is to end takes its time.
    two.stop();
    until_shared(&[&one], 4).await;
    one.stop();
    taking.stop();
}
