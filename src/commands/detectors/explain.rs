//! `keywatch detectors explain`: what a rule means, how it is run, and, over a log, what it remembers and costs.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use keywatch_detectors::{Description, Engine, Rule, Settings};

use super::cost::{self, Cost};
use crate::explanation::{all_windows, diagram, how_it_runs, meaning};
use crate::output;

/// What rules have in common.
const NOT_SHARED: &str = "Rules share the columns of the events and the selection of their kinds, and nothing else: keys and \
    rows belong to one rule each, so that each has limits of its own and can fail and be rebuilt alone.";

/// Says all of that.
///
/// # Errors
/// The rule does not load; the log cannot be read; standard output is closed.
pub(super) fn run(rule: &Rule, shipped: Vec<Rule>, log: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(std::slice::from_ref(rule), &Settings::default())?;
    let description = engine.describe(&rule.id).expect("the engine was made of this rule");
    let (plan, _) = engine.explain(&rule.id).expect("the engine was made of this rule");
    let mut text = meaning(rule, &description)?;
    text.push_str(&how_it_runs(&description)?);
    let others = cost::with_rule(rule, shipped);
    text.push_str(&sharing(&description, &cost::same_keys(&others, rule)?)?);
    if !log.is_empty() {
        let cost = Cost::measure(rule, &others, log)?;
        text.push_str(&cost.render(&description)?);
    }
    write!(text, "\nSQL:\n\n{}\n\nPlan:\n\n{}", rule.sql, plan.trim_end())?;
    output::line(&output::printable(&text))?;
    Ok(ExitCode::SUCCESS)
}

fn sharing(description: &Description, same: &[(String, Vec<String>)]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    if all_windows(description).next().is_none() {
        return Ok(text);
    }
    writeln!(text, "\nOther rules with the same partition key:\n")?;
    for (key, rules) in same {
        let rules = if rules.is_empty() { "none".to_owned() } else { rules.join(", ") };
        for line in diagram::wrapped(&format!("  {key}: "), "    ", &rules) {
            writeln!(text, "{line}")?;
        }
    }
    writeln!(text)?;
    diagram::wrapped("  ", "  ", NOT_SHARED).iter().try_for_each(|line| writeln!(text, "{line}"))?;
    Ok(text)
}
