//! The evaluation of rules over the log, as it goes on: every record through every rule, findings to alerting, ticks.
//!
//! | module | what it does |
//! |---|---|
//! | [`evaluator`] | the threads that follow the log, write ticks and refresh the decision points |
//! | [`pipeline`] | one step: records → engine → findings → alerting; the demo uses it too |
//! | [`catch_up`] | going over what earlier runs of the process have seen |
//! | [`coverage`] | what the rules can see of each system |
//! | [`isolation`] | parked rules on their way back |
//! | [`found_elsewhere`] | findings of another process, where this one only responds |
//! | [`outage`] | waiting while the log cannot be written |
//! | [`passed_by`] | what a log on Kafka lacks, since a later version wrote it |
//! | [`heartbeat`] | decision points and pagers hear of keywatch over and over |
//! | [`lag`] | whether the rules have fallen behind the log |
//! | [`ticks`] | when log time goes on by itself |
//! | [`rule_records`], [`system_records`] | what is written into the log about rules and about systems |
//! | [`snapshots`], [`alerting_snapshots`] | window state and alerting's state on disk, as [`snapshot_files`] |
//! | [`state_store`] | the same in a bucket, for the process that takes the partition over |
//! | [`history`] | what a start has to know of the log beside those |
//! | [`progress`] | how far a start is |
//! | [`pipeline_metrics`] | what Prometheus is told about all that: how long each stage takes ([`stages`]), and which words may be [`labels`] |

pub(crate) mod alerting_snapshots;
mod catch_up;
mod coverage;
pub(crate) mod evaluator;
mod found_elsewhere;
mod heartbeat;
mod history;
mod isolation;
mod labels;
mod lag;
mod outage;
mod passed_by;
pub(crate) mod pipeline;
mod pipeline_metrics;
mod progress;
mod rule_records;
mod snapshot_files;
pub(crate) mod snapshots;
mod stages;
mod state_store;
pub(crate) mod system_records;
mod ticks;
