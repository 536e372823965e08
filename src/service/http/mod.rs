//! The front door over HTTP: who may speak, how much they may send, and what they are answered.
//!
//! | module | what it does |
//! |---|---|
//! | [`listener`] | connections within bounds, under the HTTP server |
//! | [`credentials`] | bearer token → source |
//! | [`server`] | what all requests share; the routes, and those of metrics and readiness |
//! | [`bundles`] | the routes from which decision points fetch revocation bundles |
//! | `ingest` | the route that takes events in, and what each refusal says |
//!
//! The HTTP API and the web page will be modules beside [`server`], which merges their routes into its own. Nothing here
//! knows a format or a rule.

pub(crate) mod bundles;
pub(crate) mod credentials;
mod ingest;
pub(crate) mod listener;
pub(crate) mod server;
