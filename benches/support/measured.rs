//! One cell of a table: measured in a process of its own, told to the process that prints in one line of JSON.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant as Stopwatch};

use cpu_time::ProcessTime;
use hdrhistogram::Histogram;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How often a cell is measured; the run with the least processor time counts, since other programs only add.
const RUNS: usize = 3;

/// What one cell gave.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) events: u64,
    /// User and system time of the whole process while it was measured, threads included.
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
    /// The most that was resident while it was measured, and what of it was there before.
    pub(crate) peak_bytes: u64,
    pub(crate) before_bytes: u64,
    /// Rows that the queries let through.
    pub(crate) findings: u64,
    /// Wall time of a batch: p50, p99, p99.9, max. Empty where batches are not told apart.
    pub(crate) batch_us: Vec<u64>,
    /// What a reader has to know of this cell.
    #[serde(default)]
    pub(crate) note: String,
}

/// Measures what lies between `start` and `stop`, which is one batch.
pub(crate) struct Meter {
    begun: Option<(ProcessTime, Stopwatch)>,
    cpu: Duration,
    wall: Duration,
    batches: Histogram<u64>,
    before_bytes: u64,
}

impl Meter {
    /// From here on memory is counted.
    pub(crate) fn new() -> Meter {
        forget_peak();
        let batches = Histogram::new(3).unwrap();
        Meter { begun: None, cpu: Duration::ZERO, wall: Duration::ZERO, batches, before_bytes: status_bytes("VmRSS:") }
    }

    pub(crate) fn start(&mut self) {
        self.begun = Some((ProcessTime::now(), Stopwatch::now()));
    }

    pub(crate) fn stop(&mut self) {
        let Some((cpu, wall)) = self.begun.take() else { return };
        let wall = wall.elapsed();
        self.cpu += cpu.elapsed();
        self.wall += wall;
        self.batches.record(u64::try_from(wall.as_micros()).unwrap()).unwrap();
    }

    pub(crate) fn time<T>(&mut self, act: impl FnOnce() -> T) -> T {
        self.start();
        let given = act();
        self.stop();
        given
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.cpu
    }

    pub(crate) fn measured(&self, events: usize, findings: usize) -> Measured {
        let batch_us = [0.5, 0.99, 0.999, 1.0].map(|share| self.batches.value_at_quantile(share)).to_vec();
        Measured {
            events: events as u64,
            cpu_ns: u64::try_from(self.cpu.as_nanos()).unwrap(),
            wall_ns: u64::try_from(self.wall.as_nanos()).unwrap(),
            peak_bytes: status_bytes("VmHWM:"),
            before_bytes: self.before_bytes,
            findings: findings as u64,
            batch_us,
            note: String::new(),
        }
    }
}

/// The kernel's record of the most that was resident begins anew; where it may not, the peak includes what made the data.
pub(crate) fn forget_peak() {
    let reset = std::fs::OpenOptions::new().write(true).open("/proc/self/clear_refs");
    reset.and_then(|mut file| file.write_all(b"5")).ok();
}

/// A line of the kernel's record of this process: `VmRSS:` is what is resident, `VmHWM:` the most that was.
pub(crate) fn status_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.unwrap_or(0_u64) * 1_024
}

impl Measured {
    pub(crate) fn with_note(mut self, note: &str) -> Measured {
        note.clone_into(&mut self.note);
        self
    }

    /// Without batches, where only the whole was timed.
    pub(crate) fn whole(mut self) -> Measured {
        self.batch_us.clear();
        self
    }

    pub(crate) fn cpu_ns_an_event(&self) -> f64 {
        self.cpu_ns as f64 / self.events.max(1) as f64
    }

    /// Events a second of processor time, and the rest of a row of a table.
    pub(crate) fn cells(&self) -> String {
        let ns = self.cpu_ns_an_event();
        let mebibytes = |bytes: u64| bytes / (1 << 20);
        let batch = if self.batch_us.is_empty() {
            " | | | ".to_owned()
        } else {
            let shown: Vec<String> = self.batch_us.iter().map(|us| format!("{:.2}", *us as f64 / 1e3)).collect();
            shown.join(" | ")
        };
        let grown = mebibytes(self.peak_bytes.saturating_sub(self.before_bytes));
        format!("{} | {:.0} | {ns:.0} | {grown} | {batch} | {}", self.events, 1e9 / ns, self.findings)
    }

    pub(crate) const HEADER: &'static str =
        "events | events/s a core | ns/event/core | MiB grown | batch ms p50 | p99 | p99.9 | max | findings";
}

/// Runs a cell in processes of its own and takes the one with the least processor time.
pub(crate) fn least(cell: &[&str]) -> Measured {
    let runs = (0..RUNS).map(|_| once(cell));
    runs.min_by_key(|run: &Measured| run.cpu_ns / run.events.max(1)).unwrap()
}

/// Runs a cell in a process of its own.
pub(crate) fn once<T: DeserializeOwned>(cell: &[&str]) -> T {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("cell").args(cell);
    read(&mut command).unwrap_or_else(|problem| panic!("{cell:?}: {problem}"))
}

/// What a program that measures itself wrote last.
pub(crate) fn read<T: DeserializeOwned>(command: &mut Command) -> Result<T, String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| line.starts_with('{')).ok_or("it ended without a result")?;
    serde_json::from_str(line).map_err(|error| error.to_string())
}
