//! What an event costs before anything looks at it: reading its line, letting it go, writing it, its fingerprint, its
//! admission; and making columns of them. Run by hand: `cargo bench --workspace --bench reading -- EVENTS.jsonl [ROUNDS] [read]`; with
//! `read`, as for a profile, lines are read and nothing else is done.
//!
//! One thread; each piece of the file counts with its fastest round, so that what else the machine does falls out.

#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::disallowed_methods, reason = "a bench reads a clock")]

use std::hint::black_box;
use std::time::{Duration, Instant as Stopwatch};

use keywatch_store::log::admission::{Admission, Admitted, Fingerprint, fingerprint};
use keywatch_store::{Clock, Event, Instant, line, schema};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PIECE_LINES: usize = 4096;
const STEPS: [&str; 6] = ["read", "columns", "write", "fingerprint", "admit", "drop"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(file) = arguments.first() else {
        println!("reading: give a file of event lines; `make bench` has one made up");
        return;
    };
    let text = std::fs::read(file).unwrap();
    let rounds = arguments.get(1).map_or(8, |rounds| rounds.parse().unwrap());
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let pieces: Vec<&[&[u8]]> = lines.chunks(PIECE_LINES).collect();
    if arguments.get(2).is_some_and(|step| step == "read") {
        let (read, ()) = timed(|| (0..rounds).for_each(|_| pieces.iter().for_each(|piece| drop(read_all(piece)))));
        println!("read {:6}", read.as_nanos() / (lines.len() * rounds) as u128);
        return;
    }
    let mut fastest = vec![[Duration::MAX; STEPS.len()]; pieces.len()];
    for _ in 0..rounds {
        let mut admission = Admission::new(Clock::Recorded);
        for (piece, fastest) in pieces.iter().zip(&mut fastest) {
            for (fastest, took) in fastest.iter_mut().zip(pass(piece, &mut admission)) {
                *fastest = took.min(*fastest);
            }
        }
    }
    println!("{} events of {} bytes, nanoseconds an event", lines.len(), text.len() / lines.len());
    for (index, step) in STEPS.iter().enumerate() {
        let whole: Duration = fastest.iter().map(|steps| steps[index]).sum();
        println!("{step:>12} {:6}", whole.as_nanos() / lines.len() as u128);
    }
}

fn pass(piece: &[&[u8]], admission: &mut Admission) -> [Duration; STEPS.len()] {
    let (read, events) = timed(|| read_all(piece));
    let (columns, ()) = timed(|| drop(black_box(schema::to_batch(&events).unwrap())));
    let (write, ()) = timed(|| events.iter().for_each(|event| drop(black_box(line::write(event)))));
    let (said, prints) = timed(|| events.iter().map(fingerprint).collect::<Vec<Fingerprint>>());
    let (admit, admitted) = timed(|| {
        let known = events.into_iter().zip(prints);
        known.map(|(event, print)| admission.admit_known(event, print, Instant::UNASSIGNED)).collect::<Vec<Admitted>>()
    });
    let (let_go, ()) = timed(|| drop(admitted));
    [read, columns, write, said, admit, let_go]
}

fn read_all(piece: &[&[u8]]) -> Vec<Event> {
    piece.iter().map(|line| as_recorded(line)).collect()
}

/// A line that no log has admitted is taken at the time that its source claims.
fn as_recorded(line: &[u8]) -> Event {
    let mut event = line::read(line).unwrap();
    if event.time() == Instant::UNASSIGNED {
        event.set_time(event.event_time());
    }
    event
}

fn timed<T>(step: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Stopwatch::now();
    let made = step();
    (begun.elapsed(), made)
}
