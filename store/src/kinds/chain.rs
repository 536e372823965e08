//! What the kinds of chains say in `detail`.

pub(super) const CHAIN_TX: &[(&str, &str, &str)] = &[
    ("fee", "text", "fee paid, base units, decimal digits"),
    ("fee_rate", "integer", "base units of fee for each unit of size (sat/vB, wei/gas)"),
    ("operation", "integer", "0 call, 1 delegatecall, for a multisig"),
    (
        "inner_delegate_to",
        "text",
        "first address that a call within a batch delegates to and that is no batching contract",
    ),
    ("unlimited_spender", "text", "first address that is given an allowance of at least 2^255 units"),
    ("nonce", "integer", "the wallet's nonce"),
    ("r", "text", "first half of the sender's ECDSA signature, 64 hexadecimal digits"),
    ("s", "text", "its second half"),
    ("to", "text", "address called, as opposed to the recipient of value in `to_address`"),
    ("selector", "text", "first four bytes of the call data, hexadecimal"),
    ("call", "object", "decoded call: name and arguments"),
    ("creates", "text", "the contract made, where nothing is called"),
    ("block", "integer", "block height, absent while unconfirmed"),
    ("block_hash", "text", "hash of the block, from a follower; so in every event of a chain"),
    ("epoch", "integer", "reorganisations that the follower had seen; so in every event of a chain"),
    ("inputs", "integer", "inputs spent, on UTXO chains"),
    ("outputs", "integer", "outputs made, on UTXO chains"),
    ("change_outputs", "integer", "outputs back to the wallet, on UTXO chains"),
    ("vsize", "integer", "size that is paid for, virtual bytes"),
    ("replaceable", "boolean", "whether it says that it may be replaced (BIP-125)"),
    ("provenance", "text", "public or reconstructed, in replay data"),
];

pub(super) const CHAIN_TRANSFER: &[(&str, &str, &str)] = &[
    ("direction", "text", "out or in, as the wallet sees it"),
    ("block", "integer", "block height"),
    ("token", "text", "the token's contract"),
    ("token_id", "text", "the one token meant, for tokens with ids"),
    ("output", "integer", "number of the output, on UTXO chains"),
    ("coinbase", "boolean", "true for what a block pays its miner"),
    ("withdrawal", "integer", "number of a withdrawal of a validator"),
    ("call_depth", "integer", "calls around the one that moved it, where a tracer told of it"),
];

pub(super) const CHAIN_MODULE_TX: &[(&str, &str, &str)] = &[
    ("module", "text", "address of the module"),
    ("operation", "integer", "0 call, 1 delegatecall"),
    ("to", "text", "address called, as opposed to the recipient of value in `to_address`"),
    ("call", "object", "decoded call: name and arguments"),
    (
        "inner_delegate_to",
        "text",
        "first address that a call within a batch delegates to and that is no batching contract",
    ),
    ("unlimited_spender", "text", "first address that is given an allowance of at least 2^255 units"),
    ("block", "integer", "block height"),
];

pub(super) const CHAIN_CONTRACT: &[(&str, &str, &str)] = &[
    (
        "change",
        "text",
        "implementation, beacon, admin, owner, owner_added, owner_removed, threshold, module, module_removed, guard, \
                 module_guard, fallback_handler, code",
    ),
    ("slot", "text", "storage slot read, hexadecimal"),
    ("before", "text", "value before"),
    ("after", "text", "value after"),
    ("block", "integer", "block height"),
];

pub(super) const CHAIN_APPROVAL: &[(&str, &str, &str)] = &[
    ("token", "text", "the token's contract"),
    ("token_id", "text", "the one token meant, for tokens with ids"),
    ("unlimited_spender", "text", "who may take everything: an allowance of at least 2^255 units, or of a collection"),
    ("through", "text", "the contract by which they are taken, for an allowance that Permit2 keeps"),
    (
        "expires_at",
        "integer",
        "until when it holds, unix seconds, for an allowance that Permit2 keeps; 0: for its block",
    ),
    ("block", "integer", "block height"),
];

