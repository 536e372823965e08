//! How bytes arrive: what a transfer did to them is undone, and a body is cut into records, all under size limits.
//!
//! | module | what it does |
//! |---|---|
//! | [`body`] | `Content-Encoding` under a size cap |
//! | [`cloudevents`] | envelopes of CloudEvents opened |
//! | [`rest`] | the next page of a list, and how long a service wants to be left alone |
//! | `records` | a body → the bytes of its records |
//!
//! Further ways of arriving (object storage, queues, WebSocket, syslog) will be modules here. This part knows no feed, no
//! chain and no event; who listens on a socket stands in the service of the binary.

pub mod body;
pub mod cloudevents;
pub(crate) mod records;
pub mod rest;
