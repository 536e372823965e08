//! How far a copy is: the file beside it that says which messages are being taken over.
//!
//! It is written before each step, and never after one: whether the step was taken follows from where the copy ends. So a
//! crash makes no message count twice and leaves none out, and that does not rest on repeats being recognised.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::log::embedded::directory::{cannot_write, sync_directory};
use crate::{Error, Position, Topic};

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The cluster that the copy is of.
    pub(super) cluster: String,
    /// The names of its topics.
    pub(super) topics: [String; 2],
    /// Partitions of each topic.
    pub(super) partitions: u32,
    /// The partition that is copied.
    pub(super) partition: u32,
    /// The last step of each topic.
    pub(super) steps: [Step; 2],
}

/// Messages that are taken over together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Offset of the first.
    pub(super) from: i64,
    /// The offset after the last.
    pub(super) to: i64,
    /// Where the copy ended before.
    pub(super) end: u64,
    /// Offset of the first message that was written live.
    #[serde(default)]
    pub(super) live_from: Option<i64>,
    /// Offset of the first message that a later version wrote and that the copy lacks.
    #[serde(default)]
    pub(super) lacks_from: Option<i64>,
}

impl Step {
    /// The offset to go on from, for a copy that ends there.
    pub(super) fn next(self, end: Position) -> i64 {
        if end.0 > self.end { self.to } else { self.from }
    }

    /// Offset of the first message that a copy lacks that ends there. What a step that was not taken passes by is looked at
    /// again, by a version that may read it.
    pub(super) fn lacks(self, end: Position) -> Option<i64> {
        self.lacks_from.filter(|offset| *offset < self.next(end))
    }
}

/// The name of the file.
const FILE: &str = "kafka-progress.json";

/// Topics of which a copy that lies in a directory lacks what a later version wrote, with the offset of the first such message.
/// `ends` says where the copy ends, in the order of [`Topic::ALL`]. What is no copy of a log on Kafka lacks nothing.
///
/// # Errors
/// [`Error::Storage`] when what is kept of it cannot be read.
pub fn lacking(directory: &Path, ends: [Position; 2]) -> Result<Vec<(Topic, i64)>, Error> {
    let path = directory.join(FILE);
    let refuse = |problem: String| Error::Storage { path: path.clone(), problem };
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| refuse(error.to_string()))?,
    };
    let Progress { steps, .. } = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
    let of_topic = |topic: Topic| {
        let index = topic_index(topic);
        Some((topic, steps[index].lacks(ends[index])?))
    };
    Ok(Topic::ALL.into_iter().filter_map(of_topic).collect())
}

/// The file.
#[derive(Debug)]
pub(super) struct ProgressFile {
    path: PathBuf,
    progress: Progress,
}

impl ProgressFile {
    /// Opens it beside the copy in `directory`, for the partition that `fresh` names.
    ///
    /// # Errors
    /// [`Error::Storage`] when the copy is of another log or the file cannot be read, [`Error::CannotWrite`].
    pub(super) fn open(directory: &Path, fresh: &Progress, copy_is_empty: bool) -> Result<ProgressFile, Error> {
        let path = directory.join(FILE);
        let refuse = |problem: String| Error::Storage { path: path.clone(), problem };
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Progress>(&bytes).map_err(|error| refuse(error.to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && copy_is_empty => fresh.clone(),
            Err(error) => {
                let what = format!("{error}; without it nothing says which messages {} holds", directory.display());
                return Err(refuse(format!("{what}: remove that directory, and it is copied anew")));
            }
        };
        if (Progress { steps: fresh.steps, ..kept.clone() }) != *fresh {
            let of = |progress: &Progress| {
                let Progress { cluster, topics: [events, _], partitions, partition, .. } = progress;
                format!("cluster {cluster}, topic {events}, partition {partition} of {partitions}")
            };
            let problem = format!("{} is a copy of {}", directory.display(), of(&kept));
            return Err(refuse(format!("{problem}, not of {}; remove it or name another directory", of(fresh))));
        }
        Ok(ProgressFile { path, progress: kept })
    }

    /// The last step of each topic.
    pub(super) fn steps(&self) -> [Step; 2] {
        self.progress.steps
    }

    /// Notes, durably, what is taken over next.
    pub(super) fn begin(&mut self, topic: Topic, step: Step) -> Result<(), Error> {
        self.progress.steps[topic_index(topic)] = step;
        let draft = self.path.with_extension("new");
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&serde_json::to_vec(&self.progress)?)?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)?;
            sync_directory(&self.path)
        });
        written.map_err(|error| cannot_write(&self.path, &error))
    }
}

pub(super) fn topic_index(topic: Topic) -> usize {
    match topic {
        Topic::Events => 0,
        Topic::Conclusions => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(cluster: &str) -> Progress {
        let topics = ["k.events".to_owned(), "k.conclusions".to_owned()];
        Progress { cluster: cluster.to_owned(), topics, partitions: 2, partition: 1, steps: [Step::default(); 2] }
    }

    #[test]
    fn a_step_counts_as_taken_when_the_copy_has_grown() {
        let step = Step { from: 10, to: 25, end: 7, ..Step::default() };
        assert_eq!((step.next(Position(7)), step.next(Position(20))), (10, 25));
    }

    #[test]
    fn a_copy_lacks_what_a_step_has_passed_by_that_was_taken_and_no_other() {
        let step = Step { from: 10, to: 25, end: 7, lacks_from: Some(12), ..Step::default() };
        assert_eq!((step.lacks(Position(7)), step.lacks(Position(20))), (None, Some(12)), "a crash was in between");
        let before = Step { lacks_from: Some(4), ..step };
        assert_eq!((before.lacks(Position(7)), before.lacks(Position(20))), (Some(4), Some(4)));

        let directory = tempfile::tempdir().unwrap();
        let of = |ends: [u64; 2]| lacking(directory.path(), ends.map(Position)).unwrap();
        assert!(of([20, 20]).is_empty(), "it is no copy");
        let mut file = ProgressFile::open(directory.path(), &fresh("one"), true).unwrap();
        file.begin(Topic::Conclusions, step).unwrap();
        assert_eq!((of([20, 20]), of([20, 7])), (vec![(Topic::Conclusions, 12)], Vec::new()));
        fs::write(directory.path().join(FILE), "{").unwrap();
        assert!(lacking(directory.path(), [Position(20); 2]).is_err(), "nothing says what it lacks");
    }

    #[test]
    fn it_goes_on_where_it_was_and_refuses_another_log() {
        let directory = tempfile::tempdir().unwrap();
        let step = Step { from: 3, to: 9, end: 2, live_from: Some(4), lacks_from: Some(5) };
        let mut file = ProgressFile::open(directory.path(), &fresh("one"), true).unwrap();
        file.begin(Topic::Conclusions, step).unwrap();
        let again = ProgressFile::open(directory.path(), &fresh("one"), false).unwrap();
        assert_eq!(again.steps(), [Step::default(), step]);
        let other = ProgressFile::open(directory.path(), &fresh("two"), false).unwrap_err().to_string();
        assert!(other.contains("cluster one") && other.contains("not of cluster two"), "{other}");
        let none = ProgressFile::open(tempfile::tempdir().unwrap().path(), &fresh("one"), false).unwrap_err();
        assert!(none.to_string().contains("copied anew"), "{none}");
    }
}
