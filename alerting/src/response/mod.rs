//! What is revoked and quarantined, how the policy decision point learns of it, and the proof that it took effect.
//!
//! Pure: [`intent`], [`responses`], [`revocation`], [`seal`], [`active_sessions`], [`break_glass`], [`aftermath`], [`wording`] and [`last_inputs`]. [`pdp`], [`probe`] and [`responder`] ask decision
//! points. It does not decide whether to respond. A further path of response stands in [`ways`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`intent`] | what is to be revoked, and the degrees of proof |
//! | [`responses`] | where each response stands, a fold over the log |
//! | [`revocation`] | the document that a decision point reads |
//! | [`seal`] | by which a document that another of our processes has put in force is known |
//! | [`break_glass`] | emergency access that is open |
//! | [`active_sessions`] | how many sessions of a system are open |
//! | [`aftermath`] | what is heard of the targets after a revocation |
//! | [`last_inputs`] | the last inputs of sessions, which probes are made of |
//! | [`pdp`] | decision points: embedded, Open Policy Agent |
//! | [`bundle`] | the document as a signed bundle, for decision points that fetch it |
//! | [`replicas`] | the replicas of a system's decision point: each gets the document, each is asked |
//! | [`probe`], [`responder`] | publishing, and proving that it took effect |
//! | [`wording`] | targets and ways as people read them |
//! | [`ways`] | ways besides the decision point: identity providers, signers |

pub mod active_sessions;
pub mod aftermath;
pub mod break_glass;
pub mod bundle;
pub mod intent;
pub mod last_inputs;
pub mod pdp;
pub mod probe;
pub mod replicas;
pub mod responder;
pub mod responses;
pub mod revocation;
pub mod seal;
pub mod ways;
pub mod wording;
