//! `keywatch detectors record`: cuts the events on which a rule fires, and those on which it stays quiet, out of history.
//!
//! Around the finding stand the events that the rule is given and that share something with it. They are taken away
//! piece by piece for as long as the rule still fires, until each one is needed; what is quiet differs from that by the
//! one event that decides.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use keywatch_detectors::{Engine, Rule, Settings, rule};
use keywatch_store::{Event, EventId, Finding, Position, line};

use crate::commands::backtest;
use crate::output;

/// Events that go through the rule at once.
const BATCH_EVENTS: usize = 4096;
/// Events around a finding that are looked at, at most: the newest that have to do with it.
const AROUND_EVENTS_MAX: usize = 2_000;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArguments {
    /// The rule's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// History: directory of a log or of an incident, file of event lines; may be given several times
    #[arg(value_name = "DIR|FILE", required = true)]
    log: Vec<PathBuf>,
    /// Which of the findings, in their order, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    finding: usize,
    /// Write over event files that are there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// A rule that does not load or finds nothing, a history that cannot be read, files that are there or cannot be written.
pub(super) fn run(arguments: &RecordArguments) -> anyhow::Result<ExitCode> {
    let draft = rule::inspect(&arguments.file)?;
    let Some(rule) = draft.rule.filter(|_| draft.problems.is_empty()) else {
        bail!("{} does not load; `keywatch detectors check` says why", arguments.file.display());
    };
    let files = ["fires", "quiet"].map(|kind| arguments.file.with_extension(format!("{kind}.jsonl")));
    for file in &files {
        ensure!(arguments.force || !file.exists(), "{} is there already; --force writes over it", file.display());
    }
    ensure!(arguments.finding > 0, "findings are counted from 1");
    let Some(finding) = nth_finding(&rule, &arguments.log, arguments.finding)? else {
        match arguments.finding {
            1 => bail!("{} finds nothing in that history", rule.id),
            wanted => bail!("{} finds less than {wanted} times in that history", rule.id),
        }
    };
    let around = around(&rule, &arguments.log, &finding)?;
    let fires = smallest(&rule, around, finding.anchor)?;
    let quiet = quiet(&rule, &fires, finding.anchor)?;
    write(&files[0], &fires)?;
    output::note(&format!("{}: {} events, {}", files[0].display(), fires.len(), finding.title));
    match quiet {
        Some(quiet) => {
            write(&files[1], &quiet)?;
            output::note(&format!(
                "{}: the same without the event that decides; read both, and mask what is secret",
                files[1].display()
            ));
        }
        None => output::note(&format!(
            "{}: no single event decides; write it by hand, so that it differs in one fact",
            files[1].display()
        )),
    }
    Ok(ExitCode::SUCCESS)
}

fn nth_finding(rule: &Rule, log: &[PathBuf], number: usize) -> anyhow::Result<Option<Finding>> {
    let mut engine = Engine::new(std::slice::from_ref(rule), &Settings::default())?;
    let mut findings = Vec::new();
    backtest::each_batch(log, BATCH_EVENTS, |first: Position, events: &[Event]| {
        if findings.len() < number {
            findings.extend(engine.run(first, events)?.findings.into_iter().map(|decided| decided.finding));
        }
        Ok(())
    })?;
    Ok((findings.len() >= number).then(|| findings.swap_remove(number - 1)))
}

/// The events up to the one that decided which have to do with the finding: inventories, records about sources, ticks of
/// the end, and whatever shares a name with the anchor.
fn around(rule: &Rule, log: &[PathBuf], finding: &Finding) -> anyhow::Result<Vec<Event>> {
    let engine = Engine::new(std::slice::from_ref(rule), &Settings::default())?;
    let kinds = engine.describe(&rule.id).and_then(|description| description.kinds);
    let is_given = |event: &Event| kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == event.kind()));
    let mut names = BTreeSet::new();
    backtest::each_batch(log, BATCH_EVENTS, |_: Position, events: &[Event]| {
        events
            .iter()
            .filter(|event| event.event_id() == finding.anchor)
            .for_each(|event| names.extend(names_of(event)));
        Ok(())
    })?;
    let mut around = Vec::new();
    let mut inventory = None;
    let mut last = None;
    backtest::each_batch(log, BATCH_EVENTS, |_: Position, events: &[Event]| {
        let of_system =
            events.iter().filter(|event| event.system() == finding.system && event.time() <= finding.decided);
        for event in of_system {
            if event.kind() == "inventory.activated" {
                inventory = Some(event.clone());
            } else if is_given(event) && event.kind() != "tick" {
                let relates = event.kind().starts_with("source.") || names_of(event).any(|name| names.contains(&name));
                if relates {
                    around.push(event.clone());
                }
            }
            last = Some(event.clone());
        }
        Ok(())
    })?;
    let cut = around.len().saturating_sub(AROUND_EVENTS_MAX);
    let mut events: Vec<Event> = inventory.into_iter().chain(around.drain(cut..)).collect();
    events.extend(last.filter(|last| events.last().is_none_or(|event| event.event_id() != last.event_id())));
    events.sort_by_key(Event::time);
    Ok(events)
}

