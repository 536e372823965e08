//! What is wrong with a log, in words that say what is missing, where, and what can be done.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::limits::DAMAGE_SHOWN_MAX;
use crate::{Error, Instant, Position, Topic};

/// Everything that was found wrong with a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Records that are missing or do not verify.
    pub losses: Vec<Loss>,
    /// Files that are not as they were written.
    pub files: Vec<FileDamage>,
}

/// Records of one topic that stand together and are missing or do not verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The topic.
    pub topic: Topic,
    /// Position of the first.
    pub from: Position,
    /// The position after the last.
    pub to: Position,
    /// Log time of the last record before them.
    pub after: Option<Instant>,
    /// Log time of the first record behind them, or of the topic's head where none is behind them.
    pub before: Option<Instant>,
    /// The systems they belong to, where that is still known.
    pub systems: Option<BTreeSet<String>>,
    /// Which check failed.
    pub problem: String,
}

/// A file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDamage {
    /// The file.
    pub file: PathBuf,
    /// First byte and the byte after the last, where that is known.
    pub bytes: Option<(u64, u64)>,
    /// What is wrong with it.
    pub problem: String,
}

impl Damage {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.files.is_empty()
    }

    /// As an error of the log in `path`.
    #[must_use]
    pub fn of(self, path: &Path) -> Error {
        Error::Damaged { path: path.to_owned(), damage: Box::new(self) }
    }
}

impl From<Loss> for Damage {
    fn from(loss: Loss) -> Damage {
        Damage { losses: vec![loss], files: Vec::new() }
    }
}

impl From<FileDamage> for Damage {
    fn from(file: FileDamage) -> Damage {
        Damage { losses: Vec::new(), files: vec![file] }
    }
}

impl Loss {
    /// Records from one position to before another, of which nothing more is known.
    pub(super) fn new(topic: Topic, from: Position, to: Position) -> Loss {
        Loss { topic, from, to, after: None, before: None, systems: None, problem: "they are not there".to_owned() }
    }

    /// With the log times on both sides.
    pub(super) fn between(self, after: Option<Instant>, before: Option<Instant>) -> Loss {
        Loss { after, before, ..self }
    }

    /// With the check that failed.
    pub(super) fn because(self, problem: impl Into<String>) -> Loss {
        Loss { problem: problem.into(), ..self }
    }

    /// How many records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }
}

impl FileDamage {
    pub(super) fn new(file: &Path, problem: impl Into<String>) -> FileDamage {
        FileDamage { file: file.to_owned(), bytes: None, problem: problem.into() }
    }

    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> FileDamage {
        FileDamage::new(file, format!("it cannot be read: {error}"))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.losses.iter().take(DAMAGE_SHOWN_MAX).map(Loss::to_string).collect();
        parts.extend(self.files.iter().take(DAMAGE_SHOWN_MAX).map(FileDamage::to_string));
        let left_out = self.losses.len() + self.files.len() - parts.len();
        f.write_str(&parts.join("; "))?;
        if left_out > 0 { write!(f, "; and {left_out} more") } else { Ok(()) }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (records, last) = (self.records(), self.to.0.saturating_sub(1));
        write!(
            f,
            "{records} records of the {} topic are missing, positions {} to {last}",
            self.topic.name(),
            self.from.0
        )?;
        match (self.after, self.before) {
            (Some(after), Some(before)) => write!(f, ", between {after} and {before}")?,
            (Some(after), None) => write!(f, ", after {after}")?,
            (None, Some(before)) => write!(f, ", before {before}")?,
            (None, None) => {}
        }
        write!(f, " ({})", self.problem)
    }
}

impl fmt::Display for FileDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((from, to)) = self.bytes {
            write!(f, ", bytes {from} to {}", to.saturating_sub(1))?;
        }
        write!(f, ": {}", self.problem)
    }
}
