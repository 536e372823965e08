//! `keywatch detectors coverage`: which rule sees what of which system.

use std::process::ExitCode;

use anyhow::ensure;
use keywatch_detectors::rule::{self, Coverage, Observed, ObservedSystems, Rule, Visibility};
use keywatch_store::inventory::System;
use keywatch_store::{Event, Position};

use super::CoverageArguments;
use crate::commands::backtest;
use crate::output;
use crate::service::config;

/// Events that are looked at at once.
const BATCH_EVENTS: usize = 4096;

/// Runs the command.
///
/// # Errors
/// No inventory and no history, a history that cannot be read, a closed standard output.
pub(super) fn run(arguments: &CoverageArguments, rules: &[Rule]) -> anyhow::Result<ExitCode> {
    let declared = arguments.inventory.as_deref().map(config::read_inventory).transpose()?;
    ensure!(declared.is_some() || !arguments.log.is_empty(), "give --inventory, --log or both");
    let mut seen = ObservedSystems::default();
    if !arguments.log.is_empty() {
        backtest::each_batch(&arguments.log, BATCH_EVENTS, |_: Position, events: &[Event]| {
            for event in events {
                seen.take(event);
            }
            Ok(())
        })?;
    }
    declared.into_iter().for_each(|inventory| seen.declare(inventory.systems));
    for (system, heard) in seen.each() {
        show(rules, &system, &heard, arguments)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(rules: &[Rule], system: &System, heard: &Observed, arguments: &CoverageArguments) -> anyhow::Result<()> {
    let covered = rules.iter().map(|rule| (rule, rule::coverage(rule, system, heard)));
    let covered: Vec<(&Rule, Coverage)> = covered.collect();
    let count = |sight: Visibility| covered.iter().filter(|(_, coverage)| coverage.visibility == sight).count();
    output::line(&format!(
        "system {}: {} wallets; {} rules see, {} are half blind, {} are blind",
        system.id,
        system.wallets.len(),
        count(Visibility::Full),
        count(Visibility::Partial),
        count(Visibility::None),
    ))?;
    if arguments.log.is_empty() {
        output::note("by what is declared alone; with --log also by what was heard");
    }
    let shown = covered.iter().filter(|(_, coverage)| arguments.all || coverage.visibility != Visibility::Full);
    let rows: Vec<[String; 4]> = shown
        .map(|(rule, coverage)| {
            let severity = rule.header.severity.to_string();
            [rule.id.clone(), severity, word(coverage.visibility).to_owned(), missing(coverage, system.wallets.len())]
        })
        .collect();
    if !rows.is_empty() {
        output::line(&output::table(["rule", "severity", "coverage", "missing"], rows))?;
    }
    Ok(())
}

fn word(sight: Visibility) -> &'static str {
    match sight {
        Visibility::Full => "sees",
        Visibility::Partial => "half blind",
        Visibility::None => "blind",
    }
}

/// `signer of 2 of 5 wallets, session.posture`.
fn missing(coverage: &Coverage, wallets: usize) -> String {
    let missing = coverage.missing.iter().map(|(need, lacking)| match lacking {
        0 => need.to_string(),
        lacking => format!("{need} of {lacking} of {wallets} wallets"),
    });
    missing.collect::<Vec<_>>().join(", ")
}
