//! One file or folder a subcommand: arguments in, words and an exit code out.
//!
//! | module | what it does |
//! |---|---|
//! | [`demo`] | plays an incident through the running pipeline |
//! | [`replay`] | runs the rules over recorded events, with no outside effect |
//! | [`replayed`] | recorded events through the whole pipeline, for the page of their incidents |
//! | [`run`] | serves the pipeline on this machine |
//! | [`agent`] | ships lines of files or of standard input to a running keywatch |
//! | [`backtest`] | runs rules over history, measures what they find and cost, compares packs |
//! | [`chain`] | follows chains, reads old blocks, checks nodes |
//! | [`init`] | proposes an inventory and a configuration from a history |
//! | [`indicators`] | what others warn of, as entries of the inventory, and who met it |
//! | [`import`] | turns foreign files into event lines |
//! | [`operator`] | alerts, incidents and everything about a name, over the API of a running keywatch |
//! | [`feeds`] | lists and shows feeds, checks mapping files |
//! | [`pdp`] | asks logged decisions again of their policy |
//! | [`query`] | answers SQL over a log or over event lines |
//! | [`log`] | checks, shows and copies a log, goes on with one that lost records |
//! | [`deliveries`] | tries receivers, shows how they do, tries again what was put aside |
//! | [`doctor`] | looks whether everything that the configuration names is there, and whether every source speaks |
//! | [`simulate`] | generates custody traffic |
//! | [`detectors`] | lists, checks, tests and explains rules, and switches those of a running keywatch |
//!
//! A further subcommand (`verify`, `evidence` …) is a module here and a line of
//! `Command` in `main.rs`.

pub(crate) mod agent;
pub(crate) mod backtest;
pub(crate) mod chain;
pub(crate) mod deliveries;
pub(crate) mod demo;
pub(crate) mod detectors;
pub(crate) mod doctor;
pub(crate) mod feeds;
pub(crate) mod import;
pub(crate) mod indicators;
pub(crate) mod init;
pub(crate) mod log;
pub(crate) mod operator;
pub(crate) mod pdp;
pub(crate) mod query;
pub(crate) mod replay;
pub(crate) mod replayed;
pub(crate) mod run;
pub(crate) mod simulate;
