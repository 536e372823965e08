//! What a finding deserves: a pure function of the finding, the state and the settings. No I/O, no clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mod@plan`] | finding, state and settings → actions |
//! | [`routes`] | which receivers are told of what |
//! | [`settings`] | which severities reach whom, and when keywatch may act alone |

pub mod plan;
pub mod routes;
pub mod settings;
