//! Every hard limit of this room, with its unit in the name (promise P7).

/// Bytes of one body, as sent and again after decompression: 32 MiB.
pub const BODY_BYTES_MAX: usize = 32 << 20;

/// Records of one body, as cut and again after those that hold several are taken apart.
pub const RECORDS_MAX: usize = 50_000;

/// Bytes of one record.
pub const RECORD_BYTES_MAX: usize = 512 << 10;

/// Arrays and objects inside one another in one record.
pub const NESTING_MAX: usize = 64;

/// Bytes of an event's detail. With every text column at its limit and escaped, the event line still fits the store's.
pub const DETAIL_BYTES_MAX: usize = 512 << 10;

/// Bytes of a source's own id for an event.
pub const SOURCE_ID_BYTES_MAX: usize = 1024;

/// Confirmations of one Safe transaction: each costs a public-key recovery.
pub const CONFIRMATIONS_MAX: usize = 256;

/// Calls listed out of one `multiSend`; the rest are counted.
pub const INNER_CALLS_MAX: usize = 64;

/// Calls inside calls that are decoded (`multiSend` within `execTransaction` …).
pub const CALL_NESTING_MAX: usize = 3;

/// Bytes of an undecoded `bytes` argument that are shown.
pub const ARGUMENT_BYTES_MAX: usize = 256;

/// Bytes of a PDP's result that are kept as text.
pub const RESULT_BYTES_MAX: usize = 4096;

/// Bytes of the sentence that says why a record was rejected.
pub const REASON_BYTES_MAX: usize = 1024;

/// Bytes of a foreign record that are kept beside the columns.
pub const KEPT_BYTES_MAX: usize = 16 << 10;

/// Bytes of one fact of a foreign record.
pub const FACT_BYTES_MAX: usize = 4096;

/// Names of members that were left out of what is kept.
pub const LEFT_OUT_NAMES_MAX: usize = 32;

/// Bytes of a foreign name that are kept.
pub const NAME_BYTES_MAX: usize = 128;

/// Parts that one record may hold (rows of a snapshot, hosts of a notice, actions of a decision).
pub const PARTS_MAX: usize = 4096;

/// Bytes that the parts of one record may repeat of what they share.
pub const PARTS_BYTES_MAX: usize = 2 << 20;

/// Bytes that the parts of all records of one body may repeat: 64 MiB, which is more than 1 KiB for each of
/// [`RECORDS_MAX`] parts and no more than twice a body.
pub const BODY_PARTS_BYTES_MAX: usize = 64 << 20;

/// Ranges of addresses that are listed out of one change of a network; whether one is open to all is said of every range.
pub const RANGES_MAX: usize = 32;

/// Gaps that are told of one hour of a trail.
pub const TRAIL_GAPS_MAX: usize = 256;

/// Bytes of the protected header of a JSON Web Signature, encoded.
pub const JWS_HEADER_BYTES_MAX: usize = 4096;

/// Keys of one key set.
pub const JWKS_KEYS_MAX: usize = 64;

/// Wallets whose storage and balance are compared before and after one block.
pub const WALLETS_COMPARED_MAX: usize = 500;

/// Accounts' words that code shall run as themselves that are looked at in one waiting transaction.
pub const AUTHORIZATIONS_MAX: usize = 64;

/// Signatures of owners of a Safe that are looked at in one transaction of it: each costs the recovery of a key.
pub const OWNER_SIGNATURES_MAX: usize = 64;

/// Balances of tokens, each of one wallet, that are compared before and after one block.
pub const BALANCES_COMPARED_MAX: usize = 2000;

/// Balances, each of one wallet and asset, that are read at once at the rhythm, since blocks wait meanwhile; where there are
/// more, the others are next, and sooner.
pub const BALANCES_READ_MAX: usize = 100;

/// Seconds after which it is told again what a wallet holds of an asset that has not changed.
pub const BALANCES_TOLD_SECONDS: i64 = 86_400;

/// Coins that cannot be spent yet, each of one wallet and block, that are remembered: they stand in each record of the cursor.
pub const IMMATURE_COINS_MAX: usize = 10_000;

/// Wallets of one chain whose coins are counted, since the sums stand in each record of the cursor.
pub const HOLDINGS_WALLETS_MAX: usize = 1000;

/// Changes of what wallets hold after which a follower puts what it has read into the log, so that its record stays short.
pub const HOLDINGS_MOVES_MAX: usize = 1000;

/// Branches of one descriptor, as receiving and change are two.
pub const DESCRIPTOR_BRANCHES_MAX: usize = 16;

/// Addresses of a descriptor's branch that are watched ahead of the last one used.
pub const DESCRIPTOR_GAP_MAX: u32 = 10_000;

/// Addresses of a descriptor's branch that are watched in all.
pub const DESCRIPTOR_INDEX_MAX: u32 = 100_000;

/// Parts of blocks that a follower remembers as not read, each a token or a kind of question.
pub const UNWELL_PARTS_MAX: usize = 256;

/// Wallets of one chain for which old blocks are still to be read.
pub const BACKFILL_WALLETS_MAX: usize = 1000;

/// Tokens read out of one batch transfer (ERC-1155).
pub const BATCH_TOKENS_MAX: usize = 1024;

/// Bytes of a mapping file.
pub const MAPPING_BYTES_MAX: usize = 64 << 10;

/// Mapping files of one installation.
pub const MAPPINGS_MAX: usize = 64;

/// Cases of a mapping file.
pub const MAPPING_CASES_MAX: usize = 256;

/// Facts of a mapping file, and of one of its cases.
pub const MAPPING_FACTS_MAX: usize = 64;

/// Base-two logarithm of the bytes of a zstd window: 8 MiB, what a decoder of HTTP has to have (RFC 9659).
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Seconds that the time of a signed message may be from now, before or after.
pub const SIGNED_SECONDS_MAX: u64 = 300;

/// Signatures of one message that are looked at, and entries of logs that a bundle may have.
pub const SIGNATURES_MAX: usize = 8;

/// Authorities, and logs, of a trust file for Sigstore's bundles, and keys of signers beside it.
pub const SIGSTORE_TRUSTED_MAX: usize = 32;

/// Tokens that are asked what they call themselves, of those that move in one block.
pub const TOKENS_ASKED_MAX: usize = 20;

/// Undeclared addresses that are asked about, of those that wallets use in one block.
pub const DESTINATIONS_ASKED_MAX: usize = 20;

/// Contracts among them whose first block is searched; each search asks thirty questions at most.
pub const CONTRACTS_DATED_MAX: usize = 4;

/// Letters of a symbol that are kept of what a contract answers.
pub const SYMBOL_LETTERS_MAX: usize = 32;
