//! The front door over HTTP: who may speak, how much they may send, and what they are answered.
//!
//! | module | what it does |
//! |---|---|
//! | [`listener`], [`places`] | connections: served, cut, and who gives his place up when none is free |
//! | [`tls`] | certificates, and their change |
//! | [`credentials`] | token, signature or client certificate → source |
//! | [`server`], [`routes`] | what all requests share; the routes, and those of metrics and readiness |
//! | [`bundles`] | the routes from which decision points fetch revocation bundles |
//! | `stream` | the same over a WebSocket: messages, each acknowledged once it is durable |
//! | `ingest`, `refusal` | the route that takes events in, and what each refusal says |
//! | `form`, `body` | what the headers say of a body; a body as it comes, no slower than a minimum rate |
//! | [`turns`], [`address`], `bucket` | how much one source and one address may take, so that nobody takes another's turn |
//! | [`handed`] | for whom a process that shares partitions asks those of its partitions |
//! | [`api`] | the API for operators: incidents, alerts, silences |
//! | [`page`] | the web page, which asks the API and nothing else |
//!
//! Nothing here knows a format or a rule.

pub(crate) mod address;
pub(crate) mod api;
mod body;
pub(crate) mod bucket;
pub(crate) mod bundles;
pub(crate) mod credentials;
mod form;
pub(crate) mod handed;
mod ingest;
pub(crate) mod listener;
pub(crate) mod page;
pub(crate) mod places;
mod refusal;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod turns;
