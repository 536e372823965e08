//! What an operator remembers, said for people: its groups of windows, what each window's state is and what that costs.
//!
//! It changes nothing and decides nothing; bytes in principle are those of the data, without what a table keeps free.

use super::StateSize;
use super::by_rows::ByRows;
use super::frame::Frame;
use super::operator::Operator;
use super::operator_plan::Function;
use super::ring::{Ring, RingCall};
use super::rows::Row;
use super::state::State;
use super::value::Value;

/// Windows that share a partition key: one lookup of the key and one ring of rows for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The partition key as SQL, the system first.
    pub key: String,
    /// How long a key and its rows are kept, in words.
    pub kept: String,
    /// Whether rows stay in the ring at all.
    pub keeps_rows: bool,
    /// Bytes of a row in the ring, whatever the windows keep of it.
    pub row_bytes: usize,
    /// Bytes of a key, besides the text of a long one.
    pub key_bytes: usize,
    /// Its windows.
    pub windows: Vec<Window>,
    /// What it remembers now. Rows that wait belong to the step, not to one of its groups.
    pub size: StateSize,
}

/// One window of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its name in the rule, or a number where it has none.
    pub name: String,
    /// What it computes, as SQL.
    pub function: String,
    /// Which rows it looks at.
    pub frame: Frame,
    /// What its state is, in words.
    pub state: &'static str,
    /// The number in those words, where they have one.
    pub most: Option<u32>,
    /// Bytes of a row inside the frame, besides the ring's.
    pub row_bytes: usize,
    /// Bytes of a key.
    pub key_bytes: usize,
    /// Which of the operator's columns it fills.
    pub(crate) column: usize,
}

/// What one function keeps: in words, and in bytes of a row and of a key.
struct Kept {
    words: &'static str,
    row: usize,
    key: usize,
}

/// A slot: the key with its hash, lane, source and last time, and its place in the table.
const SLOT_BYTES: usize = 64 + 5;
const VALUE_BYTES: usize = size_of::<Option<Value>>();

impl Operator {
    /// Its groups, in the order in which they were planned, rings first. Keys, names and functions are left empty.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let rings = self.rings.iter().map(|ring| ring_group(ring, self.following_ns));
        rings.chain(self.by_rows.iter().map(rows_group)).collect()
    }

    /// Nanoseconds that a row waits, the rows that do, and the bytes that these take.
    pub(crate) fn waiting(&self) -> (i64, (usize, usize)) {
        (self.following_ns, (self.delay.len(), self.delay.bytes()))
    }
}

fn ring_group(ring: &Ring, following_ns: i64) -> Group {
    let (rows, keys, bytes) = ring.size();
    Group {
        key: String::new(),
        kept: ring_kept(ring, following_ns),
        keeps_rows: following_ns > 0 || ring.calls.iter().any(RingCall::leaves),
        row_bytes: size_of::<Row>(),
        key_bytes: SLOT_BYTES,
        windows: ring.calls.iter().map(|call| ring_window(ring, call)).collect(),
        size: StateSize { rows, keys, waiting: 0, bytes },
    }
}

fn ring_kept(ring: &Ring, following_ns: i64) -> String {
    let leaving = ring.calls.iter().filter(|call| call.leaves());
    let reach_ns = leaving.filter_map(|call| ring.frames[call.frame()].reach_ns()).max();
    let waits =
        if following_ns > 0 { format!(" and the {} that answers wait", span(following_ns)) } else { String::new() };
    let rows = match reach_ns {
        Some(0) if following_ns > 0 => format!("rows for the {} that answers wait", span(following_ns)),
        Some(0) => "a row until it is answered".to_owned(),
        Some(reach_ns) => format!("rows for {}{waits}", span(reach_ns)),
        None if following_ns > 0 => format!("rows for the {} that answers wait, none after", span(following_ns)),
        None => "no rows".to_owned(),
    };
    match ring.frames.iter().map(|frame| frame.reach_ns()).try_fold(0, |most, reach| Some(reach?.max(most))) {
        Some(reach_ns) => {
            format!("{rows}; a key until it is idle for {}", span(reach_ns.saturating_add(following_ns).max(1)))
        }
        None => format!("{rows}; a key for good"),
    }
}

fn ring_window(ring: &Ring, call: &RingCall) -> Window {
    let frame = ring.frames[call.frame()];
    let kept = kept(call.state(), !frame.is_unbounded());
    let most = call.call.enough;
    window(call.call.column, frame, &kept, most)
}

