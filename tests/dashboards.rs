//! What stands in `dashboards/`: the rules by `promtool`, the routing by `amtool`, the Grafana dashboards against what
//! generates them, and every panel against a real Prometheus that scrapes a running keywatch.
//!
//! | module | what it proves |
//! |---|---|
//! | [`grafana`] | the dashboards are what `dashboards/grafana/generate` makes, and Grafana can load them |
//! | [`panels`] | every panel's query gives what a plain computation over the log gives |
//! | [`prometheus`] | the real Prometheus and its tools; a machine that has none leaves these tests out |

mod expected;
mod grafana;
mod panels;
mod prometheus;

/// A test that needs what this machine does not have.
pub(crate) fn left_out(why: &str) {
    say(&format!("left out: {why}"));
}

/// For whoever runs a test with `--nocapture`.
#[expect(
    clippy::print_stderr,
    reason = "a table of panels is read by people, and what is left out must not pass in silence"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
