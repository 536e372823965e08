//! Every hard limit of the binary, with its unit in the name (promise P7). What one body may hold is a limit of ingest.

/// Connections served at once; further ones wait in the kernel's queue.
pub(crate) const CONNECTIONS_MAX: usize = 512;

/// Seconds a connection may stay without sending a byte.
pub(crate) const CONNECTION_SILENCE_SECONDS_MAX: u64 = 30;

/// Bodies read, parsed and appended at once.
pub(crate) const INGEST_CONCURRENT_MAX: usize = 16;

/// Seconds a request waits for its turn before it is told to come back.
pub(crate) const INGEST_WAIT_SECONDS_MAX: u64 = 5;

/// Seconds within which a body must have arrived.
pub(crate) const BODY_SECONDS_MAX: u64 = 60;

/// Seconds that open requests get to finish after a signal to stop.
pub(crate) const SHUTDOWN_SECONDS_MAX: u64 = 20;

/// Rejects that an answer lists; the rest are counted.
pub(crate) const REJECTS_SHOWN_MAX: usize = 20;

/// Bytes of a bearer token that are looked at.
pub(crate) const TOKEN_BYTES_MAX: usize = 1024;

/// Bytes of a configuration or inventory file.
pub(crate) const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// Bytes of one piece of a file that is imported line by line.
pub(crate) const IMPORT_PIECE_BYTES_MAX: usize = 4 << 20;

/// Lines of one piece of a file that is imported line by line.
pub(crate) const IMPORT_PIECE_LINES_MAX: usize = 10_000;

/// Rejects that an import lists; the rest are counted.
pub(crate) const IMPORT_REJECTS_SHOWN_MAX: usize = 1000;

/// Seconds after which latencies leave the quantiles: they cover between one and two of these.
pub(crate) const LATENCY_WINDOW_SECONDS: u64 = 300;

/// Records that the pipeline takes through the rules at once.
pub(crate) const PIPELINE_RECORDS_MAX: usize = 4096;

/// Seconds between two stamps of the revocation documents; a policy denies everything once its stamp is two minutes old.
pub(crate) const REFRESH_SECONDS: u64 = 30;

/// Seconds between two ticks of a system.
pub(crate) const TICK_SECONDS: u64 = 1;
