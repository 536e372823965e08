//! `keywatch log tail`: the newest records of a log on the terminal, those that are asked for, and on Kafka those to come.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::log::kafka::{KafkaReader, ReadFrom};
use keywatch_store::{Clock, Event, EventId, Log, Position, Topic, line};

use super::place::{self, Place, Records};
use crate::output;

/// How long one look at Kafka waits for a message.
const LOOK: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct TailArguments {
    /// The log: a directory, a file of event lines (*.jsonl), or a configuration whose log is on Kafka (*.toml)
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Which topic
    #[arg(long, value_enum, default_value_t)]
    topic: Which,
    /// Only this system; may be given several times
    #[arg(long = "system", value_name = "SYSTEM")]
    systems: Vec<String>,
    /// Only this source; may be given several times
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Only this kind, or with a dot at its end (`response.`) all that begin so; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only events for which this holds, as a rule's WHERE says it (docs/events.md has the columns)
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Look at so many records before the end; on Kafka so many messages of each partition, of which one may hold many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    last: u32,
    /// Look at all records, from the first one on
    #[arg(long, conflicts_with = "last")]
    all: bool,
    /// Go on with what is appended; on Kafka only
    #[arg(long, short)]
    follow: bool,
}

/// A topic, by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    #[default]
    Events,
    Conclusions,
}

