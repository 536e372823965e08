//! The front door over HTTP: who may speak, how much they may send, and what they are answered.
//!
//! | module | what it does |
//! |---|---|
//! | [`listener`] | connections within bounds, under the HTTP server |
//! | [`credentials`] | bearer token → source |
//! | [`server`] | what all requests share; the routes, and those of metrics and readiness |
//! | [`bundles`] | the routes from which decision points fetch revocation bundles |
//! | `ingest` | the route that takes events in, and what each refusal says |
//! | [`api`] | the API for operators: incidents, alerts, silences |
//!
//! The web page will be a module beside [`server`] whose routes are merged into its own. Nothing here knows a format or a
//! rule.

pub(crate) mod api;
pub(crate) mod bundles;
pub(crate) mod credentials;
mod ingest;
pub(crate) mod listener;
pub(crate) mod server;
