//! From finding to action: decides what a finding deserves, then does it and proves it.
//!
//! [`plan()`] is pure. [`Executor`] performs: it writes every intent to the log, tells people, revokes at the policy
//! decision point, probes, and writes down what happened. Its state, [`AlertState`], is a fold over the log and nothing
//! else. This room knows nothing of SQL and of raw feeds.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mod@plan`], [`action`], [`policy`] | finding, state and settings → actions |
//! | [`state`], [`incident`], [`responses`], [`tellings`], [`inputs`] | the fold over the log |
//! | [`record`], [`ledger`] | actions and outcomes as records; the log with its state |
//! | [`message`], [`sink`], [`webhook`], [`outbox`] | what people read, and how it reaches them |
//! | [`response`], [`revocation`], [`probe`] | what is revoked, the document, the proof |
//! | [`pdp`], [`responder`] | decision points; publishing and probing |
//! | [`executor`], [`own`] | all of it together; findings about keywatch itself |

pub mod action;
pub mod error;
pub mod executor;
pub mod incident;
pub mod inputs;
pub mod ledger;
pub mod limits;
pub mod message;
pub mod outbox;
pub mod own;
pub mod pdp;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod record;
pub mod responder;
pub mod response;
pub mod responses;
pub mod revocation;
pub mod sink;
pub mod state;
pub mod tellings;
pub mod webhook;

pub use action::{Action, AlertRecord, Cause};
pub use error::{Error, Fate};
pub use executor::{Executor, Means};
pub use message::Notification;
pub use outbox::Schedule;
pub use pdp::{Decision, EmbeddedPdp, OpaPdp, OpaSettings, PolicyDecisionPoint};
pub use plan::plan;
pub use policy::Policy;
pub use responder::Site;
pub use response::{Degree, Response, Targets};
pub use revocation::RevocationDocument;
pub use sink::{Sink, Terminal};
pub use state::AlertState;
pub use webhook::{Secret, Webhook, WebhookSettings};
