//! `keywatch log copy`: the records of a log into another one, with their log times: migration, backfill, a copy to keep.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use keywatch_store::log::admission::{Admission, Admitted};
use keywatch_store::log::embedded::{EmbeddedLog, Options, begin_backup, complete_backup};
use keywatch_store::log::kafka::{KafkaLog, Settings, partition_of};
use keywatch_store::{Clock, Event, Instant, Log, Position, Topic, line};

use super::cut::{Cut, Gaps};
use super::place::{self, LeftOut, Place, Records};
use super::since::Since;
use crate::commands::backtest::input::lacks;
use crate::limits::COPY_OUTAGE_MS_MAX;
use crate::output;
use crate::service::config::log::LogConfig;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct CopyArguments {
    /// The log to read: a directory, a file of event lines (*.jsonl), or a configuration whose log is on Kafka (*.toml)
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The log to write, named in the same way; it must be empty
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Leave out what has an earlier log time, but for what each system had declared by then
    #[arg(long, value_name = "TIME")]
    since: Option<Instant>,
    /// Copy a log whose beginning is kept no more from its first record on, with a record of what is missing for each system
    #[arg(long, requires = "by")]
    from_cut: bool,
    /// Who goes on without what is missing; it stands in the copy
    #[arg(long, value_name = "NAME", requires = "from_cut")]
    by: Option<String>,
    /// Make a backup of the log of `keywatch run` in a directory: TO has its key, and `keywatch run` goes on with it in its place
    #[arg(long, conflicts_with_all = ["since", "from_cut"])]
    backup: bool,
}

/// Where records go. All of these run the admission of a recorded clock: records keep their times.
enum Target {
    /// A log, or one for each partition, in their order.
    Logs(Vec<Box<dyn Log>>),
    Lines {
        out: BufWriter<File>,
        admission: Box<Admission>,
    },
}

/// What became of the records of a topic.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    written: u64,
    repeats: u64,
    conflicts: u64,
    left_out: LeftOut,
    /// The latest log time of what was written.
    last: Option<Instant>,
}

impl Counts {
    /// As a row of the table.
    fn row(&self, topic: Topic) -> [String; 6] {
        [
            topic.name().to_owned(),
            self.written.to_string(),
            self.repeats.to_string(),
            self.conflicts.to_string(),
            self.left_out.foreign.to_string(),
            self.left_out.unreadable.to_string(),
        ]
    }
}

