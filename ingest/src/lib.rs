//! How bytes from outside become events: one feed a file, each a pure function from a body to events and rejects.
//!
//! Nothing here does I/O, reads a clock or knows a rule. A feed trusts nobody: sizes are checked before parsing, a
//! source may write only kinds that are a source's to write, and a record that cannot be understood becomes a
//! [`Reject`] with its reason while the records beside it go on.
//!
//! | module | what it holds |
//! |---|---|
//! | [`feed`] | the shape of a feed: [`Feed`], [`Context`], [`Reading`] |
//! | [`feeds`] | the feeds, and [`feeds::find`] |
//! | [`reject`] | what could not be understood, capped and masked |
//! | [`body`] | `Content-Encoding` under a size cap |
//! | [`chains`] | names of chains, their ids, the written form of addresses |
//! | [`limits`] | every limit of this room |

pub mod body;
pub mod chains;
pub mod error;
pub mod feed;
pub mod feeds;
mod fields;
pub mod limits;
mod mask;
mod records;
pub mod reject;

pub use error::Error;
pub use feed::{Context, Feed, Reading};
pub use reject::{Problem, Reject};
