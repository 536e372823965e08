//! Limits of the front door: connections, addresses, sources, streams, bodies and credentials.

/// Longest that who fetches a revocation bundle may wait for a newer one, seconds: less than a connection may be silent.
pub(crate) const BUNDLE_WAIT_SECONDS_MAX: u64 = 25;

/// Connections served at once; a further one takes the place of one that idles.
pub(crate) const CONNECTIONS_MAX: usize = 512;

/// Connections of one address among them, unless it is a proxy.
pub(crate) const ADDRESS_CONNECTIONS_MAX: usize = 128;

/// Seconds within which a connection must have sent the head of its first request, and agreed on TLS before.
pub(crate) const FIRST_HEAD_SECONDS_MAX: u64 = 10;

/// Seconds between two looks at the files of certificates.
pub(crate) const TLS_RELOAD_SECONDS: u64 = 10;

/// Seconds within which the head of a further request must be there, from the answer before.
pub(crate) const HEAD_SECONDS_MAX: u64 = 30;

/// Bytes of the head of a request.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// Seconds that a client may take nothing of its answer.
pub(crate) const WRITE_STALL_SECONDS_MAX: u64 = 30;

/// Addresses of which it is known what was heard from them lately.
pub(crate) const ADDRESSES_MAX: usize = 8192;

/// Requests a second of one address, unless it is a proxy.
pub(crate) const ADDRESS_REQUESTS_PER_SECOND: u32 = 5000;

/// Requests that an address may make at once.
pub(crate) const ADDRESS_REQUESTS_BURST: u32 = 10_000;

/// Requests a second of one address without valid credentials that are told so.
pub(crate) const ADDRESS_FAILURES_PER_SECOND: u32 = 2;

/// Requests without valid credentials that an address may make at once.
pub(crate) const ADDRESS_FAILURES_BURST: u32 = 60;

/// Bodies that one address may send at once before anybody knows whose they are.
pub(crate) const ADDRESS_UNPROVEN_MAX: usize = 8;

/// Requests for metrics that are gathered at once; further ones wait.
pub(crate) const GATHERING_CONCURRENT_MAX: usize = 1;

/// Bodies decompressed, parsed and appended at once.
pub(crate) const INGEST_CONCURRENT_MAX: usize = 16;

/// Bodies of one source among them; its further ones wait without standing in the queue of all.
pub(crate) const SOURCE_IN_WORK_MAX: usize = 8;

/// Seconds that a body waits for its turn before its sender is asked to come back.
pub(crate) const INGEST_WAIT_SECONDS_MAX: u64 = 5;

/// Requests of one source open at once.
pub(crate) const SOURCE_REQUESTS_MAX: usize = 64;

/// Requests a second of one source, unless its credential says otherwise.
pub(crate) const SOURCE_REQUESTS_PER_SECOND: u32 = 4000;

/// Seconds of that rate that a source may take at once.
pub(crate) const SOURCE_REQUESTS_BURST_SECONDS: u32 = 2;

/// WebSocket streams of one source open at once: some for each of its machines.
pub(crate) const SOURCE_STREAMS_MAX: usize = 32;

/// Streams of all sources: half of the connections, so that there is always room for requests.
pub(crate) const STREAMS_MAX: usize = 256;

/// Seconds between two pings of a stream.
pub(crate) const STREAM_PING_SECONDS: u64 = 10;

/// Seconds after which a stream is closed on which nothing was heard, not even an answer to a ping.
pub(crate) const STREAM_IDLE_SECONDS_MAX: u64 = 30;

/// Seconds after which a stream is closed whatever it does, so that who it belongs to is asked again.
pub(crate) const STREAM_SECONDS_MAX: u64 = 86_400;

/// Bytes of the first line of a message.
pub(crate) const STREAM_HEAD_BYTES_MAX: usize = 8 << 10;

/// Bytes that are read from a stream at once.
pub(crate) const STREAM_READ_BYTES: usize = 16 << 10;

/// Seconds that the other side gets to read why a stream is closed.
pub(crate) const STREAM_CLOSE_SECONDS_MAX: u64 = 5;

/// Milliseconds that a message waits before it asks for its turn again.
pub(crate) const STREAM_RETRY_MILLISECONDS: u64 = 100;

/// Bytes of the bodies that one source is sending: four of the largest.
pub(crate) const SOURCE_BODIES_BYTES_MAX: usize = 128 << 20;

/// Bytes of the bodies that all sources are sending.
pub(crate) const BODIES_BYTES_MAX: usize = 512 << 20;

/// Seconds that a body gets beside those that its bytes need at the minimum rate.
pub(crate) const BODY_GRACE_SECONDS: u64 = 10;

/// Bytes a second that a body must bring after that: 128 kbit/s.
pub(crate) const BODY_BYTES_PER_SECOND_MIN: u64 = 16 << 10;

/// Seconds within which a body must have arrived, however large it is.
pub(crate) const BODY_SECONDS_MAX: u64 = 300;

/// Rejects that an answer lists; the rest are counted.
pub(crate) const REJECTS_SHOWN_MAX: usize = 20;

/// Requests a second that a credential may be given.
pub(crate) const SOURCE_REQUESTS_PER_SECOND_MAX: u32 = 100_000;

/// Tokens or secrets of one credential: the new one and the old one.
pub(crate) const CREDENTIAL_SECRETS_MAX: usize = 2;

/// Bytes of a body that is received before anybody knows whose it is.
pub(crate) const UNPROVEN_BODY_BYTES_MAX: usize = 1 << 20;

/// Signed messages of one source that are remembered, to know a replay.
pub(crate) const REPLAYS_MAX: usize = 1 << 18;

/// Seconds that an event may be old whose signature holds no time: six days. The log knows ids for seven.
pub(crate) const SIGNED_WITHOUT_TIME_SECONDS_MAX: i64 = 6 * 86_400;

/// Seconds that such an event may lie in the future; together the two must not exceed what the log knows.
pub(crate) const SIGNED_WITHOUT_TIME_FUTURE_SECONDS_MAX: i64 = 86_400;

/// Bytes of a bearer token that are looked at.
pub(crate) const TOKEN_BYTES_MAX: usize = 1024;
