//! Buckets of S3, and of services that speak as it does: requests, signed with the keys of a file that is read anew for each. What
//! the objects are it does not know.
//!
//! | module | what it does |
//! |---|---|
//! | [`bucket`] | a request to a bucket, and what can become of it |
//! | [`sigv4`] | how requests are signed |
//! | [`xml`] | lists, as the service writes them |

pub(crate) mod bucket;
pub(crate) mod sigv4;
pub(crate) mod xml;
