//! Every hard limit of the binary, with its unit in the name (promise P7). What one body may hold is a limit of ingest.

mod chains;
pub(crate) mod doctor;
mod init;
mod kafka;
mod oidc;
mod page;
pub(crate) mod pull;
mod sql;

pub(crate) use chains::*;
pub(crate) use init::*;
pub(crate) use kafka::*;
pub(crate) use oidc::*;
pub(crate) use page::*;
pub(crate) use sql::*;

/// Longest that who fetches a revocation bundle may wait for a newer one, seconds: less than a connection may be silent.
pub(crate) const BUNDLE_WAIT_SECONDS_MAX: u64 = 25;

/// Connections served at once; a further one takes the place of one that idles.
pub(crate) const CONNECTIONS_MAX: usize = 512;

/// Connections of one address among them, unless it is a proxy.
pub(crate) const ADDRESS_CONNECTIONS_MAX: usize = 128;

/// Seconds within which a connection must have sent the head of its first request, and agreed on TLS before.
pub(crate) const FIRST_HEAD_SECONDS_MAX: u64 = 10;

/// Seconds between two looks at the inventory file.
pub(crate) const INVENTORY_RELOAD_SECONDS: u64 = 2;

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

/// Bytes of the lines that an agent sends at once, and of a line: a longer one is cut, and the rest of it passed over.
pub(crate) const AGENT_BATCH_BYTES_MAX: usize = 1 << 20;

/// Lines that an agent sends at once.
pub(crate) const AGENT_BATCH_LINES_MAX: usize = 1_000;

/// Bytes below which an agent that is behind waits for more lines before it keeps them.
pub(crate) const AGENT_BATCH_BYTES_MIN: usize = 64 << 10;

/// Seconds that it waits for them.
pub(crate) const AGENT_GATHER_SECONDS: u64 = 5;

/// Milliseconds between two looks at the files that an agent follows.
pub(crate) const AGENT_LOOK_MILLISECONDS: u64 = 250;

/// Seconds that a file which was rotated away may still grow.
pub(crate) const AGENT_ROTATED_SECONDS: u64 = 2;

/// Bytes at the beginning of a file, and before the place up to which it was read, by which it is known again.
pub(crate) const AGENT_MARK_BYTES: usize = 256;

/// Rotated files that are looked at for a place that was left.
pub(crate) const AGENT_ROTATED_FILES_MAX: usize = 1_000;

/// Files that one agent follows.
pub(crate) const AGENT_FILES_MAX: usize = 64;

/// Bytes that standard input brings at once.
pub(crate) const AGENT_READ_BYTES: usize = 64 << 10;

/// Bytes of disk that a batch takes at least: a block.
pub(crate) const AGENT_BLOCK_BYTES: u64 = 4_096;

/// Bytes of the first line of a batch on disk.
pub(crate) const AGENT_HEAD_BYTES_MAX: u64 = 64 << 10;

/// Things that an agent has to say and that nobody has taken yet; the oldest leave.
pub(crate) const AGENT_NOTICES_MAX: usize = 16;

/// Seconds that an agent tries to open a stream.
pub(crate) const AGENT_CONNECT_SECONDS_MAX: u64 = 20;

/// Seconds that an agent waits for an answer: a source that sends too much is answered late.
pub(crate) const AGENT_ANSWER_SECONDS_MAX: u64 = 120;

/// Bytes of an answer.
pub(crate) const AGENT_ANSWER_BYTES_MAX: usize = 1 << 20;

/// Seconds after which an agent connects again on which nothing was heard: six pings.
pub(crate) const AGENT_SILENCE_SECONDS_MAX: u64 = 60;

/// Milliseconds after which an agent tries again; they double with each failure.
pub(crate) const AGENT_RETRY_MILLISECONDS_MIN: u64 = 250;

/// Seconds after which an agent that cannot connect tries again.
pub(crate) const AGENT_RETRY_SECONDS_MAX: u64 = 60;

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

