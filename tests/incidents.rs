//! The two real thefts through the whole of keywatch: log, rules, alerting. What is found must depend on the records
//! alone, not on how they were cut, delayed, named or interrupted; and only what is wrong may be found.
//!
//! | module | what it proves |
//! |---|---|
//! | [`found`] | the expected findings, and what they hang on |
//! | [`cuts`] | P1: any batch cut, any backend, a restart, two systems in one partition |
//! | [`sparse`] | P1: ticks only where something is due |
//! | [`late`] | documented delays and outages: the same criticals, a quiet baseline, no extra revocation |
//! | [`renamed`] | other names, amounts, times and orders: the same findings |
//! | [`corrected`] | each rule falls silent when its one deciding fact is put right |
//! | [`paging`] | a theft is one incident, and pages a few times |
//! | [`restarts`] | P5: the pipeline stopped anywhere and started again does everything once |
//!
//! [`recording`] reads an incident, [`rules`] runs the rules over events, [`process`] is the pipeline with its decision point.

mod corrected;
mod cuts;
mod found;
mod late;
mod paging;
pub(crate) mod process;
pub(crate) mod recording;
mod renamed;
mod restarts;
pub(crate) mod rules;
mod sparse;
