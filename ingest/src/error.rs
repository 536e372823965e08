//! What can go wrong with a whole body, before a feed sees a record.

pub use keywatch_store::error::Remedy;

/// An error of this room. What is wrong with one record is a [`crate::Reject`], not an error.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No feed has that name.
    #[error("there is no feed `{name}`; the feeds are {known}")]
    UnknownFeed {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The body is larger than is accepted, as sent or after decompression.
    #[error("the body has more than {max} bytes{after}; send smaller batches")]
    TooLarge {
        /// The limit, bytes.
        max: usize,
        /// Empty, or ` after decompression`.
        after: &'static str,
    },
    /// A `Content-Encoding` that is not understood.
    #[error("content-encoding `{encoding}` is not understood; send identity, gzip or zstd")]
    Encoding {
        /// As the sender named it.
        encoding: String,
    },
    /// The body says gzip and is not.
    #[error("the body is not valid gzip: {problem}")]
    Gzip {
        /// What the decoder said.
        problem: String,
    },
    /// The body says zstd and is not.
    #[error("the body is not valid zstd: {problem}")]
    Zstd {
        /// What the decoder said.
        problem: String,
    },
}

impl Error {
    /// What to do about it: the same bytes will never be accepted.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::UnknownFeed { .. } => Remedy::Stop,
            Error::TooLarge { .. } | Error::Encoding { .. } | Error::Gzip { .. } | Error::Zstd { .. } => Remedy::Reject,
        }
    }
}
