//! The two real thefts through the whole of keywatch: log, rules, alerting. What is found must depend on the records
//! alone, not on how they were cut, delayed, named or interrupted; and only what is wrong may be found.
//!
//! | module | what it proves |
//! |---|---|
//! | [`found`] | the expected findings, and what they hang on |
//! | [`cuts`] | P1: any batch cut, any backend, a restart, two systems in one partition |
//! | [`late`] | documented delays and outages: the same criticals, a quiet baseline, no extra revocation |
//! | [`renamed`] | other names, amounts, times and orders: the same findings |
//! | [`corrected`] | each rule falls silent when its one deciding fact is put right |
//! | [`restarts`] | P5: the pipeline stopped anywhere and started again does everything once |
//!
//! [`recording`] reads an incident, [`rules`] runs the rules over events, [`process`] is the pipeline with its decision point.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

#[path = "incidents/corrected.rs"]
mod corrected;
#[path = "incidents/cuts.rs"]
mod cuts;
#[path = "incidents/found.rs"]
mod found;
#[path = "incidents/late.rs"]
mod late;
#[path = "incidents/process.rs"]
mod process;
#[path = "incidents/recording.rs"]
mod recording;
#[path = "incidents/renamed.rs"]
mod renamed;
#[path = "incidents/restarts.rs"]
mod restarts;
#[path = "incidents/rules.rs"]
mod rules;
