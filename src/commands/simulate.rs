//! `keywatch simulate`: generated custody traffic, with labelled attacks where asked for, as files, lines or a log.
//!
//! What happens in it is made up in `keywatch-simulator`; here it is only written, on a thread beside the one that makes
//! it up.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant as Stopwatch;

use anyhow::{Context, anyhow, ensure};
use keywatch_simulator::{Label, Scenario, Settings, Simulation};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Inventory, Lane, Log, line};

use crate::limits::{SIMULATE_BATCH_EVENTS_MAX, SIMULATE_BATCHES_MAX};
use crate::output;

/// Make up custody traffic, with labelled attacks in it, to try rules on.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  keywatch simulate --out month                     a month of one system, a million events, nothing wrong
  keywatch simulate --attack all --attacks-each 4 --out attacked
  keywatch backtest --truth attacked/truth.jsonl attacked
                                                    which of the attacks do the rules see, how soon
  keywatch simulate --events 10000000 --systems 4 --keys 100000 --seed 7 --out month.log
                                                    as a log, as `keywatch run` writes one
  keywatch simulate --events 50000 --days 2 --out - | keywatch replay -

DIR gets events.jsonl, inventory.toml and, with attacks, truth.jsonl. A name that ends in `.log`
becomes a log; `-` is standard output. The same numbers and seed give the same bytes on every
machine. docs/simulator.md has the mix, the people's habits and what happens in each attack.

Scenarios: {}.", wrapped(&Scenario::names())))]
pub(crate) struct Arguments {
    /// Events in all
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    events: u64,
    /// Trusted environments, of equal size
    #[arg(long, value_name = "N", default_value_t = 1)]
    systems: u64,
    /// Distinct sessions in all, and what follows from it: people, wallets, depositors [default: events / 40]
    #[arg(long, value_name = "N")]
    keys: Option<u64>,
    /// Days over which the events are spread
    #[arg(long, value_name = "N", default_value_t = 30)]
    days: u64,
    /// Another seed, other traffic
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Attack to play, or `all`; may be given several times
    #[arg(long = "attack", value_name = "SCENARIO", value_delimiter = ',')]
    attacks: Vec<String>,
    /// How often each attack is played
    #[arg(long, value_name = "N", default_value_t = 1)]
    attacks_each: u64,
    /// Where the events go: a directory, a log (`NAME.log`), or `-` for standard output
    #[arg(long, value_name = "DIR|LOG|-")]
    out: PathBuf,
    /// Where the labels of the attacks go [default: DIR/truth.jsonl, NAME.truth.jsonl beside a log]
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

/// Names with a comma between them, in lines of the width of the help.
fn wrapped(names: &[&str]) -> String {
    let mut text = String::new();
    let mut width = "Scenarios: ".len();
    for (index, name) in names.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        width += separator.len() + name.len();
        if width > 95 {
            text.push_str(",\n  ");
            width = 2 + name.len();
        } else {
            text.push_str(separator);
        }
        text.push_str(name);
    }
    text
}

