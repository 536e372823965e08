//! What can go wrong in this room, and what a caller can do about it.

use std::path::PathBuf;

/// What a caller should do with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same call may succeed later.
    Retry,
    /// This input will never be accepted; report it and go on.
    Reject,
    /// Nothing further should be attempted until a person has looked.
    Stop,
}

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line that is not an event.
    #[error("{field}: {problem}")]
    Line {
        /// The field at fault, or `line` when there is none.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An inventory that cannot be accepted.
    #[error("{file}: {problem}")]
    Inventory {
        /// The file, as the user named it.
        file: String,
        /// Line, field and what is wrong.
        problem: String,
    },
    /// The log directory is open in another process.
    #[error("{path} is in use by another keywatch process; stop it or name another directory")]
    InUse {
        /// The log directory.
        path: PathBuf,
    },
    /// The log directory holds a log of another kind.
    #[error("{path} holds a log with the {found} clock, not {wanted}; a log keeps the clock it was created with")]
    OtherClock {
        /// The log directory.
        path: PathBuf,
        /// The clock it was created with.
        found: crate::log::Clock,
        /// The clock asked for.
        wanted: crate::log::Clock,
    },
    /// The disk is full or the file system refuses to write.
    #[error("{path}: cannot write the log: {problem}; free space and start again, nothing acknowledged is lost")]
    CannotWrite {
        /// The log directory.
        path: PathBuf,
        /// What the storage said.
        problem: String,
    },
    /// A batch whose hash, chain link or MAC is wrong.
    #[error("log record at {position}: {problem}; `keywatch log check` on the log's directory says all that is wrong")]
    Tampered {
        /// Position of the first record of the batch.
        position: u64,
        /// Which check failed.
        problem: String,
    },
    /// A log that is not whole: it ends before its head, or its files are not as they were written. Nothing was changed.
    #[error(
        "{} is damaged: {damage}; nothing was changed: restore the directory from a copy, or look at what stands with \
         `keywatch log check {}`, or go on without what is missing with `keywatch log accept-loss {} --by NAME --reason TEXT`",
        path.display(), path.display(), path.display()
    )]
    Damaged {
        /// The log directory.
        path: PathBuf,
        /// What is missing and where the damage is.
        damage: Box<crate::log::embedded::Damage>,
    },
    /// The wall clock jumped while the writer ran.
    #[error(
        "the wall clock moved {jump_ms} ms against the monotonic clock; the writer stopped so that log time is not falsified"
    )]
    ClockJump {
        /// Size of the jump.
        jump_ms: i64,
    },
    /// A read before the oldest record kept.
    #[error("position {asked} is no longer kept; the oldest is {oldest}")]
    Expired {
        /// What was asked for.
        asked: u64,
        /// The oldest position there is.
        oldest: u64,
    },
    /// Kafka does not answer, or did not take records in time.
    #[error("kafka at {brokers}: {problem}; nothing acknowledged is lost, the same call may succeed later")]
    Unreachable {
        /// The brokers asked.
        brokers: String,
        /// What the client library said.
        problem: String,
    },
    /// A topic that would not keep what the log promises.
    #[error("kafka topic {topic}: {problem}")]
    KafkaTopic {
        /// Its name in the cluster.
        topic: String,
        /// What is wrong and what to change.
        problem: String,
    },
    /// Another append lasts longer than anybody should wait for it, or those before failed.
    #[error(
        "the log cannot be written just now: it has taken nothing for {seconds} s; nothing of this was written, the same call \
         may succeed later"
    )]
    Busy {
        /// How long.
        seconds: u64,
    },
    /// The log was closed while the call waited.
    #[error("the log is closed")]
    Closed,
    /// Anything that the storage engine reports.
    #[error("{path}: {problem}")]
    Storage {
        /// The log directory.
        path: PathBuf,
        /// What the storage engine said.
        problem: String,
    },
    /// Events that cannot become one Arrow batch.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::Line { .. } | Error::Inventory { .. } => Remedy::Reject,
            Error::InUse { .. } | Error::Closed | Error::Unreachable { .. } | Error::Busy { .. } => Remedy::Retry,
            _ => Remedy::Stop,
        }
    }

    /// Whether it passes by itself: the log cannot be written for a while, and goes on where it was.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::Busy { .. })
    }

    /// An [`Error::Line`].
    pub fn line(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Line { field: field.into(), problem: problem.into() }
    }
}