pub(super) const CHAIN_BALANCE: &[(&str, &str, &str)] = &[
    ("direction", "text", "out where more left than is explained, else in"),
    ("before", "text", "base units before the block, or that blocks explain where a node lists other coins"),
    ("after", "text", "base units after it"),
    ("token", "text", "the token's contract"),
    ("since", "integer", "height of the block that `before` is of, where balances were read at their rhythm"),
    ("from_block", "integer", "of what is `held`: height of the first block whose coins are counted; 0 where all are"),
    ("block", "integer", "block height"),
];

pub(super) const CHAIN_SIGNATURE: &[(&str, &str, &str)] = &[
    ("r", "text", "first half of the ECDSA signature, 64 hexadecimal digits"),
    ("s", "text", "its second half, the smaller of the two that say the same"),
    ("input", "integer", "number of the input that it signs for"),
    ("block", "integer", "block height, absent while unconfirmed"),
];

pub(super) const CHAIN_ASSET: &[(&str, &str, &str)] = &[
    ("token", "text", "the token's contract"),
    ("symbol", "text", "what it calls itself; letters beyond ASCII as their numbers"),
    ("reads_as", "text", "the same as it reads, where letters beyond ASCII look like those of it"),
    ("decimals", "integer", "digits of an amount that stand behind the point, as it says"),
    ("block", "integer", "block height"),
];

pub(super) const CHAIN_NONCE_MISSING: &[(&str, &str, &str)] = &[
    ("nonce", "integer", "the number of the transaction that waits"),
    ("missing", "integer", "the lowest number before it for which no transaction was seen"),
    ("next", "integer", "the number that blocks take next of the account"),
];

pub(super) const CHAIN_PROGRESS: &[(&str, &str, &str)] = &[
    ("block", "integer", "height of the newest block read"),
    ("block_hash", "text", "its hash"),
    ("epoch", "integer", "reorganisations so far"),
    ("read", "array", "height and hash of the blocks read since the record before, as deep as a reorganisation may go"),
    ("first", "boolean", "true where the follower began: nothing before this block was read"),
    ("final", "integer", "height of the newest block that is known to be final"),
    ("began", "integer", "height of the block that the follower began behind, until what is final has come as far"),
    ("used", "object", "how many addresses of wallets with a descriptor are used, by branch"),
    (
        "held",
        "object",
        "what wallets hold on UTXO chains: first block whose coins are counted, and base units, by wallet",
    ),
    (
        "moved",
        "object",
        "what the blocks of `read` changed of it, in coins that are counted and in those that are not, by height and wallet",
    ),
    ("declared", "text", "`sha256` of the declaration whose wallets were watched, as `inventory.activated` has it"),
    ("unwell", "array", "parts of blocks that could not be read and have not been read since, as `source.status` told"),
];

pub(super) const CHAIN_FINALITY: &[(&str, &str, &str)] = &[
    ("block", "integer", "height up to which blocks are final, or were"),
    ("block_hash", "text", "its hash, where the follower still remembers it"),
    ("fork_block", "integer", "height of the newest block that still is, where blocks were left that were final"),
    ("epoch", "integer", "reorganisations so far"),
];

pub(super) const CHAIN_BACKFILL: &[(&str, &str, &str)] = &[
    (
        "pending",
        "array",
        "objects with the `wallets`, the `next` block that is read for them, and the last, `to`; empty when all is read",
    ),
    ("used", "object", "how many addresses of wallets with a descriptor are used, by branch"),
];

pub(super) const CHAIN_DISAGREEMENT: &[(&str, &str, &str)] = &[
    ("block", "integer", "height"),
    ("transaction", "text", "hash of a waiting transaction that has another sender than the node says"),
    ("said", "array", "each node's name, and what stands for its answer"),
];

pub(super) const CHAIN_REORG: &[(&str, &str, &str)] = &[
    ("depth", "integer", "how many"),
    ("left", "array", "their hashes, the newest first"),
    ("fork_block", "integer", "height of the newest block that still is"),
    ("fork_hash", "text", "its hash"),
    ("epoch", "integer", "reorganisations so far, this one counted"),
];

pub(super) const CHAIN_RETRACTED: &[(&str, &str, &str)] = &[
    ("event", "text", "id of the event"),
    ("kind", "text", "its kind"),
    ("direction", "text", "out or in, for a transfer"),
    ("block", "integer", "height of the block that was left"),
    ("block_hash", "text", "its hash"),
    ("epoch", "integer", "reorganisations so far"),
];