/// Runs the command.
///
/// # Errors
/// FROM cannot be read as a whole or begins at a cut that nobody has accepted, TO is not empty or cannot be written.
pub(super) fn run(arguments: &CopyArguments) -> anyhow::Result<ExitCode> {
    let (from, to) = (Place::of(&arguments.from), Place::of(&arguments.to));
    ensure!(from != to, "FROM and TO are the same log");
    ensure!(
        arguments.by.as_ref().is_none_or(|by| !by.trim().is_empty()),
        "--by is empty; who reads the copy wants to know"
    );
    check_backup(arguments.backup, &from, &to)?;
    let lacks = match &from {
        // What of it cannot be copied is known before anything is made.
        Place::Directory(directory) => accept_directory(arguments, directory)?,
        Place::Lines(_) | Place::Configuration(_) => Vec::new(),
    };
    // The source first: where there is none, nothing is made.
    let mut sources = Vec::new();
    for topic in Topic::ALL {
        // An embedded log is open once at a time, so that its second topic is read of the same opening after the first.
        if !matches!((&from, topic), (Place::Directory(_), Topic::Conclusions)) {
            let source = Records::of(&from, topic)?;
            accept(arguments, topic, source.as_ref())?;
            sources.push(source);
        }
    }
    if arguments.backup {
        begin_backup(&arguments.from, &arguments.to)?;
    }
    let mut target = Target::create(&to)?;
    let (mut rows, mut unreadable, mut before) = (Vec::new(), 0, None);
    for (topic, source) in Topic::ALL.into_iter().zip(sources.into_iter().map(Some).chain([None])) {
        // Nobody writes between the two topics of a directory.
        let source = source.unwrap_or_else(|| before.take().map(|before: Records| before.turn_to(topic)));
        let Some(mut source) = source else { continue };
        let cuts = source.cuts();
        for cut in &cuts {
            output::note(&format!("{} {cut}", topic.name()));
        }
        let gaps = Gaps::new(topic, cuts, arguments.by.as_deref().unwrap_or_default());
        if topic == Topic::Conclusions && matches!(to, Place::Lines(_)) {
            output::note("a file of event lines has the events only; conclusions are not copied");
            continue;
        }
        let counts = target.take(topic, &mut source, arguments.since, gaps).with_context(|| topic.name().to_owned())?;
        ensure!(
            !arguments.backup || counts.repeats + counts.conflicts == 0,
            "the copy has not every record of {} as it is, so it is no backup: copy the directory with `cp -a`",
            topic.name()
        );
        rows.push(counts.row(topic));
        unreadable += counts.left_out.unreadable;
        before = Some(source);
    }
    target.end()?;
    if arguments.backup {
        complete_backup(&arguments.to)?;
    }
    output::line(&output::table(["topic", "written", "repeats", "conflicts", "foreign", "unreadable"], rows))?;
    lacks.iter().for_each(|said| output::note(said));
    if unreadable == 0 {
        return Ok(ExitCode::from(u8::from(!lacks.is_empty())));
    }
    output::note(&format!(
        "{unreadable} messages that a role of keywatch wrote cannot be read by this version, and their events are not in the \
         copy; `keywatch log check` says which"
    ));
    Ok(ExitCode::from(1))
}

/// Checks that both places are directories where a backup is made.
fn check_backup(backup: bool, from: &Place, to: &Place) -> anyhow::Result<()> {
    let are_directories = matches!((from, to), (Place::Directory(_), Place::Directory(_)));
    ensure!(
        are_directories || !backup,
        "--backup makes a directory of a directory; docs/kafka.md says how a log on Kafka is backed up and restored"
    );
    Ok(())
}

/// Checks both topics of a log in a directory; what it lacks and knows of.
fn accept_directory(arguments: &CopyArguments, directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut ends = [Position(0); 2];
    for topic in Topic::ALL {
        let source = Records::of(&Place::Directory(directory.to_owned()), topic)?;
        accept(arguments, topic, source.as_ref())?;
        if let Some(Records::Log(log, ..)) = &source {
            ensure!(
                log.clock() == Clock::Wall || !arguments.backup,
                "--backup: {} holds a log with the recorded clock, with which no `keywatch run` goes on",
                directory.display()
            );
            ends = Topic::ALL.map(|topic| log.end(topic));
        }
    }
    lacks(directory, ends)
}

/// Checks that somebody answers for what is missing at the beginning of a topic.
fn accept(arguments: &CopyArguments, topic: Topic, source: Option<&Records>) -> anyhow::Result<()> {
    let cut: Option<Cut> = source.and_then(|source| source.cuts().into_iter().next());
    if let Some(cut) = cut.filter(|_| !arguments.from_cut) {
        bail!(
            "{} {cut}; `--from-cut --by NAME` copies from there, and writes into the copy what is missing \
             and who went on without it",
            topic.name()
        );
    }
    Ok(())
}

/// The events of each partition, in their order.
fn parted(events: Vec<Event>, partitions: usize) -> Vec<Vec<Event>> {
    let mut parted = vec![Vec::new(); partitions];
    let count = u32::try_from(partitions).unwrap_or(u32::MAX);
    for event in events {
        let partition = partition_of(event.system(), count);
        parted[partition as usize].push(event);
    }
    parted
}

