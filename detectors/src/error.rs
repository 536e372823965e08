//! What can go wrong in this room, and what a caller can do about it.

use datafusion::error::DataFusionError;

/// What a caller should do with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The rule (or its parameters) must be changed; the others go on.
    Reject,
    /// The engine cannot go on.
    Stop,
}

/// An error of the detectors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule file that cannot be read.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Front matter that does not hold.
    #[error("rule {rule}: front matter: {problem}")]
    FrontMatter {
        /// Rule id.
        rule: String,
        /// Line, field and what is wrong.
        problem: String,
    },
    /// SQL that does not parse or does not fit the schema.
    #[error("rule {rule}: {problem}")]
    Sql {
        /// Rule id.
        rule: String,
        /// What the SQL front end says.
        problem: String,
    },
    /// SQL that cannot be answered from the log alone, or not in bounded memory.
    #[error("rule {rule}: {construct} is not part of the rule language; {instead}")]
    Refused {
        /// Rule id.
        rule: String,
        /// The construct.
        construct: String,
        /// What to write instead.
        instead: String,
    },
    /// A rule that failed while it ran.
    #[error("rule {rule} failed on a batch of the log: {source}")]
    Run {
        /// Rule id.
        rule: String,
        /// Why.
        source: DataFusionError,
    },
    /// A snapshot that cannot be written, or not be taken over.
    #[error("{source}")]
    Snapshot {
        /// Why.
        source: DataFusionError,
    },
    /// Events that cannot become one Arrow batch.
    #[error(transparent)]
    Store(#[from] keywatch_store::Error),
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::Store(_) => Remedy::Stop,
            _ => Remedy::Reject,
        }
    }
}
