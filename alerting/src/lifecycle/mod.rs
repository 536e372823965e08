//! What stands of findings and alerts: the state, which is a fold over the log, and the records that it is folded from.
//!
//! Pure but for [`alert_log`], which reads and writes the log. It does not know how people are reached or what a policy
//! decision point is. Acknowledgement, assignment and silences will stand here.
//!
//! | module | what it holds |
//! |---|---|
//! | [`action`] | what is to be done about a finding, with all that its execution needs |
//! | [`state`], [`incident`] | the fold: alerts, and those that belong together |
//! | [`record`] | actions and outcomes as records of the log |
//! | [`planned`] | findings that were decided on, so that none is twice |
//! | [`alert_log`] | the log, with the state that follows it |
//! | [`saved`] | the state as it is kept between two starts, and how far it has folded the log |
//! | [`self_monitoring`] | findings about keywatch itself |

pub mod action;
pub mod alert_log;
pub mod incident;
pub mod planned;
pub mod record;
pub mod saved;
pub mod self_monitoring;
pub mod state;