fn names_of(event: &Event) -> impl Iterator<Item = String> {
    let texts = [
        event.actor(),
        event.session(),
        event.device(),
        event.wallet(),
        event.request(),
        event.tx(),
        event.to_address(),
    ];
    texts.map(|text| text.map(str::to_owned)).into_iter().flatten().collect::<Vec<_>>().into_iter()
}

/// Takes events away, half of them, then a quarter, down to one at a time, for as long as the rule still fires.
fn smallest(rule: &Rule, mut events: Vec<Event>, anchor: EventId) -> anyhow::Result<Vec<Event>> {
    ensure!(
        fires(rule, &events, anchor)?,
        "the finding rests on events that share no name with it; write its events by hand"
    );
    let mut size = events.len().div_ceil(2);
    let bar = output::progress(events.len());
    loop {
        let mut from = 0;
        let mut taken = false;
        while from < events.len() {
            let piece = from..(from + size).min(events.len());
            let rest: Vec<Event> = events
                .iter()
                .enumerate()
                .filter(|(index, _)| !piece.contains(index))
                .map(|(_, event)| event.clone())
                .collect();
            if fires(rule, &rest, anchor)? {
                (events, taken) = (rest, true);
            } else {
                from += size;
            }
            bar.set_length(events.len() as u64);
        }
        match (size, taken) {
            (1, false) => break,
            (1, true) => {}
            _ => size = size.div_ceil(2),
        }
    }
    bar.finish_and_clear();
    Ok(events)
}

/// The events without one of them, not the anchor, so that the rule is quiet: the newest of which that is true.
fn quiet(rule: &Rule, events: &[Event], anchor: EventId) -> anyhow::Result<Option<Vec<Event>>> {
    let candidates = events.iter().rev().filter(|event| event.event_id() != anchor && event.kind() != "tick");
    for left_out in candidates {
        let rest: Vec<Event> = events.iter().filter(|event| event.event_id() != left_out.event_id()).cloned().collect();
        if !rest.is_empty() && findings(rule, &rest)?.is_empty() {
            return Ok(Some(rest));
        }
    }
    Ok(None)
}

fn fires(rule: &Rule, events: &[Event], anchor: EventId) -> anyhow::Result<bool> {
    Ok(findings(rule, events)?.iter().any(|finding| finding.anchor == anchor))
}

fn findings(rule: &Rule, events: &[Event]) -> anyhow::Result<Vec<Finding>> {
    let mut engine = Engine::new(std::slice::from_ref(rule), &Settings::default())?;
    let outcome = engine.run(Position(0), events)?;
    if let Some(parked) = outcome.parked.first() {
        bail!("{} failed: {}", parked.rule, parked.problem);
    }
    Ok(outcome.findings.into_iter().map(|decided| decided.finding).collect())
}

fn write(file: &Path, events: &[Event]) -> anyhow::Result<()> {
    let lines: String = events.iter().map(|event| line::write(event) + "\n").collect();
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}
