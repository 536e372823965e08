//! Limits of questions in SQL, over a log that is not running and over the endpoint.

/// Bytes of one SQL statement.
pub(crate) const SQL_TEXT_BYTES_MAX: usize = 64 << 10;

/// Operators, tables and links of UNIONs of a statement that are within each other, those of the queries that it reads from added.
pub(crate) const SQL_LEVELS_MAX: usize = 128;

/// Bytes of the stacks on which statements are parsed, planned and answered, of which only what is used is taken from memory.
/// [`SQL_LEVELS_MAX`] levels have room on one, with 256 KiB each; 41 KiB were seen to be enough.
pub(crate) const SQL_STACK_BYTES: usize = 32 << 20;

/// Brackets of a statement that are within each other: where the parser gives up on `ARRAY[`, `CAST(` or `INTERVAL (`, it reads what
/// is in them a second time, so that each doubles the time, and nothing ends it.
pub(crate) const SQL_BRACKETS_MAX: usize = 20;

/// Times that the word EXPLAIN stands in a statement: the parser goes down into each.
pub(crate) const SQL_EXPLAINS_MAX: usize = 8;

/// Expressions that the parser begins to read in one statement, those that it begins again counted again: no text of
/// [`SQL_TEXT_BYTES_MAX`] has more that it reads once.
pub(crate) const SQL_TRIES_MAX: usize = SQL_TEXT_BYTES_MAX;

/// Times that INTERVAL, `ARRAY<` and `][` each stand in a statement: the parser goes down into each and does not count them.
pub(crate) const SQL_UNCOUNTED_MAX: usize = 64;

/// Tables and queries that a statement reads, those named by WITH wherever they are read: each is planned by itself.
pub(crate) const SQL_READS_MAX: u64 = 256;

/// Columns and operators of one expression, where a column stands for what a query within makes it of: the optimizer puts that in
/// its place.
pub(crate) const SQL_PARTS_MAX: u64 = 16 << 10;

/// Threads that read for one query.
pub(crate) const SQL_PARTITIONS_MAX: usize = 4;

/// Stretches of the log below which a further thread is not worth its start.
pub(crate) const SQL_PART_STRETCHES_MIN: usize = 2;

/// Batches of rows that wait between the reading of a query and what is done with them.
pub(crate) const SQL_WAITING_BATCHES_MAX: usize = 2;

/// Event lines of a file that are handed on at once.
pub(crate) const SQL_FILE_EVENTS: usize = 8192;

/// Findings that are made into one batch of rows, at least.
pub(crate) const SQL_MADE_ROWS: usize = 1024;

/// Bytes of a text that a query may put together of shorter ones, stored values counted as a thousand bytes each.
pub(crate) const SQL_GROWN_BYTES_MAX: u64 = 64 << 10;

/// Rows that `keywatch query` shows as a table, unless it is told otherwise.
pub(crate) const QUERY_ROWS_SHOWN_MAX: usize = 1000;

/// Rows of one group of a Parquet file, which is put together in memory.
pub(crate) const QUERY_ROW_GROUP_ROWS_MAX: usize = 1 << 17;

/// Bytes of what a client opens with, as PostgreSQL takes them.
pub(crate) const SQL_OPENING_BYTES_MAX: u64 = 10_000;

/// Seconds until a client has said how it opens, and has agreed on TLS.
pub(crate) const SQL_OPENING_SECONDS_MAX: u64 = 10;

/// Milliseconds between two moves of the bar of `keywatch query`.
pub(crate) const QUERY_PROGRESS_MILLISECONDS: u64 = 500;

/// Clients of SQL that are connected at once; further ones wait in the kernel's queue.
pub(crate) const SQL_CONNECTIONS_MAX: usize = 64;

/// Threads that serve the connections of SQL; each query has its own beside them.
pub(crate) const SQL_THREADS: usize = 2;

/// How much the threads of queries let others go first, as `nice` counts.
pub(crate) const SQL_NICE: i32 = 10;

/// Milliseconds that a client waits for the answer that it is not let in.
pub(crate) const SQL_REFUSAL_MILLISECONDS: u64 = 500;

/// Questions of one operator in a second, on average: each is a record of the log.
pub(crate) const SQL_PER_SECOND_MAX: u32 = 10;

/// Questions of one operator at once, after a pause.
pub(crate) const SQL_BURST_MAX: u32 = 200;

/// Kilobytes of the statements that one client has prepared and not closed, each counted up to the next whole one.
pub(crate) const SQL_PREPARED_KILOBYTES_MAX: usize = 1024;

/// Statements that one client has by name and has not closed.
pub(crate) const SQL_STATEMENTS_MAX: usize = 1024;

/// Portals that one client has by name and has not closed; outside of a transaction none outlives its question.
pub(crate) const SQL_PORTALS_MAX: usize = 64;

/// Bytes of the parameters that are bound in the portals of one client.
pub(crate) const SQL_PORTAL_BYTES_MAX: usize = 1 << 20;

/// Bytes of the name of a statement or a portal.
pub(crate) const SQL_NAME_BYTES_MAX: usize = 256;

/// Seconds that a query waits for its turn.
pub(crate) const SQL_WAIT_SECONDS_MAX: u64 = 5;

/// Seconds beyond its time after which a client that takes no rows is let go.
pub(crate) const SQL_GRACE_SECONDS: u64 = 5;

/// Seconds between two looks at whether the log has grown by a segment.
pub(crate) const SQL_INDEX_SECONDS: u64 = 10;

/// Bytes of a user's password, at least.
pub(crate) const SQL_PASSWORD_BYTES_MIN: usize = 16;
