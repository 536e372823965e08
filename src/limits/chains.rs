//! Limits of followers of chains: what is asked of nodes, what wakes followers, transactions that wait, and old blocks.

/// Bytes of a node's answer: the receipts of a large block have some ten million.
pub(crate) const NODE_ANSWER_BYTES_MAX: usize = 128 << 20;

/// Bytes of memory that a node's announcement of how long its answer is gets it before the answer comes.
pub(crate) const NODE_RESERVED_BYTES_MAX: usize = 1 << 20;

/// Seconds that a node may take to answer.
pub(crate) const NODE_CALL_SECONDS_MAX: u64 = 30;

/// Bytes of what a node says is wrong that are shown.
pub(crate) const NODE_PROBLEM_BYTES_MAX: usize = 200;

/// Seconds that a node is asked last after a failure; they double with each further one.
pub(crate) const NODE_REST_SECONDS_MIN: u64 = 1;

/// Seconds that a node is asked last at most.
pub(crate) const NODE_REST_SECONDS_MAX: u64 = 300;

/// Milliseconds by which a request may come after its turn without moving the turns behind it: so late are timers.
pub(crate) const NODE_LATE_MILLISECONDS_MAX: u64 = 4;

/// Blocks of which it is remembered which nodes have one that its hash does not stand for.
pub(crate) const UNVOUCHED_BLOCKS_MAX: usize = 256;

/// Seconds for which a node that does not have a block is waited for, where others have one that its hash does not stand for.
pub(crate) const UNVOUCHED_SECONDS_MAX: u64 = 60;

/// Seconds for which the senders of a new block are held against their signatures.
pub(crate) const VOUCHED_SENDERS_SECONDS_MAX: i64 = 600;

/// Old blocks between two times that it is kept beside a file how far it goes.
pub(crate) const BACKFILL_KEPT_BLOCKS: u64 = 64;

/// Blocks that a follower puts into the log at once.
pub(crate) const FOLLOW_BLOCKS_MAX: u64 = 64;

/// Blocks before the first one that are remembered where a follower begins near the head.
pub(crate) const BEGIN_REMEMBERED_MAX: usize = 64;

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

/// Seconds after which the newest block of a node is told again that is still the same.
pub(crate) const HEAD_TOLD_SECONDS: u64 = 600;

/// Seconds of the log that a start goes back for transactions that were told and may still wait.
pub(crate) const POOL_RESTORED_SECONDS: i64 = 86_400;

/// Seconds after which a follower tries again to write what a cluster did not take.
pub(crate) const FOLLOW_RETRY_SECONDS: u64 = 1;

/// Seconds after which it is told again what a wallet holds that has not changed.
pub(crate) const HOLDINGS_TOLD_SECONDS: u64 = 86_400;

/// Seconds that a node may take to list all coins of the watched wallets, for which it goes through all coins there are.
pub(crate) const SCAN_SECONDS_MAX: u64 = 1_800;

/// Blocks that a follower asks for at once.
pub(crate) const FOLLOW_FETCHES_MAX: usize = 8;

/// Seconds behind trouble with old blocks of wallets that were added, until they are asked for again.
pub(crate) const BACKFILL_RETRY_SECONDS: u64 = 60;

/// Old blocks that are read between two looks at what is new.
pub(crate) const BACKFILL_BLOCKS_MAX: u64 = 16;

/// Records that a start goes back beyond the newest of its chain, to see what was declared before.
pub(crate) const BACKFILL_RECORDS_MAX: usize = 10_000_000;

/// Bytes of a message by which a node announces a block.
pub(crate) const HEADS_MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Seconds without a word after which a node that announces blocks is asked whether it is there, and as long again left.
pub(crate) const HEADS_SILENCE_SECONDS_MAX: u64 = 30;

/// Milliseconds between two announcements of a node that are heeded.
pub(crate) const HEADS_WAKE_MILLISECONDS_MIN: u64 = 100;

/// Seconds after which nodes are looked at once more when a block was announced and none of them had it.
pub(crate) const HEADS_AGAIN_SECONDS: u64 = 1;

/// Seconds between two looks whether parts of blocks that could not be read can be by now.
pub(crate) const UNWELL_LOOK_SECONDS: u64 = 60;

/// Seconds between two questions to nodes which blocks are final.
pub(crate) const FINALITY_LOOK_SECONDS: u64 = 30;

/// The same where they said that they do not tell.
pub(crate) const FINALITY_UNTOLD_SECONDS: u64 = 600;

/// Blocks of Bitcoin that stand above one until it is taken for final.
pub(crate) const BITCOIN_FINAL_BLOCKS: u64 = 6;

/// Seconds without an announcement over `ZeroMQ` after which the connection is made anew; blocks of Bitcoin may be that far
/// apart.
pub(crate) const ZMQ_SILENCE_SECONDS_MAX: u64 = 3600;

/// Bytes of a frame over `ZeroMQ`; a block of Bitcoin has at most four million.
pub(crate) const ZMQ_FRAME_BYTES_MAX: u64 = 8 << 20;

/// Bytes that are kept of a frame: topics, hashes and numbers are shorter.
pub(crate) const ZMQ_KEPT_BYTES_MAX: u64 = 256;

/// Frames of one message over `ZeroMQ`.
pub(crate) const ZMQ_PARTS_MAX: usize = 8;

/// Milliseconds between two announcements of waiting transactions that are heeded: each look takes the list of all that wait.
pub(crate) const ZMQ_POOL_WAKE_MILLISECONDS_MIN: u64 = 1000;

/// Seconds between two looks at the newest block of each node, where a node may lag so long that there are four.
pub(crate) const LAG_LOOK_SECONDS: u64 = 10;

/// Seconds that a node may name no new block or be behind the others, where the configuration says nothing: ten blocks of
/// Ethereum.
pub(crate) const LAG_SECONDS: u64 = 120;

/// Blocks by which it is behind.
pub(crate) const LAG_BLOCKS: u64 = 20;

/// The same for Bitcoin: of blocks that are ten minutes apart, one in a hundred thousand takes two hours.
pub(crate) const BITCOIN_LAG_SECONDS: u64 = 7200;

/// Blocks by which a node of Bitcoin is behind.
pub(crate) const BITCOIN_LAG_BLOCKS: u64 = 3;

/// Seconds of the log that a start goes back for nodes that were told to lag.
pub(crate) const LAG_RESTORED_SECONDS: i64 = 86_400;

/// Time after which a token that moves is asked again what it calls itself.
pub(crate) const METADATA_AGAIN_SECONDS: u64 = 86_400;

/// Gas that a token gets to say what it calls itself, so that none keeps a node busy or makes it answer much.
pub(crate) const METADATA_GAS_MAX: u64 = 1_000_000;

/// Seconds that all questions about undeclared addresses of one block may take, so that a slow node delays no block by more.
pub(crate) const DESTINATIONS_SECONDS_MAX: u64 = 15;

/// Time after which the use of an undeclared address is told again.
pub(crate) const DESTINATIONS_AGAIN_SECONDS: u64 = 86_400;

/// Uses of undeclared addresses of which it is remembered that they were told.
pub(crate) const DESTINATIONS_TOLD_MAX: usize = 20_000;

/// Tokens of which it is remembered that they were asked.
pub(crate) const METADATA_TOKENS_MAX: usize = 10_000;
