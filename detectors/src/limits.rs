//! Every hard limit of this room, with its unit in the name (promise P7).

/// Bytes of one rule file.
pub const RULE_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Rules in one pack.
pub const RULES_MAX: usize = 2_000;

/// Rows of one run of a plan; longer batches are cut: their columns and the windows would drive each other from the cache.
pub const RUN_ROWS_MAX: usize = 8_192;

/// Milliseconds of processor time that a rule may take for a batch, unless the configuration says otherwise.
pub const BATCH_MILLISECONDS_MAX: u64 = 2_000;

/// Rows that a `ROWS n PRECEDING` frame or a `lag` may look back.
pub const FRAME_ROWS_MAX: u64 = 100_000;

/// Rows of a frame that `array_agg` or `string_agg` may show.
pub const FRAME_ROWS_SHOWN_MAX: usize = 1_000;

/// Nanoseconds of the shortest half-life of a baseline: one second.
pub const HALF_LIFE_NS_MIN: i64 = 1_000_000_000;

/// Nanoseconds of the longest half-life of a baseline: 400 days.
pub const HALF_LIFE_NS_MAX: i64 = 400 * 86_400 * 1_000_000_000;

/// Nanoseconds that a `RANGE` frame may look ahead: one day. Every row ahead of which something is awaited is held.
pub const FOLLOWING_NS_MAX: i64 = 86_400 * 1_000_000_000;

/// Nanoseconds that a `RANGE` frame may look back: 400 days, as long as the log keeps.
pub const PRECEDING_NS_MAX: i64 = 400 * 86_400 * 1_000_000_000;

/// Versions of a system's inventory that rows on hold can still see.
pub const INVENTORY_VERSIONS_MAX: usize = 64;

/// The newest of them, whose tables and indexes are kept; of older ones they are made when a row asks.
pub const INDEXED_VERSIONS_MAX: usize = 4;

/// Contracts of tokens of a system of which it is kept what they call themselves.
pub const TOKENS_SAID_MAX: usize = 10_000;

/// Letters of such a name.
pub const TOKEN_SYMBOL_LETTERS_MAX: usize = 12;

/// Decimals that such a contract may claim; with more a title would be zeros.
pub const TOKEN_DECIMALS_MAX: u8 = 36;

/// Windows of one operator that share a ring; more with the same key open another one.
pub const RING_CALLS_MAX: usize = 16;

/// Counts that are only compared with numbers below this keep the last times of a key instead of every row.
pub const COUNTED_MAX: u32 = 16;

/// Rows from the start of the frame that `nth_value` may ask for.
pub const NTH_MAX: usize = 1_000;

/// Nanoseconds of log time in which the hand that frees keys goes round twice at most.
pub(crate) const STAYS_NS_MIN: i64 = 1_000_000_000;

/// Slots of a ring below which vacant ones are not worth giving back.
pub(crate) const VACANT_SLOTS_MIN: usize = 65_536;

/// Slots are given back when fewer than one in this many has a key.
pub(crate) const VACANT_SHARE: usize = 8;

/// Keys that are looked at in each run, besides those that log time asks for, to see whether they are still needed.
pub(crate) const SWEEP_STEPS: usize = 16;

/// Sets of columns whose keys one run remembers, so that several rules share them.
pub(crate) const SHARED_KEYS_MAX: usize = 512;

/// Rows taken from a batch are told apart with the whole batch when they are at least one in this many of it.
pub(crate) const TAKEN_SHARE: usize = 2;

/// Rows of a batch below which handing rules to other threads costs more than it gives.
pub(crate) const THREADED_ROWS_MIN: usize = 512;

/// Wallets of a system whose sources are remembered for coverage; more are shown as unseen.
pub(crate) const COVERED_WALLETS_MAX: usize = 100_000;

/// Threads on which rules are planned.
pub(crate) const PLANNING_THREADS: usize = 4;

/// Operators, tables and links of UNIONs of a rule's SQL that are within each other, those of the queries that it reads from
/// added; the rules that come with keywatch have seventy at most.
pub(crate) const STATEMENT_LEVELS_MAX: usize = 256;

/// Bytes of the stack of each of these threads, of which only what is used is taken from memory. [`STATEMENT_LEVELS_MAX`] levels
/// have room on it, with 768 KiB each: an unoptimised build was seen to use less than 655 KiB.
pub(crate) const PLANNING_STACK_BYTES: usize = 192 << 20;
