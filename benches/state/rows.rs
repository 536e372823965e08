//! Bytes a row: of single windows over made-up events, and of all shipped rules over custody traffic.
//!
//! Two sizes are shown: what the engine accounts for, and by how much the process grew between its first batches, when
//! plans, buffers and keys are there already, and the end. Of the shipped rules what the traffic itself grew by is taken off.

use keywatch_detectors::{Limits, Rule, rule as rules};
use keywatch_store::Event;
use serde::{Deserialize, Serialize};

use crate::support::custody::{self, DAY_EVENTS};
use crate::support::feed::{Feed, Shape};
use crate::support::measured::{once, status_bytes};
use crate::support::rule;
use crate::{BATCH, Following, mebibytes};

const KEYS: u64 = 10_000;
const EVENTS: usize = 3_000_000;
const APART_NS: i64 = 2_000_000;
/// Events after which growth is counted.
const BEFORE_EVENTS: usize = 10 * BATCH;
const DAYS: usize = 5;
/// No answer comes to that.
const NEVER: &str = "> 1000000000000000";

struct Window {
    name: &'static str,
    call: &'static str,
    frame: &'static str,
    condition: &'static str,
    /// Seconds from the first row of the frame to the last.
    reach_seconds: usize,
}

const HOUR: &str = "INTERVAL '1 hour' PRECEDING AND CURRENT ROW";
const AHEAD: &str = "CURRENT ROW AND INTERVAL '10 minutes' FOLLOWING";
const BOTH: &str = "INTERVAL '1 hour' PRECEDING AND INTERVAL '10 minutes' FOLLOWING";

const fn hour(name: &'static str, call: &'static str, condition: &'static str) -> Window {
    Window { name, call, frame: HOUR, condition, reach_seconds: 3_600 }
}

const WINDOWS: [Window; 9] = [
    hour("count", "count(*)", NEVER),
    hour("count, compared with 12", "count(*)", "= 12"),
    hour("sum of an amount", "sum(amount_usd)", NEVER),
    hour("max of an amount", "max(amount_usd)", NEVER),
    hour("count distinct devices", "count(DISTINCT device)", NEVER),
    hour("last device", "last_value(device)", "= 'none'"),
    hour("first device", "first_value(device)", "= 'none'"),
    Window { name: "count, 10 minutes ahead", call: "count(*)", frame: AHEAD, condition: NEVER, reach_seconds: 600 },
    Window {
        name: "count, 1 hour back, 10 minutes ahead",
        call: "count(*)",
        frame: BOTH,
        condition: NEVER,
        reach_seconds: 4_200,
    },
];

/// What one cell gave.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Remembered {
    rows: usize,
    waiting: usize,
    keys: usize,
    accounted_bytes: usize,
    /// Rows and keys when growth began to be counted, and the growth.
    held_before: usize,
    grown_bytes: u64,
    /// Rule, rows, rows on hold, keys, bytes.
    rules: Vec<(String, usize, usize, usize, usize)>,
}

/// Prints bytes a row.
pub(crate) fn table() {
    println!("\n### State, bytes a row\n");
    println!(
        "{KEYS} sessions, {EVENTS} events, one every {} ms; frames of an hour where nothing else stands. Growth is that \
         after the first {BEFORE_EVENTS} events, and so are the rows that it is divided by.\n",
        APART_NS / 1_000_000
    );
    println!(
        "| window | rows in frame | kept | on hold | keys | MiB | bytes a row in frame | MiB grown | bytes a row |"
    );
    println!("|{}", "---|".repeat(9));
    for window in &WINDOWS {
        let in_frame = EVENTS.min(window.reach_seconds * 1_000_000_000 / usize::try_from(APART_NS).unwrap());
        row(window.name, in_frame, in_frame - BEFORE_EVENTS, &once(&["rows", window.name]));
    }
    let (mut shipped, none): (Remembered, Remembered) = (once(&["rows", "shipped"]), once(&["rows", "none"]));
    shipped.grown_bytes = shipped.grown_bytes.saturating_sub(none.grown_bytes);
    let held = shipped.rows + shipped.keys;
    row(&format!("shipped rules, {} events", DAYS * DAY_EVENTS), held, held - shipped.held_before, &shipped);
    println!("\nOf shipped rules rows kept and keys together count as rows, since most remember last values alone.\n");
    println!("| shipped rule | rows | on hold | keys | KiB | bytes a row or key |\n|{}", "---|".repeat(6));
    for (rule, rows, waiting, keys, bytes) in &shipped.rules {
        let each = *bytes as f64 / (rows + keys).max(1) as f64;
        println!("| `{rule}` | {rows} | {waiting} | {keys} | {} | {each:.0} |", bytes / 1_024);
    }
}

