//! What can go wrong in this room, and what a caller can do about it.

use std::time::Duration;

pub use keywatch_store::error::Remedy;

/// An error of alerting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log did not take or give a record; what depends on the record is not done.
    #[error(transparent)]
    Log(#[from] keywatch_store::Error),
    /// The policy decision point did not answer in time, or answered that it cannot.
    #[error("the policy decision point {endpoint} does not answer: {problem}; the intent is kept and tried again")]
    PdpSilent {
        /// Its address, or what it is.
        endpoint: String,
        /// What happened.
        problem: String,
    },
    /// The policy decision point refused what it was told; the same will be refused again until a person changes it.
    #[error("the policy decision point {endpoint} refused: {problem}")]
    PdpRefused {
        /// Its address, or what it is.
        endpoint: String,
        /// What it said.
        problem: String,
    },
    /// A later revocation document of this same keywatch is in force: another process has taken the place of this one, or
    /// this one's log has lost its end. Nothing is put over it.
    #[error(
        "the policy decision point {endpoint} has document {successor} of this keywatch, and this process has got to \
         {sequence}; it puts nothing over a later one"
    )]
    Superseded {
        /// Where it was found.
        endpoint: String,
        /// Sequence number of the document of this process.
        sequence: u64,
        /// Sequence number of the one that is in force.
        successor: u64,
    },
    /// A policy text that does not load.
    #[error("{file}: {problem}")]
    Rego {
        /// File of the policy.
        file: String,
        /// Line and what is wrong.
        problem: String,
    },
    /// A key that cannot sign bundles.
    #[error("the bundle key `{key}`: {problem}")]
    BundleKey {
        /// Its name.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// No policy decision point is configured for a system whose session is to be revoked.
    #[error("system `{system}` has no policy decision point; configure one, the intent is kept")]
    NoPdp {
        /// The system.
        system: String,
    },
    /// A kept state that cannot be written, or is not what was written.
    #[error("the state of alerting: {problem}")]
    Saved {
        /// What is wrong.
        problem: String,
    },
    /// There is no such proposal or response.
    #[error("there is no response `{response}`; it may be forgotten, or its id mistyped")]
    NoResponse {
        /// What was asked for.
        response: String,
    },
    /// What a person wants of a response is not possible as it stands.
    #[error("response `{response}` {problem}")]
    ResponseClosed {
        /// Its id.
        response: String,
        /// Where it stands.
        problem: String,
    },
    /// Somebody who cannot decide on a response.
    #[error("`{person}` cannot decide on this response: {problem}")]
    NotAllowed {
        /// Who.
        person: String,
        /// Why not.
        problem: String,
    },
    /// There is no incident, alert or silence of that id.
    #[error("there is no incident, alert or silence `{name}`; it may be forgotten, or its id mistyped")]
    NoIncident {
        /// What was asked for.
        name: String,
    },
    /// What an operator wants is not possible as things stand.
    #[error("{problem}")]
    Refused {
        /// What is wrong, and what to do instead.
        problem: String,
    },
    /// Nothing was put aside for that destination, or not under that key.
    #[error("there is no dead letter for `{destination}`; it may have been redriven, or its key mistyped")]
    NoDeadLetter {
        /// Name of the destination.
        destination: String,
    },
    /// Findings are recorded, and the process that is to respond to them does not.
    #[error(
        "{findings} findings wait for a process that responds to them, and more are not recorded before it does; see what \
         became of the process with --role respond"
    )]
    NobodyResponds {
        /// How many there are.
        findings: usize,
    },
    /// A destination whose configuration cannot be accepted.
    #[error("destination `{destination}`: {problem}")]
    Destination {
        /// Name of the destination.
        destination: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A destination did not take a notification.
    #[error("destination `{destination}` did not take the notification: {problem}")]
    Undelivered {
        /// Name of the destination.
        destination: String,
        /// What it answered.
        problem: String,
        /// What becomes of the notification.
        fate: Fate,
    },
}

/// What becomes of a notification that a destination did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again, not before this long if the destination said so.
    Retry(Option<Duration>),
    /// It is put aside with its reason: trying the same again cannot help.
    Dead,
    /// The destination says that it is gone; nothing further is sent there.
    Gone,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::Log(error) => error.remedy(),
            Error::PdpSilent { .. }
            | Error::NoPdp { .. }
            | Error::PdpRefused { .. }
            | Error::Superseded { .. }
            | Error::NobodyResponds { .. } => Remedy::Retry,
            Error::Undelivered { fate: Fate::Retry(_), .. } => Remedy::Retry,
            Error::Undelivered { .. }
            | Error::NoResponse { .. }
            | Error::ResponseClosed { .. }
            | Error::NoIncident { .. }
            | Error::NoDeadLetter { .. }
            | Error::Refused { .. }
            | Error::NotAllowed { .. }
            | Error::Saved { .. } => Remedy::Reject,
            Error::Rego { .. } | Error::Destination { .. } | Error::BundleKey { .. } => Remedy::Stop,
        }
    }

    /// Whether the log cannot be written for a while, or not more of it: what was asked for may be asked for again, and does
    /// nothing twice.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Error::Log(error) => error.is_outage(),
            Error::NobodyResponds { .. } => true,
            _ => false,
        }
    }

    /// The decision points that it is about, where it is about some.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Error::PdpSilent { endpoint, .. }
            | Error::PdpRefused { endpoint, .. }
            | Error::Superseded { endpoint, .. } => Some(endpoint),
            _ => None,
        }
    }
}
