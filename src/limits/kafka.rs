//! Limits of a log on Kafka, of its spool and of intake topics.

/// Records that `keywatch log` copies or shows at once.
pub(crate) const LOG_PIECE_RECORDS_MAX: usize = 1024;

/// Messages that `keywatch log check` shows of a partition because something is wrong with them, and records there that say what
/// is missing.
pub(crate) const FOREIGN_SHOWN_MAX: usize = 10;

/// Days that brokers have to keep records, where not for ever: a day longer than repeats are known.
pub(crate) const KAFKA_RETENTION_DAYS_MIN: u32 = 8;

/// Seconds after which a log on Kafka is looked at although nothing was appended.
pub(crate) const KAFKA_WATCH_SECONDS: u64 = 1;

/// Seconds that the cluster has to answer how it does.
pub(crate) const KAFKA_ASK_SECONDS_MAX: u64 = 5;

/// Milliseconds that a process with a spool waits for Kafka before it keeps events there.
pub(crate) const KAFKA_SEND_BEFORE_SPOOL_MS: u32 = 5_000;

/// Records that go from the spool to Kafka at once.
pub(crate) const SPOOL_PIECE_RECORDS_MAX: usize = 1024;

/// Milliseconds after which the spool is looked at again.
pub(crate) const SPOOL_WAIT_MILLISECONDS: u64 = 200;

/// Milliseconds after which the reader of intake topics looks whether it is to stop.
pub(crate) const INTAKE_WAIT_MILLISECONDS: u64 = 200;

/// Seconds until messages that the log did not take are tried again.
pub(crate) const INTAKE_RETRY_SECONDS: u64 = 1;

/// Milliseconds that a look at declarations of stolen credentials waits for one.
pub(crate) const REFUSALS_WAIT_MILLISECONDS: u64 = 500;

/// Looks in a row at a start that may see nothing before the declarations were read to their end: a minute.
pub(crate) const REFUSALS_QUIET_LOOKS_MAX: u32 = 120;

/// Seconds until declarations that cannot be read are tried again.
pub(crate) const REFUSALS_RETRY_SECONDS: u64 = 5;

/// Messages after which it is kept how far the declarations are read.
pub(crate) const REFUSALS_KEPT_MESSAGES: u64 = 10_000;

/// Milliseconds over which `keywatch log copy` tries again to write conclusions that Kafka does not take.
pub(crate) const COPY_OUTAGE_MS_MAX: u32 = 120_000;
