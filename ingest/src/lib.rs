//! How bytes from outside become events: one feed a module, each a pure function from a body to events and rejects.
//!
//! Nothing here does I/O, reads a clock or knows a rule. A feed trusts nobody: sizes are checked before parsing, a
//! source may write only kinds that are a source's to write, and a record that cannot be understood becomes a
//! [`Reject`] with its reason while the records beside it go on.
//!
//! | part | what it knows |
//! |---|---|
//! | [`feeds`] | formats: the shape of a feed ([`Feed`], [`Context`], [`Reading`]), the feeds, and [`feeds::find`] |
//! | [`chain`] | chains: their names and ids, well-known tokens, the canonical form of addresses; how they are followed |
//! | [`signature`] | whether a webhook or token was signed by whom it should be |
//! | [`transport`] | how bytes arrive: `Content-Encoding` undone, a body cut into records |
//!
//! Feeds use `chain` and `transport`, which know neither feeds nor each other. Beside them stand what all parts share: [`reject`]
//! (what could not be understood, capped and masked), [`error`] and [`limits`].

pub mod chain;
pub mod error;
pub mod feeds;
pub mod limits;
mod mask;
pub mod reject;
pub mod signature;
pub mod transport;

pub use error::Error;
pub use feeds::feed::{Context, Feed, Reading};
pub use reject::{Problem, Reject};