/// Seconds that open requests get to finish after a signal to stop.
pub(crate) const SHUTDOWN_SECONDS_MAX: u64 = 20;

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

/// Bytes of a configuration or inventory file.
pub(crate) const CONFIG_BYTES_MAX: u64 = 16 << 20;

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

/// Seconds between two looks at what rules cost and remember and at what is open, for metrics.
pub(crate) const GAUGES_SECONDS: u64 = 2;

/// Records that the pipeline takes through the rules at once.
pub(crate) const PIPELINE_RECORDS_MAX: usize = 4096;

/// Seconds after which a rule that was parked is tried again; they double with each failure.
pub(crate) const RETRY_SECONDS_MIN: u64 = 1;

/// Seconds after which a rule that keeps failing is tried again.
pub(crate) const RETRY_SECONDS_MAX: u64 = 600;

/// Records that a rule could not evaluate, listed when it is back; each has a record of its own.
pub(crate) const SKIPPED_SHOWN_MAX: usize = 100;

/// Findings, tellings and revocations under way whose time is taken, of each; beyond that the oldest is left out.
pub(crate) const STAGES_TIMED_MAX: usize = 10_000;

/// Seconds between two stamps of the revocation documents; a policy denies everything once its stamp is two minutes old.
pub(crate) const REFRESH_SECONDS: u64 = 30;

/// Seconds between two ticks of a system in which something happens or is due to be decided.
pub(crate) const TICK_SECONDS: u64 = 1;

/// Seconds between two ticks of a system in which nothing happens.
pub(crate) const TICK_SECONDS_MAX: i64 = 60;

/// Seconds for which a system has a tick every second after something happened in it: alerts are told, and revocations
/// proved, in that time.
pub(crate) const TICK_BUSY_SECONDS: i64 = 900;

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

/// Batches of a simulation that wait for its writer.
pub(crate) const SIMULATE_BATCHES_MAX: usize = 4;

/// Threads that only the evaluator uses: rules, ticks, notifications and revocations.
pub(crate) const EVALUATOR_THREADS: usize = 2;

/// Seconds between two snapshots of window state while the evaluator runs; one more is made as it stops.
pub(crate) const SNAPSHOT_SECONDS: u64 = 600;

/// Records since the last snapshot after which the next one is made sooner: what a start has to go through at most, while
/// no rule is parked.
pub(crate) const SNAPSHOT_RECORDS_MAX: u64 = 2_000_000;

/// Findings of earlier runs that are held one by one after a start without a snapshot; older ones are known by their time.
pub(crate) const KNOWN_FINDINGS_MAX: usize = 500_000;

/// Seconds between two words on how far a start is.
pub(crate) const PROGRESS_SECONDS: u64 = 5;

/// Records since the last snapshot below which another one is not worth its writing.
pub(crate) const SNAPSHOT_RECORDS_MIN: u64 = 10_000;

/// Newest records of the log that a start looks at to know what was heard of each wallet.
pub(crate) const COVERAGE_RECORDS: u64 = 200_000;

/// Bytes of a node's answer: the receipts of a large block have some ten million.
pub(crate) const NODE_ANSWER_BYTES_MAX: usize = 128 << 20;

/// Seconds that a node may take to answer.
pub(crate) const NODE_CALL_SECONDS_MAX: u64 = 30;

/// Bytes of what a node says is wrong that are shown.
pub(crate) const NODE_PROBLEM_BYTES_MAX: usize = 200;

/// Seconds that a node is asked last after a failure; they double with each further one.
pub(crate) const NODE_REST_SECONDS_MIN: u64 = 1;

/// Seconds that a node is asked last at most.
pub(crate) const NODE_REST_SECONDS_MAX: u64 = 300;

/// Blocks that a follower puts into the log at once.
pub(crate) const FOLLOW_BLOCKS_MAX: u64 = 64;

/// Events after which a follower puts what it has read into the log.
pub(crate) const FOLLOW_EVENTS_MAX: usize = 4096;

