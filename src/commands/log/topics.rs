//! `keywatch log check` of a log on Kafka: its topics as they stand in the cluster, message by message.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use keywatch_store::log::kafka::{KafkaReader, ReadFrom, check_topics};
use keywatch_store::{Clock, Error, Topic};

use super::cut;
use super::place::{self, LeftOut};
use crate::limits::FOREIGN_SHOWN_MAX;
use crate::output;

/// How long the brokers have for the next message.
const PATIENCE: Duration = Duration::from_mins(1);

/// What was seen of a partition of a topic.
#[derive(Clone, Debug, Default)]
struct Found {
    records: u64,
    left_out: LeftOut,
    next: Option<i64>,
    problems: Vec<String>,
    /// What of the log is missing, as records in it say.
    gaps: Vec<String>,
}

/// Runs the check.
///
/// # Errors
/// The brokers do not answer, or a topic is not there.
pub(super) fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let config = place::on_kafka(file)?;
    let settings = place::settings(&config, Clock::Wall)?;
    let mut problems = Vec::new();
    match check_topics(&settings) {
        Err(error @ Error::KafkaTopic { .. }) => problems.push(error.to_string()),
        checked => checked?,
    }
    let (mut rows, mut gaps) = (Vec::new(), Vec::new());
    for topic in Topic::ALL {
        let mut reader = KafkaReader::open(&settings, topic, ReadFrom::Oldest)?;
        let found = look_through(&mut reader, topic)?;
        for (partition, (found, extent)) in found.iter().zip(reader.extents()).enumerate() {
            let place = format!("{} partition {partition}", settings.topic(topic));
            let is_cut = topic == Topic::Events && config.log.retention_days > 0;
            if extent.oldest > 0 && !is_cut {
                problems.push(format!("{place}: its messages before offset {} were deleted", extent.oldest));
            }
            gaps.extend(found.gaps.iter().cloned());
            problems.extend(found.problems.iter().map(|problem| format!("{place}: {problem}")));
            rows.push([
                settings.topic(topic),
                partition.to_string(),
                extent.oldest.to_string(),
                extent.end.to_string(),
                found.records.to_string(),
                found.left_out.foreign.to_string(),
                found.left_out.unreadable.to_string(),
            ]);
        }
    }
    output::line(&output::table(["topic", "partition", "oldest", "end", "records", "foreign", "unreadable"], rows))?;
    for gap in gaps {
        output::line(&output::printable(&gap))?;
    }
    if problems.is_empty() {
        output::line(
            "whole: every message carries the MAC of a role, and none is missing between the oldest and the end",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    for problem in problems {
        output::line(&output::printable(&problem))?;
    }
    Ok(ExitCode::from(1))
}

fn look_through(reader: &mut KafkaReader, topic: Topic) -> anyhow::Result<Vec<Found>> {
    let mut found = vec![Found::default(); reader.extents().len()];
    let bar = output::progress_of_records();
    while !reader.is_done() {
        let seen = reader.read(PATIENCE)?;
        ensure!(!seen.is_empty() || reader.is_done(), "the brokers sent nothing for {} s", PATIENCE.as_secs());
        bar.inc(seen.len() as u64);
        for message in seen {
            let of = &mut found[message.partition as usize];
            // Where transactions are, their marks take offsets too.
            if let Some(next) = of.next.filter(|next| topic == Topic::Events && message.offset != *next) {
                of.problem(|| format!("no message stands from offset {next} to {}", message.offset - 1));
            }
            of.next = Some(message.offset + 1);
            match message.records {
                Ok(events) => {
                    of.records += events.len() as u64;
                    let room = FOREIGN_SHOWN_MAX.saturating_sub(of.gaps.len());
                    of.gaps.extend(events.iter().filter(|event| cut::is_gap(event)).take(room).map(cut::said));
                }
                Err(why) => {
                    of.left_out.count(&why);
                    of.problem(|| format!("offset {} {why}", message.offset));
                }
            }
        }
    }
    bar.finish_and_clear();
    Ok(found)
}

impl Found {
    fn problem(&mut self, said: impl FnOnce() -> String) {
        if self.problems.len() < FOREIGN_SHOWN_MAX {
            self.problems.push(said());
        }
    }
}
