//! keywatch beside what a user would pick instead: stock DataFusion, Flink SQL, rsigma; on the same events in the same run.
//!
//! Run by hand: `cargo bench --workspace --bench peers [-- [keyed] [groups] [shipped] [flink] [rsigma] [growth]]`. It prints
//! Markdown tables. Every cell is a process of its own; what makes the events is not timed; processor time counts (user and
//! system, all threads), since it bears other programs on the machine better than wall time does. Flink and rsigma are
//! fetched and built when they are first asked for; without them their tables say so and the others stand.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]
#![expect(clippy::cast_precision_loss, reason = "rates are shown rounded")]

mod growth;
mod shipped;
mod sigma;
mod stock;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other benches need more of it")]
mod support;
mod windows;

use std::time::Instant;

use support::measured::Measured;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["cell", rest @ ..] = arguments.as_slice() {
        println!("{}", serde_json::to_string(&cell(rest)).unwrap());
        return;
    }
    let tables: [(&str, fn()); 6] = [
        ("keyed", windows::keyed_table),
        ("groups", windows::groups_table),
        ("shipped", shipped::table),
        ("flink", shipped::flink_table),
        ("rsigma", sigma::table),
        ("growth", growth::table),
    ];
    for (section, table) in tables {
        if arguments.is_empty() || arguments.contains(&section) {
            let begun = Instant::now();
            table();
            println!("\n({section}: {:.0} s)", begun.elapsed().as_secs_f64());
        }
    }
}

fn cell(arguments: &[&str]) -> Measured {
    match *arguments {
        [what @ ("keyed" | "groups"), engine, keys, batch] => windows::cell(what, engine, keys, batch),
        ["shipped", which, batch, threads] => shipped::cell(which, batch, threads),
        ["sigma", batch] => sigma::cell(batch),
        ["growth", kinds, count, batch] => growth::cell(kinds, count, batch),
        _ => panic!("no such cell: {arguments:?}"),
    }
}
