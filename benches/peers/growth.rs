//! What a further rule costs: copies of shipped rules under other names and with other constants, from 1 to 60.

use keywatch_detectors::Rule;
use keywatch_detectors::rule::shipped;

use crate::shipped;
use crate::support::custody::DAY_EVENTS;
use crate::support::measured::{self, Measured};

const COUNTS: [&str; 7] = ["0", "1", "5", "10", "20", "40", "60"];
const DAYS: usize = 2;

/// Prints what rules cost whose kinds the traffic lacks, and rules whose kinds it has.
pub(crate) fn table() {
    println!("\n### Growth with rules\n");
    println!(
        "{} events of custody traffic; processor time, ns an event, and what lies between, a rule and event.\n",
        DAYS * DAY_EVENTS
    );
    println!(
        "| kinds | batch | {} | a rule, 1 to 60 |\n|{}",
        COUNTS.map(|count| format!("{count} rules")).join(" | "),
        "---|".repeat(10)
    );
    for kinds in ["lacking", "present"] {
        for batch in ["2048", "4096"] {
            let costs: Vec<f64> = COUNTS
                .iter()
                .map(|count| measured::least(&["growth", kinds, count, batch]).cpu_ns_an_event())
                .collect();
            let shown: Vec<String> = costs.iter().map(|ns| format!("{ns:.0}")).collect();
            let a_rule = (costs[COUNTS.len() - 1] - costs[1]) / 59.0;
            println!("| {kinds} | {batch} | {} | {a_rule:.1} |", shown.join(" | "));
        }
    }
}

/// One cell: whether the traffic has the kinds, how many rules, size of a batch.
pub(crate) fn cell(kinds: &str, count: &str, batch: &str) -> Measured {
    shipped::run(&copies(kinds == "present", count.parse().unwrap()), DAYS, batch.parse().unwrap(), 1)
}

/// Rule after rule, all of them before any comes a second time; all but the one that reads every kind.
fn copies(present: bool, count: usize) -> Vec<Rule> {
    let originals: Vec<Rule> = shipped().unwrap().into_iter().filter(|rule| rule.id != "source/silent").collect();
    let copy = |(number, rule): (usize, &Rule)| {
        let sql = altered(&rule.sql, number);
        let sql = if present { sql } else { without_kinds(&sql) };
        Rule { id: format!("{}_{number}", rule.id), sql, ..rule.clone() }
    };
    originals.iter().cycle().enumerate().take(count).map(copy).collect()
}

/// With other constants: every length of time that is a parameter is longer by the number of the copy, in seconds.
fn altered(sql: &str, number: usize) -> String {
    ["$reach", "$session_reach", "$country_reach", "$signature_reach", "$allow_reach", "$shown_reach"].iter().fold(
        sql.to_owned(),
        |sql, name| {
            sql.replace(&format!("{name} PRECEDING"), &format!("INTERVAL '{} seconds' PRECEDING", 43_200 + number))
        },
    )
}

/// With kinds that nothing has.
fn without_kinds(sql: &str) -> String {
    let mut sql = sql.to_owned();
    for family in ["session", "signing", "chain", "custody", "control", "source", "rule"] {
        sql = sql.replace(&format!("'{family}."), &format!("'other.{family}."));
    }
    sql.replace("'decision'", "'other.decision'")
}
