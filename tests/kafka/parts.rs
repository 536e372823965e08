//! Where the time goes between an event and its finding on Kafka (`make bench-kafka`): by the append times of the brokers, which are
//! whole milliseconds, by this process's own clock, and by what keywatch measures. All are of one machine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Instant, UNIX_EPOCH};

use super::reading::Found;
use super::say;

/// When a finding passed where, in nanoseconds since the epoch.
struct Passed {
    /// Its event was appended.
    event: i64,
    /// It was appended itself.
    finding: i64,
    /// A reader of committed messages had it.
    read: i64,
}

/// What is known of each session that was found.
#[derive(Clone, Default)]
pub(super) struct Parts(Arc<Mutex<BTreeMap<String, Passed>>>);

/// What keywatch measures on the way: a histogram, a label of it, and what it is.
const MEASURED: [(&str, &str, &str); 4] = [
    ("keywatch_log_append_latency_seconds", "topic=\"events\"", "an append of events, until read back"),
    ("keywatch_log_fold_latency_seconds", "topic=\"events\"", "event appended → read"),
    ("keywatch_engine_run_latency_seconds", "", "a batch through the rules"),
    ("keywatch_log_fold_latency_seconds", "topic=\"conclusions\"", "conclusion appended → committed and read back"),
];

impl Parts {
    /// Notes a finding that was read just now.
    pub(super) fn note(&self, found: &Found) {
        let passed = Passed { event: found.event, finding: found.appended_ms * 1_000_000, read: now() };
        self.0.lock().unwrap().entry(found.entity.clone()).or_insert(passed);
    }

    /// Says how long each part took of the sessions whose requests were due and which were acted upon at these instants.
    pub(super) fn say(&self, rate: u32, due: &BTreeMap<String, Instant>, acted: &BTreeMap<String, Instant>) {
        let (passed, wall, monotonic) = (self.0.lock().unwrap(), now(), Instant::now());
        let at = |instant: &Instant| wall - nanoseconds(monotonic.saturating_duration_since(*instant).as_nanos());
        let mut parts: [Vec<i64>; 4] = Default::default();
        for (session, due) in due {
            let (Some(Passed { event, finding, read }), Some(acted)) = (passed.get(session), acted.get(session)) else {
                continue;
            };
            let instants = [at(due), *event, *finding, *read, at(acted)];
            for (part, pair) in parts.iter_mut().zip(instants.windows(2)) {
                part.push(pair[1] - pair[0]);
            }
        }
        let names = ["due → event appended", "→ finding appended", "→ committed and read", "read → acted upon"];
        for (name, part) in names.iter().zip(&mut parts) {
            part.sort_unstable();
            say(&format!("| {rate} events/s | {name} | {:.1} | {:.1} |", quantile(part, 50), quantile(part, 99)));
        }
    }
}

/// Says what keywatch has measured on the way, of all rates together, as bounds of its histograms.
pub(super) fn say_measured(metrics: &str) {
    for (metric, label, what) in MEASURED {
        let [p50, p99] = [0.5, 0.99].map(|quantile| bound(metrics, metric, label, quantile) * 1e3);
        say(&format!("| all rates | {what} | ≤ {p50:.1} | ≤ {p99:.1} |"));
    }
}

/// The bound of a histogram's bucket that so much of it does not exceed, seconds.
fn bound(metrics: &str, metric: &str, label: &str, quantile: f64) -> f64 {
    let begin = format!("{metric}_bucket{{");
    let of_label = metrics.lines().filter(|line| line.starts_with(&begin) && line.contains(label));
    let bucket = |line: &str| {
        let le = line.split_once("le=\"")?.1.split('"').next()?.parse::<f64>().ok()?;
        // Behind a number there may stand an exemplar.
        let count = line.split_once("} ")?.1.split(' ').next()?.parse::<f64>().ok()?;
        Some((le, count))
    };
    let buckets: Vec<(f64, f64)> = of_label.filter_map(bucket).collect();
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    buckets.iter().find(|(_, count)| *count >= quantile * all).map_or(0.0, |(le, _)| *le)
}

/// Milliseconds of sorted nanoseconds; zero of none.
fn quantile(sorted: &[i64], percent: usize) -> f64 {
    let at = sorted.len().saturating_sub(1) * percent / 100;
    let microseconds = sorted.get(at).map_or(0, |nanoseconds| nanoseconds / 1_000);
    f64::from(i32::try_from(microseconds).unwrap()) / 1e3
}

fn now() -> i64 {
    nanoseconds(UNIX_EPOCH.elapsed().unwrap().as_nanos())
}

fn nanoseconds(nanoseconds: u128) -> i64 {
    i64::try_from(nanoseconds).unwrap()
}

#[test]
fn a_bound_is_that_of_the_first_bucket_that_holds_enough() {
    let metrics = "a_bucket{topic=\"events\",le=\"0.01\"} 5\na_bucket{topic=\"events\",le=\"0.1\"} 9 # {x=\"1\"} 2\n\
                   a_bucket{topic=\"events\",le=\"+Inf\"} 10\na_bucket{topic=\"other\",le=\"9\"} 99\n";
    let of = |quantile| bound(metrics, "a", "topic=\"events\"", quantile);
    assert_eq!((of(0.5), of(0.9)), (0.01, 0.1));
    assert!(of(0.99).is_infinite() && bound(metrics, "b", "", 0.5) == 0.0);
}
