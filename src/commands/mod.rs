//! One file or folder a subcommand: arguments in, words and an exit code out.
//!
//! | module | what it does |
//! |---|---|
//! | [`demo`] | plays an incident through the running pipeline |
//! | [`replay`] | runs the rules over recorded events, with no outside effect |
//! | [`run`] | serves the pipeline on this machine |
//! | [`backtest`] | runs rules over history, measures what they find and cost, compares packs |
//! | [`chain`] | follows chains, reads old blocks, checks nodes |
//! | [`import`] | turns foreign files into event lines |
//! | [`operator`] | alerts, incidents and everything about a name, over the API of a running keywatch |
//! | [`feeds`] | lists and shows feeds, checks mapping files |
//! | [`log`] | checks a log, goes on with one that lost records |
//! | [`simulate`] | generates custody traffic |
//! | [`detectors`] | lists, checks, tests and explains rules |
//!
//! A further subcommand (`query`, `verify`, `evidence`, `init`, `doctor` …) is a module here and a line of
//! `Command` in `main.rs`.

pub(crate) mod backtest;
pub(crate) mod chain;
pub(crate) mod demo;
pub(crate) mod detectors;
pub(crate) mod feeds;
pub(crate) mod import;
pub(crate) mod log;
pub(crate) mod operator;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod simulate;
