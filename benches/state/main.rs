//! What windows remember: bytes a row, what a flood of once-only keys leaves behind, and a restart with ten million rows.
//!
//! Run by hand: `cargo bench --workspace --bench state [-- [rows] [flood] [restart] [DIRECTORY]]`, where DIRECTORY holds the
//! snapshots that are written (default: the system's directory for temporary files). It prints Markdown tables. Every cell
//! is a process of its own; resident sizes are the kernel's, with the allocator of the program.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]
#![expect(clippy::cast_precision_loss, reason = "sizes are shown rounded")]

mod flood;
mod restart;
mod rows;
#[path = "../../src/service/evaluation/snapshot_files.rs"]
#[allow(dead_code, reason = "the files of the program's own snapshots; the bench needs some of it")]
mod snapshot_files;
#[path = "../../src/service/evaluation/snapshots.rs"]
#[allow(dead_code, unused_imports, reason = "the program's own way of writing a snapshot; its tests run there")]
mod snapshots;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other benches need more of it")]
mod support;

use std::path::{Path, PathBuf};

use keywatch_detectors::{Engine, Limits, Rule, Settings};
use keywatch_store::{Event, Position};
use serde::Serialize;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECTIONS: [&str; 3] = ["rows", "flood", "restart"];
/// Events of a batch.
const BATCH: usize = 4_096;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["cell", rest @ ..] = arguments.as_slice() {
        return cell(rest);
    }
    let (sections, directories): (Vec<&str>, Vec<&str>) =
        arguments.into_iter().partition(|argument| SECTIONS.contains(argument));
    let directory = directories.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let wanted = |section| sections.is_empty() || sections.contains(&section);
    if wanted("rows") {
        rows::table();
    }
    if wanted("flood") {
        flood::table();
    }
    if wanted("restart") {
        restart::table(&directory);
    }
}

fn cell(arguments: &[&str]) {
    match *arguments {
        ["rows", window] => tell(&rows::cell(window)),
        ["flood", rules] => tell(&flood::cell(rules)),
        ["save", what, directory] => tell(&restart::save(what, Path::new(directory))),
        ["restore", what, directory] => tell(&restart::restore(what, Path::new(directory))),
        _ => panic!("no such cell: {arguments:?}"),
    }
}

fn tell(measured: &impl Serialize) {
    println!("{}", serde_json::to_string(measured).unwrap());
}

/// An engine and how far it has come.
struct Following {
    engine: Engine,
    position: Position,
    findings: usize,
}

impl Following {
    fn new(rules: &[Rule], limits: Limits) -> Following {
        let engine = Engine::new(rules, &Settings { limits, ..Settings::default() }).unwrap();
        Following { engine, position: Position::default(), findings: 0 }
    }

    /// Runs the next events; no rule may fail and nothing may be let go of.
    fn run(&mut self, events: &[Event]) {
        let outcome = self.engine.run(self.position, events).unwrap();
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        assert!(outcome.lost.is_empty(), "{:?}", outcome.lost.first());
        self.position = self.position.plus(events.len());
        self.findings += outcome.findings.len();
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}