fn rows_group(group: &ByRows) -> Group {
    let (rows, keys, bytes) = group.size();
    let windows = group.calls.iter().map(|call| {
        let words = match call.call.function {
            Function::Other(_) => "an object a key, fed the key's last rows",
            _ => "the key's last rows, with their values",
        };
        let key = if call.frame.is_unbounded() { 2 * VALUE_BYTES } else { 0 };
        window(call.call.column, call.frame, &Kept { words, row: VALUE_BYTES, key }, None)
    });
    let windows: Vec<Window> = windows.collect();
    let most = group.calls.iter().map(|call| match call.frame {
        Frame::Rows { start: Some(start), .. } => start.saturating_add(1),
        Frame::Rows { end, .. } => end,
        Frame::Range { .. } => 0,
    });
    Group {
        key: String::new(),
        kept: format!("the last {} rows of a key; a key for good", most.max().unwrap_or(0)),
        keeps_rows: true,
        row_bytes: size_of::<(i64, Option<Box<[Option<Value>]>>)>(),
        key_bytes: SLOT_BYTES,
        windows,
        size: StateSize { rows, keys, waiting: 0, bytes },
    }
}

fn window(column: usize, frame: Frame, kept: &Kept, most: Option<u32>) -> Window {
    let Kept { words, row, key } = *kept;
    let (name, function) = (String::new(), String::new());
    Window { name, function, frame, state: words, most, row_bytes: row, key_bytes: key, column }
}

/// The table at the head of [`super::state`], for one function.
fn kept(state: &State, leaves: bool) -> Kept {
    let value = if leaves { VALUE_BYTES } else { 0 };
    let of = |words, row, key| Kept { words, row, key };
    match state {
        State::Count(_) => of("a number a key", 0, 8),
        State::Recent(recent) if recent.enough() == 1 => {
            of("the last time only: nothing above 1 is asked", 0, recent.key_bytes())
        }
        State::Recent(recent) => {
            of("the last few times only: nothing above their number is asked", 0, recent.key_bytes())
        }
        State::LastText(_) => of("the last text and its time; rows leave as they enter", 0, 8 + size_of::<String>()),
        State::LastNumber(_) | State::LastValue(_) => {
            of("the last value and its time; rows leave as they enter", 0, 16 + VALUE_BYTES)
        }
        State::Sum(_) => of("an exact 256-bit sum and a count", if leaves { 16 } else { 0 }, 48),
        State::ExtremeNumber(_) => of("the extreme, and later rows that may follow it", 16, 64),
        State::Extreme(_) => of("the extreme, and later rows that may follow it", value, 40 + VALUE_BYTES),
        State::RunningExtreme(_) => of("the extreme so far", 0, VALUE_BYTES),
        State::First(_) => of("the places of the rows inside, with their values", value + 8, 32),
        State::RunningFirst(_) => of("the first rows only", 0, 24 + VALUE_BYTES),
        State::Distinct(_) => of("how many; each value once for all keys (64 bytes)", 4, 8),
        State::Unasked(_) => of("nothing: a row leaves with the next or at its deadline", 0, 0),
        State::Objects(_) if leaves => {
            of("an object a key (docs/functions.md), with the rows' values", 16 + VALUE_BYTES, 16)
        }
        State::Objects(_) => of("an object a key (docs/functions.md), of constant size", 0, 16),
    }
}

/// Nanoseconds as people say them: `24h`, `7d`, `1h30m`, `250ms`.
#[must_use]
pub fn span(nanoseconds: i64) -> String {
    const UNITS: [(i64, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "µs"),
        (1, "ns"),
    ];
    // A single day is said in hours.
    let units = if nanoseconds < 2 * UNITS[0].0 { &UNITS[1..] } else { &UNITS[..] };
    let (mut rest, mut said) = (nanoseconds.max(0), String::new());
    for (unit, name) in units {
        if rest >= *unit {
            said.push_str(&(rest / unit).to_string());
            said.push_str(name);
            rest %= unit;
        }
    }
    if said.is_empty() { "0s".to_owned() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        const SECOND: i64 = 1_000_000_000;
        let said = [86_400 * SECOND, 7 * 86_400 * SECOND, 5_400 * SECOND, SECOND / 4, 1, 0].map(span);
        assert_eq!(said, ["24h", "7d", "1h30m", "250ms", "1ns", "0s"]);
    }
}
