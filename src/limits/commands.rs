//! Limits of subcommands that read files, write them or ask a running keywatch.

/// Bytes of one piece of a file that is imported line by line.
pub(crate) const IMPORT_PIECE_BYTES_MAX: usize = 4 << 20;

/// Lines of one piece of a file that is imported line by line.
pub(crate) const IMPORT_PIECE_LINES_MAX: usize = 10_000;

/// Files of one import.
pub(crate) const IMPORT_FILES_MAX: usize = 100_000;

/// Directories inside one another of an import.
pub(crate) const IMPORT_DIRECTORY_DEPTH_MAX: usize = 32;

/// Rejects that an import lists; the rest are counted.
pub(crate) const IMPORT_REJECTS_SHOWN_MAX: usize = 1000;

/// Batches that wait between the reading thread of a backtest and its rules.
pub(crate) const BACKTEST_BATCHES_MAX: usize = 4;

/// Events of one batch of a backtest.
pub(crate) const BACKTEST_BATCH_EVENTS_MAX: u32 = 65_536;

/// Bytes that a backtest reads from a file at once.
pub(crate) const BACKTEST_READ_BUFFER_BYTES: usize = 1 << 20;

/// Bytes of one piece of a file that a backtest parses at once, but for its last line.
pub(crate) const BACKTEST_PIECE_BYTES: usize = 256 << 10;

/// Pieces that wait before a parser of a backtest, and as many behind it.
pub(crate) const BACKTEST_PIECES_MAX: usize = 2;

/// Threads that parse lines for a backtest.
pub(crate) const BACKTEST_PARSERS_MAX: usize = 8;

/// Rejects that a backtest lists; the rest are counted.
pub(crate) const BACKTEST_REJECTS_SHOWN_MAX: u64 = 20;

/// Distinct entities of one rule that a backtest counts; further ones leave the count as it is.
pub(crate) const BACKTEST_ENTITIES_MAX: usize = 1 << 20;

/// Events after which a backtest looks at how much its rules remember.
pub(crate) const BACKTEST_STATE_EVERY_EVENTS: usize = 65_536;

/// Findings that only one of two packs has, held while they are compared.
pub(crate) const BACKTEST_DIFFERENCES_MAX: usize = 1_000_000;

/// Labels of attacks that a backtest reads.
pub(crate) const BACKTEST_ATTACKS_MAX: usize = 1_000_000;

/// Attacks that nothing saw, listed for each scenario; the rest are counted.
pub(crate) const BACKTEST_MISSED_SHOWN_MAX: usize = 20;

/// Events that a simulation hands to its writer at once.
pub(crate) const SIMULATE_BATCH_EVENTS_MAX: usize = 4_096;

/// Batches of a simulation that a log has under way: it commits those together that wait.
pub(crate) const SIMULATE_APPENDS_MAX: usize = 4;

/// Batches of a simulation that wait for its writer.
pub(crate) const SIMULATE_BATCHES_MAX: usize = 4;

/// Incidents of recorded events that are written into one file.
pub(crate) const REPLAYED_INCIDENTS_MAX: usize = 20;

/// Steps in which recorded events go through the pipeline for that.
pub(crate) const REPLAYED_STEPS_MAX: usize = 10_000;

/// Seconds that `keywatch alerts` waits for an answer.
pub(crate) const API_ANSWER_SECONDS_MAX: u64 = 60;

/// Policies and directories of them that `keywatch pdp` reads.
pub(crate) const PDP_POLICY_FILES_MAX: usize = 1000;

/// Decisions that differ which `keywatch pdp replay` shows; further ones are counted.
pub(crate) const PDP_REPLAY_ROWS_MAX: usize = 1000;

/// Bytes of a file of indicators.
pub(crate) const INDICATOR_FILE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of an indicator, and of what is said of it.
pub(crate) const INDICATOR_BYTES_MAX: usize = 256;

/// Indicators of one file: an activation of the inventory holds them all, and has to be read as one event line.
pub(crate) const INDICATORS_MAX: usize = 2_000;

/// Events of the past that name an indicator and are shown; further ones are counted.
pub(crate) const INDICATORS_SEEN_SHOWN_MAX: usize = 1000;
