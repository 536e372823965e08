//! Every hard limit of this room, with its unit in the name (promise P7).

/// Digits of the largest amount accepted: 2^256 − 1 has 78.
pub const AMOUNT_DIGITS_MAX: usize = 78;

/// Digits of a price before its point, and behind it.
pub const PRICE_DIGITS_MAX: usize = 18;

/// Assets of a system whose price a source quotes.
pub const QUOTED_ASSETS_MAX: usize = 500;

/// Nanoseconds of log time for which a quote holds: one day.
pub const QUOTE_VALID_NS: i64 = 86_400 * 1_000_000_000;

/// Nanoseconds of log time of which one quote of an asset is kept, the first: a quarter of an hour.
pub const QUOTE_SLOT_NS: i64 = 900 * 1_000_000_000;

/// Bytes of one event line, detail included.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Bytes of what is declared of a system, as JSON, above which its record holds it compressed.
pub const DECLARED_PLAIN_BYTES_MAX: usize = 256 << 10;

/// Bytes of what is declared of a system, as JSON: a record that unpacks to more declares nothing.
pub const DECLARED_BYTES_MAX: usize = 16 << 20;

/// Bytes that the line of such a record may grow by when a log gives it its time.
pub const ACTIVATION_ROOM_BYTES: usize = 512;

/// Characters of one text column (session, wallet, tx …).
pub const TEXT_BYTES_MAX: usize = 4096;

/// Events of one append, and so of one batch of the log.
pub const APPEND_EVENTS_MAX: usize = 65_536;

/// Bytes of raw input that a `source.reject` keeps.
pub const REJECT_RAW_BYTES_MAX: usize = 4096;

/// Log time, in nanoseconds, over which a repeated event id is recognised: seven days.
pub const REPEAT_HORIZON_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// Ids in memory at which those beyond the horizon are let go for the first time.
pub const SEEN_SWEEP_IDS_MIN: usize = 65_536;

/// Ids of a topic that the embedded log holds in memory before they go to its index on disk; twice as many while they are
/// on their way. With those of a large commit beyond it they fit a table of 131,072 places (at most seven eighths of which
/// are filled), which takes 6.4 MB; 131,072 ids would double it.
pub const RECENT_IDS_MAX: usize = 98_304;

/// Bytes of the index of ids, its filters among them, that are kept at hand.
pub const IDS_CACHE_BYTES_MAX: u64 = 32 << 20;

/// Bytes of lines of the embedded log that are held in memory before they go to a table; as many of those before stay in
/// memory until the next table is begun, and more while tables wait to be written. Each table has a file of its own for as
/// long as the log keeps its lines, so that fewer bytes would make more files.
pub const LINES_IN_MEMORY_BYTES_MAX: u64 = 32 << 20;

/// Bytes of heads of batches that are held so.
pub const HEADS_IN_MEMORY_BYTES_MAX: u64 = 8 << 20;

/// Bytes of small values that are held so: each commit writes the same few anew, and what it replaces stays until they go to
/// a table.
pub const STATE_IN_MEMORY_BYTES_MAX: u64 = 4 << 20;

/// Days that the log keeps by default.
pub const RETENTION_DAYS: i64 = 400;

/// Largest difference, in nanoseconds, between the wall clock and a monotonic second clock before the writer stops.
pub const CLOCK_JUMP_NS_MAX: i64 = 2 * 1_000_000_000;

/// Appends that may wait for the embedded log's writer; a further caller blocks.
pub const QUEUE_APPENDS_MAX: usize = 256;

/// Bytes of lines that one commit of the embedded log gathers before it takes no further append.
pub const COMMIT_BYTES_MAX: usize = 32 << 20;

/// Bytes of lines after which a batch is closed and the next one begins.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Records that one segment stands for, unless one batch has more.
pub const SEGMENT_RECORDS_MAX: usize = 8192;

/// Bytes of one segment as it is kept.
pub const SEGMENT_BYTES_MAX: usize = 16 << 20;

/// Bytes of the filters of a topic's segments that are held in memory; the oldest beyond that are let go.
pub const SEGMENT_FILTERS_BYTES_MAX: usize = 1 << 30;

/// Segments that are made at once, each on a thread.
pub const SEGMENTS_AT_ONCE: usize = 2;

/// Segments that are made between two looks at how much memory the filters take.
pub const SEGMENTS_BETWEEN_LOOKS: usize = 64;