/// Runs the command.
///
/// # Errors
/// The log cannot be read, the condition is none, a closed standard output.
pub(super) fn run(arguments: &TailArguments) -> anyhow::Result<ExitCode> {
    let topic = match arguments.topic {
        Which::Events => Topic::Events,
        Which::Conclusions => Topic::Conclusions,
    };
    let mut filter = Filter::new(arguments)?;
    match Place::of(&arguments.log) {
        Place::Configuration(file) => tail_kafka(arguments, &file, topic, &mut filter)?,
        _ if arguments.follow => bail!("--follow: only a log on Kafka can be read while it is written"),
        Place::Directory(directory) if !arguments.all => {
            let log = place::open(&directory)?;
            let (oldest, end) = (log.oldest(topic), log.end(topic));
            let from = Position(end.0.saturating_sub(u64::from(arguments.last)).max(oldest.0));
            show_all(Records::Log(Box::new(log), topic, from), usize::MAX, &mut filter)?;
        }
        place => {
            let records = Records::of(&place, topic)?.context("a file of event lines has no conclusions")?;
            let last = if arguments.all { usize::MAX } else { arguments.last as usize };
            show_all(records, last, &mut filter)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what is wanted of the last so many records.
fn show_all(mut records: Records, last: usize, filter: &mut Filter) -> anyhow::Result<()> {
    let mut kept = std::collections::VecDeque::new();
    loop {
        let events = records.next()?;
        if events.is_empty() {
            return filter.show(kept.into());
        }
        if last == usize::MAX {
            filter.show(events)?;
        } else {
            kept.extend(events);
            kept.drain(..kept.len().saturating_sub(last));
        }
    }
}

fn tail_kafka(
    arguments: &TailArguments,
    file: &std::path::Path,
    topic: Topic,
    filter: &mut Filter,
) -> anyhow::Result<()> {
    let config = place::on_kafka(file)?;
    let from = if arguments.all { ReadFrom::Oldest } else { ReadFrom::Last(i64::from(arguments.last)) };
    let mut reader = KafkaReader::open(&place::settings(&config, Clock::Wall)?, topic, from)?;
    while arguments.follow || !reader.is_done() {
        let mut events = Vec::new();
        for seen in reader.read(LOOK)? {
            match seen.records {
                Ok(mut of_message) => events.append(&mut of_message),
                Err(why) => {
                    let (partition, offset) = (seen.partition, seen.offset);
                    let note = format!("partition {partition}, offset {offset} {why}");
                    output::note(&output::printable(&note));
                }
            }
        }
        filter.show(events)?;
    }
    Ok(())
}

/// What is wanted.
struct Filter {
    systems: Vec<String>,
    sources: Vec<String>,
    kinds: Vec<String>,
    condition: Option<Condition>,
}

impl Filter {
    fn new(arguments: &TailArguments) -> anyhow::Result<Filter> {
        Ok(Filter {
            systems: arguments.systems.clone(),
            sources: arguments.sources.clone(),
            kinds: arguments.kinds.clone(),
            condition: arguments.condition.as_deref().map(Condition::new).transpose()?,
        })
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let among =
            |wanted: &[String], is: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|one| is(one));
        let is_kind = |kind: &str| event.kind() == kind || (kind.ends_with('.') && event.kind().starts_with(kind));
        among(&self.systems, &|system| event.system() == system)
            && among(&self.sources, &|source| event.source() == source)
            && among(&self.kinds, &is_kind)
    }

    fn show(&mut self, events: Vec<Event>) -> anyhow::Result<()> {
        let mut events: Vec<Event> = events.into_iter().filter(|event| self.is_wanted(event)).collect();
        if let Some(condition) = &mut self.condition {
            condition.keep(&mut events)?;
        }
        if events.is_empty() {
            return Ok(());
        }
        let mut out = output::buffered();
        for event in &events {
            writeln!(out, "{}", line::write(event))?;
        }
        Ok(out.flush()?)
    }
}

/// A condition, as a rule that finds every event for which it holds.
struct Condition {
    engine: Engine,
    position: Position,
}

impl Condition {
    fn new(condition: &str) -> anyhow::Result<Condition> {
        const MATTER: &str = "version: 1\ntitle: An event\nseverity: low\nentity: its source\nmeaning: It was asked for.\n\
                              runbook: [read it]\nsuppress_for: 1h";
        let text = format!("/*\n{MATTER}\n*/\nSELECT event_id, source AS entity FROM events WHERE (\n{condition}\n)\n");
        let engine = Rule::parse("asked/where", &text).and_then(|rule| Engine::new(&[rule], &Settings::default()));
        let engine = engine.with_context(|| format!("--where: `{condition}` is no condition over an event"))?;
        Ok(Condition { engine, position: Position::default() })
    }

    /// Keeps those events for which it holds.
    fn keep(&mut self, events: &mut Vec<Event>) -> anyhow::Result<()> {
        let outcome = self.engine.run(self.position, events)?;
        self.position = self.position.plus(events.len());
        if let Some(parked) = outcome.parked.first() {
            bail!("--where: {}", parked.problem);
        }
        let holds: std::collections::BTreeSet<EventId> =
            outcome.findings.iter().map(|decided| decided.finding.anchor).collect();
        events.retain(|event| holds.contains(&event.event_id()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::Instant;
    use keywatch_store::event::Origin;

    use super::*;

    fn event(id: &str, kind: &str, actor: &str) -> Event {
        let origin = Origin { system: "cold".to_owned(), source: "idp".to_owned() };
        let mut event = Event::builder(&origin, id, kind, Instant(1)).actor(actor).build().unwrap();
        event.set_time(Instant(1));
        event
    }

    #[test]
    fn a_condition_keeps_the_events_for_which_it_holds() {
        let mut condition = Condition::new("actor = 'ann' OR kind LIKE '%ended'").unwrap();
        let mut events = vec![
            event("1", "session.presented", "ann"),
            event("2", "session.presented", "bob"),
            event("3", "session.ended", "bob"),
        ];
        let wanted = [events[0].event_id(), events[2].event_id()];
        condition.keep(&mut events).unwrap();
        assert!(events.iter().map(Event::event_id).eq(wanted));
        let none = Condition::new("actr = 'ann'").err().map(|error| format!("{error:#}"));
        assert!(none.is_some_and(|said| said.contains("actr")));
    }

    #[test]
    fn kinds_may_be_given_by_how_they_begin() {
        let filter =
            Filter { systems: vec![], sources: vec!["idp".into()], kinds: vec!["session.".into()], condition: None };
        assert!(filter.is_wanted(&event("1", "session.ended", "ann")));
        assert!(!filter.is_wanted(&event("2", "signing.requested", "ann")));
    }
}