/// Questions to a node in one request, where there may be any number.
pub(crate) const NODE_BATCH_MAX: usize = 100;

/// Waiting transactions of one node that are looked at in one turn.
pub(crate) const POOL_LOOKED_MAX: usize = 2_000;

/// Waiting transactions of watched wallets that are remembered for each chain.
pub(crate) const POOL_TRANSACTIONS_MAX: usize = 10_000;

/// Seconds between two looks at whether the nodes still have the transactions that were told.
pub(crate) const POOL_ASK_SECONDS: i64 = 5;

/// Seconds for which no node may have a transaction before it is said to be gone.
pub(crate) const POOL_ABSENT_SECONDS: u64 = 120;

/// Seconds of the log that a start goes back for transactions that were told and may still wait.
pub(crate) const POOL_RESTORED_SECONDS: i64 = 86_400;

/// Seconds after which a follower tries again to write what a cluster did not take.
pub(crate) const FOLLOW_RETRY_SECONDS: u64 = 1;

/// Blocks that a follower asks for at once.
pub(crate) const FOLLOW_FETCHES_MAX: usize = 8;

/// Bytes of a body that an operator sends to the API.
pub(crate) const API_BODY_BYTES_MAX: usize = 64 << 10;

/// Requests of operators that are worked on at once; further ones wait.
pub(crate) const API_CONCURRENT_MAX: usize = 4;

/// Seconds that such a request waits for its turn before it is asked to come back.
pub(crate) const API_WAIT_SECONDS_MAX: u64 = 10;

/// Incidents or alerts of a list, unless another number is asked for.
pub(crate) const API_LIST_DEFAULT: usize = 100;

/// Incidents or alerts of a list.
pub(crate) const API_LIST_MAX: usize = 1_000;

/// Incidents that are acknowledged at once.
pub(crate) const API_MANY_MAX: usize = 500;

/// Bytes of an `Idempotency-Key`.
pub(crate) const API_KEY_BYTES_MAX: usize = 200;

/// Records of the log that one request of an operator looks at.
pub(crate) const API_SCAN_RECORDS_MAX: usize = 1_000_000;

/// Records that are read at once for it.
pub(crate) const API_READ_RECORDS: usize = 4_096;

/// Log time before an incident in which its chain of custody is looked for.
pub(crate) const CUSTODY_BEFORE_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// Log time after its last finding in which it is looked for.
pub(crate) const CUSTODY_AFTER_NS: i64 = 600 * 1_000_000_000;

/// Events of a chain of custody that are shown; those that prove a finding are shown beyond it.
pub(crate) const CUSTODY_EVENTS_MAX: usize = 500;

/// Events that prove findings of an incident and are looked for.
pub(crate) const CUSTODY_EVIDENCE_MAX: usize = 500;

/// Time that is looked back through for everything about a name, unless another is asked for.
pub(crate) const ABOUT_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Events about a name that are shown, the newest.
pub(crate) const ABOUT_EVENTS_MAX: usize = 100;

/// A shift, unless other times are asked for.
pub(crate) const HANDOVER_NS: i64 = 12 * 3_600 * 1_000_000_000;

/// Operators who wait for changes at once.
pub(crate) const CHANGES_WAITING_MAX: usize = 64;

/// Longest that who waits for changes may wait, seconds: less than a connection may be silent.
pub(crate) const CHANGES_WAIT_SECONDS_MAX: u64 = 25;

/// Milliseconds between two looks at whether the log has grown, for who waits for changes.
pub(crate) const CHANGES_LOOK_MS: u64 = 1_000;

/// Incidents of recorded events that are written into one file.
pub(crate) const REPLAYED_INCIDENTS_MAX: usize = 20;

/// Steps in which recorded events go through the pipeline for that.
pub(crate) const REPLAYED_STEPS_MAX: usize = 10_000;

/// Seconds that `keywatch alerts` waits for an answer.
pub(crate) const API_ANSWER_SECONDS_MAX: u64 = 60;