fn row(name: &str, in_frame: usize, since_before: usize, measured: &Remembered) {
    let Remembered { rows, waiting, keys, accounted_bytes, grown_bytes, .. } = measured;
    println!(
        "| {name} | {in_frame} | {rows} | {waiting} | {keys} | {} | {:.0} | {} | {:.0} |",
        mebibytes(*accounted_bytes as u64),
        *accounted_bytes as f64 / in_frame as f64,
        mebibytes(*grown_bytes),
        *grown_bytes as f64 / since_before as f64
    );
}

/// One cell: a window by its name, `shipped`, or `none` for the same traffic without a rule.
pub(crate) fn cell(name: &str) -> Remembered {
    let window = WINDOWS.iter().find(|window| window.name == name);
    let rules = match window {
        Some(window) => vec![window.rule()],
        None if name == "shipped" => rules::shipped().unwrap(),
        None => Vec::new(),
    };
    let mut following = Following::new(&rules, Limits::default());
    let mut growth = Growth::default();
    if window.is_some() {
        let shape = Shape { sessions: KEYS, events: EVENTS, apart_ns: APART_NS, full: true };
        let mut feed = Feed::new(shape, BATCH);
        while let Some((_, events)) = feed.next() {
            growth.note(&mut following, events);
        }
    } else {
        let mut traffic = custody::ordinary(DAYS);
        let mut next = || traffic.by_ref().take(BATCH).collect::<Vec<Event>>();
        let mut events = next();
        while !events.is_empty() {
            growth.note(&mut following, &events);
            events = next();
        }
    }
    growth.remembered(&following)
}

impl Window {
    fn rule(&self) -> Rule {
        let Window { call, frame, condition, .. } = self;
        let sql = format!(
            "SELECT event_id, session AS entity FROM (SELECT *, {call} OVER (PARTITION BY session ORDER BY time RANGE \
             BETWEEN {frame}) AS n FROM events) WHERE n {condition}"
        );
        rule("bench/state", &sql)
    }
}

#[derive(Default)]
struct Growth {
    /// Resident bytes, and rows and keys.
    before: Option<(u64, usize)>,
}

impl Growth {
    fn note(&mut self, following: &mut Following, events: &[Event]) {
        following.run(events);
        if self.before.is_none() && following.position.0 >= BEFORE_EVENTS as u64 {
            let size = following.engine.state_size();
            self.before = Some((status_bytes("VmRSS:"), size.rows + size.keys));
        }
    }

    fn remembered(&self, following: &Following) -> Remembered {
        let (before_bytes, held_before) = self.before.unwrap();
        let grown_bytes = status_bytes("VmRSS:").saturating_sub(before_bytes);
        let size = following.engine.state_size();
        let used = following
            .engine
            .usage()
            .into_iter()
            .map(|usage| (usage.rule, usage.state.rows, usage.state.waiting, usage.state.keys, usage.state.bytes));
        let mut rules: Vec<_> = used.filter(|(_, rows, _, keys, _)| rows + keys > 0).collect();
        rules.sort_by_key(|(.., bytes)| std::cmp::Reverse(*bytes));
        Remembered {
            rows: size.rows,
            waiting: size.waiting,
            keys: size.keys,
            accounted_bytes: size.bytes,
            held_before,
            grown_bytes,
            rules,
        }
    }
}
