//! What large bodies of one piece cost in memory, for every parser and every feed. Alone in its process, since the kernel
//! counts what a whole process had resident at its most.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use keywatch_ingest::feeds;

#[path = "../fuzz/src/lib.rs"]
mod parsers;

/// Bytes of each body.
const BODY_BYTES: usize = 1 << 20;

/// Bytes that all of them together may add to what was resident: a parser that took a body for more than it is, or kept what
/// it had read before, would need more.
const GROWTH_BYTES_MAX: u64 = 256 << 20;

/// Pieces that claim much, or are many.
const UNITS: [&[u8]; 9] = [
    b"{",
    b"[",
    b"\"",
    b"{}\n",
    b"{\"a\":\n",
    b"{\"id\":\"1\",\"kind\":\"source.heartbeat\"}\n",
    b"\x1f\x8b\x08\0",
    b"\x7f\x7f\x7f\x7f",
    b"{\"Records\":[{}]}\n",
];

#[expect(clippy::disallowed_methods, reason = "a test reads what the kernel has counted")]
fn status_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn p7_no_body_costs_many_times_itself() {
    let before = status_bytes("VmRSS:");
    for unit in UNITS {
        let body = unit.repeat(BODY_BYTES / unit.len());
        for (_, parse) in parsers::TARGETS {
            parse(&body);
        }
        for feed in feeds::all() {
            parsers::feed(feed, &body);
        }
    }
    let grown = status_bytes("VmHWM:").saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{} MiB for bodies of {} MiB", grown >> 20, BODY_BYTES >> 20);
}
