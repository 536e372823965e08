//! What the pipeline does on the machine at hand: events a second of replay, and the time from append to finding.
//!
//! Run by hand: `cargo bench --bench pipeline [-- [replay] [rules] [latency] [DIRECTORY]]`, where DIRECTORY holds the
//! log that is written (default: the system's directory for temporary files). It prints tables; `docs/benchmarks.md`
//! keeps and reads them. No alert is planned and nobody is told: what is measured ends with the finding.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]
#![expect(clippy::cast_precision_loss, reason = "rates are shown rounded")]

mod copies;
mod latency;
mod replay;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other benches need more of it")]
mod support;

use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::Histogram;

const SECTIONS: [&str; 3] = ["replay", "rules", "latency"];

/// Durations in whole microseconds.
#[derive(Clone)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Times {
        Times(Histogram::new(3).unwrap())
    }

    pub(crate) fn note(&mut self, time: Duration) {
        self.0.record(u64::try_from(time.as_micros()).unwrap()).unwrap();
    }

    pub(crate) fn add(&mut self, other: &Times) {
        self.0.add(&other.0).unwrap();
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// Half of them, 99 of 100, 999 of 1000 and all of them took at most this long.
    pub(crate) fn shown(&self) -> String {
        let [half, most, nearly_all] = [0.5, 0.99, 0.999].map(|share| self.0.value_at_quantile(share));
        format!("{half:>8} {most:>8} {nearly_all:>8} {:>8}", self.0.max())
    }
}

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let (sections, directories): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .partition(|argument| SECTIONS.contains(&argument.as_str()));
    let wanted = |section: &str| sections.is_empty() || sections.iter().any(|wanted| wanted == section);
    if wanted("replay") {
        replay::table();
    }
    if wanted("rules") {
        replay::rules_table();
    }
    if wanted("latency") {
        latency::table(&directories.first().map_or_else(std::env::temp_dir, PathBuf::from));
    }
}
