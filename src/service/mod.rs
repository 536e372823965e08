//! What `keywatch run` is made of: the service that takes events in, evaluates the rules over the log, and acts.
//!
//! | module | what it does |
//! |---|---|
//! | [`serve`], [`role`] | puts the parts together and ends them in order; what of them a process has |
//! | [`shares`] | partitions that processes share: a group gives them, and each has a process of its own |
//! | [`config`] | the configuration: a commented default, the file, the environment and the command line |
//! | [`declared`], [`inventory_file`] | the inventory as it is now, and the file that it is read from |
//! | [`log`], [`spool`], [`cluster`] | which log: the embedded one, or Apache Kafka; what is kept while Kafka takes nothing; how Kafka does |
//! | [`state_place`] | where what is remembered is kept for the next process: a directory or a bucket |
//! | [`kafka_tokens`] | tokens that the brokers of Kafka want |
//! | [`http`] | the front door: connections, credentials, routes |
//! | [`intake`], [`source`] | a body of a source → durable events, and a receipt; a source that may send |
//! | [`chains`] | followers of chains: nodes, the loop that reads blocks into the log |
//! | [`refusals`] | credentials that were declared stolen, where the log is not read |
//! | [`intake_topics`] | topics of Kafka that others write, read as any body |
//! | [`evaluation`] | the loop over the log: rules, findings, alerting, ticks, snapshots of window state |
//! | [`integrations`], [`receivers`] | receivers and policy decision points, as the configuration names them |
//! | [`text_file`] | files that the configuration names |
//! | [`ways`] | ways of a response besides the decision point, as the configuration names them |
//! | [`client_credentials`] | tokens that a provider gives keywatch for itself |
//! | [`rotating_token`] | a decision point whose token changes while keywatch runs |
//! | [`bundles`] | the boards from which decision points fetch signed revocation bundles |
//! | [`operators`], [`oidc`], [`authentication`] | named people, their tokens, roles and systems; those whom an identity provider names; whom a token names |
//! | [`sql`] | SQL over what was recorded |
//! | [`pull`], [`s3`] | sources that keywatch asks itself; requests to buckets |
//! | [`turns`] | what the loops of [`chains`] and [`pull`] have in common |
//! | [`source_activity`] | what each source last said |
//! | [`readiness`], [`metrics`] | which parts are ready; what is counted |
//!
//! What comes goes here: the HTTP API and the web page are modules of [`http`] beside its server. Nothing here reads
//! arguments or knows a subcommand; the commands know the service, and never the other way round.

pub(crate) mod authentication;
pub(crate) mod bundles;
pub(crate) mod chains;
pub(crate) mod client_credentials;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod declared;
pub(crate) mod evaluation;
pub(crate) mod http;
pub(crate) mod intake;
pub(crate) mod intake_topics;
pub(crate) mod integrations;
pub(crate) mod inventory_file;
pub(crate) mod kafka_tokens;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod oidc;
pub(crate) mod operators;
pub(crate) mod pull;
pub(crate) mod readiness;
pub(crate) mod receivers;
pub(crate) mod refusals;
pub(crate) mod role;
pub(crate) mod rotating_token;
pub(crate) mod s3;
pub(crate) mod serve;
pub(crate) mod shares;
pub(crate) mod source;
pub(crate) mod source_activity;
pub(crate) mod spool;
pub(crate) mod sql;
pub(crate) mod state_place;
pub(crate) mod text_file;
pub(crate) mod turns;
pub(crate) mod ways;