/// Records of one batch of the embedded log.
pub const BATCH_RECORDS_MAX: usize = 8192;

/// Different systems in one batch of the embedded log.
pub const BATCH_SYSTEMS_MAX: usize = 1024;

/// Partly read batches of a topic that the embedded log keeps at hand for their readers.
pub const OPEN_BATCHES_MAX: usize = 4;

/// Batches that one commit of retention deletes.
pub const RETIRE_BATCHES_MAX: usize = 1024;

/// Milliseconds that opening a log waits for its lock: somebody else's is not given back so soon.
pub const LOCK_WAIT_MS_MAX: u32 = 250;

/// Milliseconds that opening a log waits for the storage of one that this process has just closed.
pub const CLOSING_WAIT_MS_MAX: u32 = 10_000;

/// Bytes of one journal of the storage crate: it begins another at 64 MB, after the commit that reaches it.
pub const JOURNAL_FILE_BYTES_MAX: u64 = 512 << 20;

/// Bytes that are read at once of a file whose checksum is taken.
pub const FILE_PIECE_BYTES: usize = 1 << 20;

/// Bytes of tables that are read to name the damaged one in an error.
pub const TABLE_SEARCH_BYTES_MAX: u64 = 1 << 30;

/// Losses and damaged files that an error lists; the rest are counted.
pub const DAMAGE_SHOWN_MAX: usize = 5;

/// Records that say what a log lacks, of which a check shows no more.
pub const GAPS_SHOWN_MAX: usize = 20;

/// Log time, in nanoseconds, by which a record may exceed its source's delay without being late: records of one instant
/// are moved apart by 1 ns each.
pub const LATENESS_TOLERANCE_NS: i64 = 1_000_000;

/// Bytes of one message of a Kafka log: a line with its key and headers.
pub const KAFKA_MESSAGE_BYTES_MAX: usize = 2 << 20;

/// Records that are packed into one message of a Kafka log.
pub const KAFKA_PACKED_RECORDS_MAX: usize = 4096;

/// Records that are worth packing: the columns' names take as much room as some lines.
pub const KAFKA_PACKED_RECORDS_MIN: usize = 8;

/// Bytes of records that are packed into one message of a Kafka log.
pub const KAFKA_PACKED_BYTES_MAX: usize = 1 << 20;

/// Kilobytes of messages that wait to be sent to Kafka, and that are fetched before they are asked for.
pub const KAFKA_QUEUE_KBYTES_MAX: usize = 64 << 10;

/// Milliseconds after which a record that Kafka did not take is given up, and its append fails. With the time for reading
/// back it stays below what senders commonly wait for an answer.
pub const KAFKA_SEND_MS_MAX: u32 = 15_000;

/// Milliseconds that an append to Kafka waits to be read back.
pub const KAFKA_READ_BACK_MS_MAX: u32 = 10_000;

/// Records that are taken over from Kafka into the copy at once.
pub const KAFKA_STEP_RECORDS_MAX: usize = 8192;

/// Bytes of messages that are taken over from Kafka into the copy at once.
pub const KAFKA_STEP_BYTES_MAX: usize = 8 << 20;

/// Figures of how long records took from Kafka into the copy that are kept until somebody asks for them.
pub const KAFKA_FOLDS_MAX: usize = 1 << 16;

/// Milliseconds after which brokers give up a transaction that a process has left open.
pub const KAFKA_TRANSACTION_MS_MAX: u32 = 60_000;

/// Milliseconds after which the partitions of a process that is not heard from go to others.
pub const KAFKA_LEASE_MS_MAX: u32 = 10_000;

/// Milliseconds between two signs of life of a process that has partitions.
pub const KAFKA_LEASE_BEAT_MS: u32 = 1_000;

/// Milliseconds over which conclusions are tried again while the cluster does not take them, before their append fails. As with
/// other records, whoever waits for an answer hears of it in time.
pub const KAFKA_OUTAGE_MS_MAX: u32 = 15_000;

/// Seconds after which it is said again which process has a partition: brokers forget it after seven days.
pub const KAFKA_MARK_SECONDS: u64 = 86_400;

/// Seconds after which it is tried again to say that, where it could not be said.
pub const KAFKA_MARK_AGAIN_SECONDS: u64 = 3_600;

/// Milliseconds over which that is tried to be read and said when a process starts, while brokers cannot tell.
pub const KAFKA_MARK_PATIENCE_MS_MAX: u32 = 60_000;
