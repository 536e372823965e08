//! What `keywatch run` is made of: the service that takes events in, evaluates the rules over the log, and acts.
//!
//! | module | what it does |
//! |---|---|
//! | [`serve`] | puts the parts together and ends them in order |
//! | [`config`] | the configuration: a commented default, the file, the environment and the command line |
//! | [`http`] | the front door: connections, credentials, routes |
//! | [`intake`] | a body of a source → durable events, and a receipt |
//! | [`chains`] | followers of chains: nodes, the loop that reads blocks into the log |
//! | [`evaluation`] | the loop over the log: rules, findings, alerting, ticks, snapshots of window state |
//! | [`integrations`], [`receivers`] | receivers and policy decision points, as the configuration names them |
//! | [`rotating_token`] | a decision point whose token changes while keywatch runs |
//! | [`bundles`] | the boards from which decision points fetch signed revocation bundles |
//! | [`operators`] | named people, their tokens, roles and systems |
//! | [`sql`] | SQL over what was recorded |
//! | [`readiness`], [`metrics`] | which parts are ready; what is counted |
//!
//! What comes goes here: the roles `ingest`, `detect` and `respond` are three ways for [`serve`] to put these parts
//! together; the web page is a module of [`http`] beside its server and the API. Nothing here reads arguments or
//! knows a subcommand; the commands know the service, and never the other way round.

pub(crate) mod bundles;
pub(crate) mod chains;
pub(crate) mod config;
pub(crate) mod evaluation;
pub(crate) mod http;
pub(crate) mod intake;
pub(crate) mod integrations;
pub(crate) mod metrics;
pub(crate) mod operators;
pub(crate) mod readiness;
pub(crate) mod receivers;
pub(crate) mod rotating_token;
pub(crate) mod serve;
pub(crate) mod sql;