impl Target {
    fn create(place: &Place) -> anyhow::Result<Target> {
        match place {
            Place::Directory(directory) => {
                let log = EmbeddedLog::open(directory, Options::new(Clock::Recorded))?;
                Target::empty(vec![Box::new(log)], directory)
            }
            Place::Lines(file) => {
                let created = File::create_new(file).with_context(|| format!("cannot create {}", file.display()))?;
                let admission = Box::new(Admission::new(Clock::Recorded));
                Ok(Target::Lines { out: BufWriter::new(created), admission })
            }
            Place::Configuration(file) => {
                let config = place::on_kafka(file)?;
                std::fs::create_dir_all(&config.data).with_context(|| config.data.display().to_string())?;
                // Nobody waits for an answer, and what was broken off cannot be gone on with.
                let patient = place::settings(&config, Clock::Recorded)?;
                let settings = Settings { conclude_ms_max: COPY_OUTAGE_MS_MAX, ..patient };
                let mut logs: Vec<Box<dyn Log>> = Vec::new();
                for partition in 0..config.log.partitions {
                    let of_partition = LogConfig { partition, ..config.log.clone() };
                    let log = KafkaLog::open(&settings, partition, &of_partition.copy_in(&config.data))?;
                    let foreign = log.foreign_messages() + log.later_messages();
                    ensure!(
                        foreign == 0,
                        "{foreign} messages are in those topics already; name others by log.topic_prefix"
                    );
                    logs.push(Box::new(log));
                }
                Target::empty(logs, file)
            }
        }
    }

    fn empty(logs: Vec<Box<dyn Log>>, path: &Path) -> anyhow::Result<Target> {
        let records: u64 = logs.iter().flat_map(|log| Topic::ALL.map(|topic| log.end(topic).0)).sum();
        ensure!(records == 0, "the log of {} has {records} records already; copy into an empty one", path.display());
        Ok(Target::Logs(logs))
    }

    fn take(
        &mut self,
        topic: Topic,
        source: &mut Records,
        since: Option<Instant>,
        mut gaps: Gaps,
    ) -> anyhow::Result<Counts> {
        let (mut counts, mut since) = (Counts::default(), since.map(Since::new));
        let bar = output::progress_of_records();
        loop {
            let events = source.next()?;
            if events.is_empty() {
                break;
            }
            bar.inc(events.len() as u64);
            let events = match &mut since {
                Some(since) => since.take(events),
                None => events,
            };
            self.append(topic, gaps.take(events), &mut counts)?;
        }
        self.append(topic, gaps.take(since.map_or_else(Vec::new, Since::end)), &mut counts)?;
        self.append(Topic::Events, gaps.end(), &mut counts)?;
        bar.finish_and_clear();
        counts.left_out = source.left_out();
        if let Some(last) = counts.last {
            let name = topic.name();
            output::note(&format!("{name}: the last record is of {last}; what came after it is not in the copy"));
        }
        Ok(counts)
    }

    fn append(&mut self, topic: Topic, events: Vec<Event>, counts: &mut Counts) -> anyhow::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        match self {
            Target::Logs(logs) => {
                for (log, events) in logs.iter().zip(parted(events, logs.len())) {
                    let appended = log.append(topic, events)?;
                    counts.last = counts.last.max(appended.written.last().map(Event::time));
                    counts.written += appended.written.len() as u64;
                    counts.repeats += appended.repeats as u64;
                    counts.conflicts += appended.conflicts as u64;
                }
            }
            Target::Lines { out, admission } => {
                for event in events {
                    let admitted = admission.admit(event, Instant::UNASSIGNED);
                    counts.conflicts += u64::from(matches!(admitted, Admitted::Conflict(_)));
                    match admitted {
                        Admitted::New(event) | Admitted::Conflict(event) => {
                            counts.last = counts.last.max(Some(event.time()));
                            counts.written += 1;
                            writeln!(out, "{}", line::write(&event))?;
                        }
                        Admitted::Repeat => counts.repeats += 1,
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything is on disk, or with Kafka.
    fn end(self) -> anyhow::Result<()> {
        if let Target::Lines { out, .. } = self {
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        }
        Ok(())
    }
}
