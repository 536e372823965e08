//! What stands of findings and alerts: the state, which is a fold over the log, and the records that it is folded from.
//!
//! Pure but for [`alert_log`], which reads and writes the log. It does not know how people are reached or what a policy
//! decision point is.
//!
//! | module | what it holds |
//! |---|---|
//! | [`action`] | what is to be done about a finding, with all that its execution needs |
//! | [`state`], [`alert`], [`incident`] | the fold: all of it, one alert, and alerts that belong together |
//! | [`paging`], [`member`] | when an incident pages, and what people were told; what of a finding joins one |
//! | [`handling`], [`silence`], [`operation`] | what operators do: the fold, and as records |
//! | [`grounds`], `on_chain`, `newest`, `retraction` | what alerts stand on of what chains said, which of it was taken back, and what follows |
//! | [`matcher`] | which findings a silence means |
//! | [`allowance`] | entries of the allow-list: silences made from a verdict |
//! | [`compromise`], `doors` | sources whose credential somebody else had, and what is therefore tainted; which processes take which credentials |
//! | [`record`] | actions and outcomes as records of the log |
//! | [`protection`] | what the configuration lets rules do, and what a start has lowered |
//! | [`declarations`] | what the inventory has declared no more, and destinations that it approves besides |
//! | [`switch`] | rules that people put into shadow or switched off while keywatch runs |
//! | [`planned`] | findings that were decided on, so that none is twice |
//! | [`alert_log`], `turns`, `doubts` | the log, with the state that follows it; whose turn it is to append; what an append that failed may have written |
//! | [`saved`], `pairs` | the state as it is kept between two starts, and how far it has folded the log; maps as JSON holds them |
//! | [`history`] | the same folds over a whole log, with nothing forgotten: for questions |
//! | [`self_monitoring`], [`second_path`], `compromise_findings`, `switch_findings` | findings about keywatch itself, about ways besides the decision point, about stolen credentials, about rules that are switched |

pub mod action;
pub mod alert;
pub mod alert_log;
pub mod allowance;
pub mod compromise;
pub(crate) mod compromise_findings;
pub mod declarations;
pub(crate) mod doors;
mod doubts;
pub mod grounds;
pub mod handling;
pub mod history;
pub mod incident;
pub mod matcher;
pub mod member;
pub(crate) mod newest;
pub(crate) mod on_chain;
pub mod operation;
pub mod paging;
pub(crate) mod pairs;
pub mod planned;
pub mod protection;
pub mod record;
pub(crate) mod retraction;
pub mod saved;
pub mod second_path;
pub mod self_monitoring;
pub mod silence;
pub mod state;
pub mod switch;
pub(crate) mod switch_findings;
mod turns;
