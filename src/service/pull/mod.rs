//! Sources that keywatch asks itself, page by page: what speaks to their services, and the loop that puts what they answer
//! into the log.
//!
//! | module | what it does |
//! |---|---|
//! | [`cursor`] | how far a source was read, as a record of the log beside the events of its page |
//! | [`service`] | one service over HTTPS: requests with a token, and what can go wrong |
//! | [`okta`], [`caep`], [`safe`], [`safe_modules`], [`opa`] | what is asked of each, and where its list goes on |
//! | [`opa_state`], [`opa_seen`], [`canary`] | what an Open Policy Agent holds, and what it answers |
//! | [`bucket`], [`objects`] | a bucket or a directory that is a copy of one, and what lies there |
//! | [`trail`], [`trail_keys`] | the trail among it, and what proves it |
//! | [`aside`], [`unlisted`], [`stale`] | objects of a trail that cannot be read; log files of it that no digest lists; digests that have stopped |
//! | [`sink`] | log files that a sink writes into a bucket |
//! | [`s3`], [`azure_blob`] | a bucket of S3 as a place of logs; a container of Azure |
//! | [`puller`] | the loop: the next page, the append, the wait |
//! | [`start`] | pullers as the configuration names them |
//!
//! What a record means is decided by its feed, the same that reads it where it is pushed.

mod aside;
mod azure_blob;
pub(crate) mod bucket;
mod caep;
mod canary;
pub(crate) mod cursor;
pub(crate) mod objects;
mod okta;
mod opa;
mod opa_seen;
mod opa_state;
mod puller;
mod s3;
mod safe;
mod safe_modules;
mod service;
mod sink;
mod stale;
pub(crate) mod start;
mod trail;
pub(crate) mod trail_keys;
mod unlisted;