/// Runs the command.
///
/// # Errors
/// Settings that cannot be, a place that holds something already or cannot be written.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let simulation = Simulation::new(settings(arguments)?)?;
    let mut sink = Sink::open(arguments, &simulation.inventory())?;
    let begun = Stopwatch::now();
    let missing = thread::scope(|scope| {
        let (send, receive) = sync_channel(SIMULATE_BATCHES_MAX);
        let (give_back, given_back) = sync_channel(2 * SIMULATE_BATCHES_MAX);
        let generator = scope.spawn(move || generate(simulation, &send, &given_back));
        // The receiver goes with the writing: a full disk ends the making up too.
        write_all(&mut sink, receive, &give_back, arguments.events)?;
        generator.join().map_err(|_| anyhow!("what makes the traffic up failed; this is a fault of keywatch"))
    })?;
    let attacks = sink.close()?;
    report(arguments.events, attacks, &missing, begun.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

fn settings(arguments: &Arguments) -> anyhow::Result<Settings> {
    let Arguments { events, systems, keys, days, seed, attacks_each, .. } = *arguments;
    let attacks = Scenario::chosen(&arguments.attacks)?;
    ensure!(attacks_each > 0, "attacks-each: 0 is too few, at least 1 is needed; leave --attack out for no attack");
    Ok(Settings { systems, keys, attacks, attacks_each, ..Settings::new(events, days, seed) })
}

/// Events, and the labels of the attacks that ended with them.
type Batch = (Vec<Event>, Vec<Label>);

/// Makes everything up and says which attacks are missing. It stops when nobody takes it any more. What was written
/// comes back to be let go here: memory is freed fastest by the thread that took it.
fn generate(
    mut simulation: Simulation,
    send: &SyncSender<Batch>,
    given_back: &Receiver<Vec<Event>>,
) -> Vec<(Scenario, u64)> {
    loop {
        given_back.try_iter().for_each(drop);
        let events: Vec<Event> = simulation.by_ref().take(SIMULATE_BATCH_EVENTS_MAX).collect();
        if events.is_empty() || send.send((events, simulation.take_labels())).is_err() {
            return simulation.attacks_missing();
        }
    }
}

fn write_all(
    sink: &mut Sink,
    receive: Receiver<Batch>,
    give_back: &SyncSender<Vec<Event>>,
    events: u64,
) -> anyhow::Result<()> {
    let bar = output::progress(usize::try_from(events).unwrap_or(usize::MAX));
    for (events, labels) in receive {
        bar.inc(events.len() as u64);
        let written = sink.write(events)?;
        sink.label(&labels)?;
        // Where it finds no room it is let go here.
        let _ = give_back.try_send(written);
    }
    bar.finish_and_clear();
    Ok(())
}

fn report(events: u64, attacks: u64, missing: &[(Scenario, u64)], seconds: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = events as f64 / seconds.max(1e-9);
    output::note(&format!("{events} events, {attacks} attacks, {seconds:.2} s ({rate:.0} events/s)"));
    if !missing.is_empty() {
        let names: Vec<String> =
            missing.iter().map(|(scenario, times)| format!("{} ({times})", scenario.name())).collect();
        output::note(&format!(
            "not played to the end: {}; more events or days, or fewer keys, give more occasions",
            names.join(", ")
        ));
    }
}

/// Where everything goes.
struct Sink {
    events: Events,
    truth: Option<BufWriter<File>>,
    attacks: u64,
}

enum Events {
    Lines(Box<dyn Write>),
    Log(Box<EmbeddedLog>),
}

impl Sink {
    fn open(arguments: &Arguments, inventory: &Inventory) -> anyhow::Result<Sink> {
        let out = arguments.out.as_path();
        let (events, beside) = if out == Path::new("-") {
            (Events::Lines(Box::new(output::buffered())), None)
        } else if is_log(out) {
            (Events::Log(Box::new(new_log(out)?)), Some(out.with_extension("truth.jsonl")))
        } else {
            (Events::Lines(Box::new(new_directory(out, inventory)?)), Some(out.join("truth.jsonl")))
        };
        let wanted = !arguments.attacks.is_empty();
        let truth = arguments.truth.clone().or(beside).filter(|_| wanted);
        if wanted && truth.is_none() {
            output::note("the labels of the attacks are not written; --truth FILE says where to");
        }
        let truth = truth.map(|file| create(&file)).transpose()?;
        Ok(Sink { events, truth, attacks: 0 })
    }

    /// Writes events and gives back those that it need not keep.
    fn write(&mut self, events: Vec<Event>) -> anyhow::Result<Vec<Event>> {
        match &mut self.events {
            Events::Lines(out) => {
                for event in &events {
                    out.write_all(line::write(event).as_bytes())?;
                    out.write_all(b"\n")?;
                }
                Ok(events)
            }
            Events::Log(log) => Ok(log.append(Lane::Events, events)?.written),
        }
    }

    fn label(&mut self, labels: &[Label]) -> anyhow::Result<()> {
        self.attacks += labels.len() as u64;
        if let Some(truth) = &mut self.truth {
            for label in labels {
                serde_json::to_writer(&mut *truth, label)?;
                truth.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn close(mut self) -> anyhow::Result<u64> {
        if let Events::Lines(out) = &mut self.events {
            out.flush().context("cannot write the events")?;
        }
        if let Some(truth) = &mut self.truth {
            truth.flush().context("cannot write the labels")?;
        }
        Ok(self.attacks)
    }
}

/// By its name, or by what stands in it already.
fn is_log(out: &Path) -> bool {
    out.extension().is_some_and(|extension| extension == "log") || out.join("LOCK").is_file()
}

fn new_log(out: &Path) -> anyhow::Result<EmbeddedLog> {
    let log = EmbeddedLog::open(out, Options::new(Clock::Recorded))?;
    ensure!(log.end(Lane::Events).0 == 0, "{} holds records already; name a log that does not exist", out.display());
    Ok(log)
}

fn new_directory(out: &Path, inventory: &Inventory) -> anyhow::Result<BufWriter<File>> {
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let file = create(&out.join("events.jsonl"))?;
    fs::write(out.join("inventory.toml"), toml::to_string(inventory)?).context("cannot write inventory.toml")?;
    Ok(file)
}

fn create(file: &Path) -> anyhow::Result<BufWriter<File>> {
    let created = File::create_new(file).with_context(|| format!("cannot create {}", file.display()))?;
    Ok(BufWriter::with_capacity(1 << 20, created))
}
