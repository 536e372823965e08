//! The kinds of chains: what happened to wallets on them, and how far they were followed.

use super::fields::{CALL, INNER_DELEGATE_TO, NONCE, OPERATION, PROVENANCE, TO, UNLIMITED_SPENDER};
use super::kind::{Field, Kind, keywatch, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    source("chain.tx", "a transaction of a wallet was seen on its chain", &["success", "failed", "unconfirmed"], TX),
    source(
        "chain.transfer",
        "value moved from or to a wallet on its chain",
        &["success", "failed", "unconfirmed"],
        TRANSFER,
    ),
    source(
        "chain.module_tx",
        "a module of a multisig wallet acted for it, without any signature of its owners",
        &["success", "failed", "unconfirmed"],
        MODULE_TX,
    ),
    source(
        "chain.contract",
        "a wallet contract changed: implementation, owner, threshold, module, guard; `unconfirmed` what waits for its block",
        &["unconfirmed"],
        CONTRACT,
    ),
    source(
        "chain.approval",
        "a wallet let somebody take its tokens, or no longer lets; `to_address` is who may take",
        &["granted", "revoked"],
        APPROVAL,
    ),
    source(
        "chain.balance",
        "a wallet's balance: it differs from what events explain, and `amount` is the difference (`unexplained`), or what a wallet \
         holds at the block, which is the `amount` (`held`): of an asset, or what its coins on a UTXO chain add up to",
        &["unexplained", "held"],
        BALANCE,
    ),
    keywatch(
        "chain.signature",
        "an ECDSA signature of a watched wallet: by which it spent a coin on a UTXO chain, or of a declared owner of a multisig \
         wallet for what that executed, whose hash is the `request`",
        &["success", "unconfirmed"],
        SIGNATURE,
    ),
    keywatch(
        "chain.asset",
        "what the contract of a token that moved calls itself; `disguised` where letters beyond ASCII are in it",
        &["said", "disguised"],
        ASSET,
    ),
    keywatch(
        "chain.destination",
        "a watched wallet used an address that nobody declared: what a node knows of it before the block, or of a contract that \
         the block itself made; once a day for each wallet, address and use",
        &["contract", "account"],
        DESTINATION,
    ),
    keywatch(
        "chain.dropped",
        "a transaction that waited is no longer in the pool of any node, and in no block that was read",
        &["replaced", "gone"],
        &[("by", "text", "the transaction that took its place")],
    ),
    keywatch(
        "chain.nonce_missing",
        "a transaction waits behind a number of its account for which none is known, in a pool or in a block",
        &[],
        NONCE_MISSING,
    ),
    keywatch(
        "chain.progress",
        "a follower has read these blocks of its chain, and everything watched in them stands before this record",
        &[],
        PROGRESS,
    ),
    keywatch(
        "chain.backfill",
        "what a follower has still to read of old blocks, for wallets that were added to the inventory",
        &[],
        BACKFILL,
    ),
    keywatch(
        "chain.finality",
        "blocks of a chain became final, or were and are left all the same",
        &["final", "reverted"],
        FINALITY,
    ),
    keywatch(
        "chain.head",
        "the newest block that a node of a chain names, whether or not the node is asked for blocks",
        &[],
        HEAD,
    ),
    keywatch("chain.reorg", "blocks that a follower had read are no longer part of their chain", &[], REORG),
    keywatch(
        "chain.disagreement",
        "nodes of one chain say different things of a block, of which what enough of them say was taken; or one shows a waiting \
         transaction under a sender that did not sign it, which was left out",
        &[],
        DISAGREEMENT,
    ),
    keywatch(
        "chain.retracted",
        "an event stood in a block that is no longer part of its chain; the columns are the event's",
        &[],
        RETRACTED,
    ),
];

const TX: &[Field] = &[
    ("fee", "text", "fee paid, base units, decimal digits"),
    ("fee_rate", "integer", "base units of fee for each unit of size (sat/vB, wei/gas)"),
    ("base_fee", "integer", "what of it the block asks of everybody (EIP-1559), wei/gas"),
    ("operation", "integer", "0 call, 1 delegatecall, for a multisig"),
    INNER_DELEGATE_TO,
    UNLIMITED_SPENDER,
    NONCE,
    ("r", "text", "first half of the sender's ECDSA signature, 64 hexadecimal digits"),
    ("s", "text", "its second half"),
    TO,
    ("selector", "text", "first four bytes of the call data, hexadecimal"),
    CALL,
    ("creates", "text", "the contract made, where nothing is called"),
    ("block", "integer", "block height, absent while unconfirmed"),
    ("block_hash", "text", "hash of the block, from a follower; so in every event of a chain"),
    ("epoch", "integer", "reorganisations that the follower had seen; so in every event of a chain"),
    ("inputs", "integer", "inputs spent, on UTXO chains"),
    ("outputs", "integer", "outputs made, on UTXO chains"),
    ("change_outputs", "integer", "outputs back to the wallet, on UTXO chains"),
    ("vsize", "integer", "size that is paid for, virtual bytes"),
    ("replaceable", "boolean", "whether it says that it may be replaced (BIP-125)"),
    PROVENANCE,
];

const TRANSFER: &[Field] = &[
    ("direction", "text", "out or in, as the wallet sees it"),
    ("block", "integer", "block height"),
    ("token", "text", "the token's contract"),
    ("token_id", "text", "the one token meant, for tokens with ids"),
    ("output", "integer", "number of the output, on UTXO chains"),
    ("coinbase", "boolean", "true for what a block pays its miner"),
    ("withdrawal", "integer", "number of a withdrawal of a validator"),
    ("call_depth", "integer", "calls around the one that moved it, where a tracer told of it"),
    (
        "unsigned",
        "boolean",
        "true where a token says that nothing (an `amount` of 0) moved out of the wallet, in a transaction that the wallet did not send \
         and in which no watched Safe of that address executed: ERC-20 lets anybody ask for that, so that their address stands in \
         the wallet's history",
    ),
];

const MODULE_TX: &[Field] = &[
    ("module", "text", "address of the module"),
    OPERATION,
    TO,
    CALL,
    INNER_DELEGATE_TO,
    UNLIMITED_SPENDER,
    ("block", "integer", "block height"),
    ("reverted", "boolean", "true where the whole transaction failed, as when somebody who is no module asks as one"),
];

const CONTRACT: &[Field] = &[
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

const APPROVAL: &[Field] = &[
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

const BALANCE: &[Field] = &[
    ("direction", "text", "out where more left than is explained, else in"),
    ("before", "text", "base units before the block, or that blocks explain where a node lists other coins"),
    ("after", "text", "base units after it"),
    ("token", "text", "the token's contract"),
    ("since", "integer", "height of the block that `before` is of, where balances were read at their rhythm"),
    (
        "from_block",
        "integer",
        "of what is `held` in coins: height of the first block whose coins are counted; 0 where all are",
    ),
    (
        "immature",
        "text",
        "of what is `held` in coins: base units that the next block cannot spend yet, since a block paid them to its miner",
    ),
    ("block", "integer", "block height"),
];

const SIGNATURE: &[Field] = &[
    ("r", "text", "first half of the ECDSA signature, 64 hexadecimal digits"),
    ("s", "text", "its second half, the smaller of the two that say the same"),
    ("input", "integer", "number of the input that it signs for, on UTXO chains"),
    ("signer", "text", "address of the owner who signed, for a multisig wallet"),
    ("block", "integer", "block height, absent while unconfirmed"),
];

const ASSET: &[Field] = &[
    ("token", "text", "the token's contract"),
    ("symbol", "text", "what it calls itself; letters beyond ASCII as their numbers"),
    ("reads_as", "text", "the same as it reads, where letters beyond ASCII look like those of it"),
    ("decimals", "integer", "digits of an amount that stand behind the point, as it says"),
    ("block", "integer", "block height"),
];

const DESTINATION: &[Field] = &[
    (
        "used",
        "text",
        "what for, the use that gives away most: delegatecall, what of the wallet changed to it (as in `change` of \
         `chain.contract`), approval, payment or call",
    ),
    ("fresh", "boolean", "whether it had never sent anything and had neither code nor balance before the block"),
    ("nonce", "integer", "transactions that it had sent before the block, or contracts that it had made"),
    ("code_hash", "text", "keccak-256 of its code; absent for an account without code of its own"),
    ("delegate", "text", "whose code runs as it, for an account that lets code of a contract do so (EIP-7702)"),
    (
        "created_block",
        "integer",
        "height of the block that made the contract; absent where no node can tell, and where it is older than was looked",
    ),
    ("age_seconds", "integer", "how much older the block of the use is than that one"),
    ("known_since", "integer", "height of the oldest block behind which a node showed the contract's code"),
    ("block", "integer", "block height"),
];

const NONCE_MISSING: &[Field] = &[
    ("nonce", "integer", "the number of the transaction that waits"),
    ("missing", "integer", "the lowest number before it for which no transaction was seen"),
    ("next", "integer", "the number that blocks take next of the account"),
];

const PROGRESS: &[Field] = &[
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
        "rewards",
        "object",
        "what blocks paid wallets as their miners, as far back as it may be immature: height and base units of each, by wallet",
    ),
    (
        "moved",
        "object",
        "what the blocks of `read` changed of it, in coins that are counted and in those that are not, by height and wallet",
    ),
    ("declared", "text", "`sha256` of the declaration whose wallets were watched, as `inventory.activated` has it"),
    ("unwell", "array", "parts of blocks that could not be read and have not been read since, as `source.status` told"),
];

const FINALITY: &[Field] = &[
    ("block", "integer", "height up to which blocks are final, or were"),
    ("block_hash", "text", "its hash, where the follower still remembers it"),
    ("fork_block", "integer", "height of the newest block that still is, where blocks were left that were final"),
    ("epoch", "integer", "reorganisations so far"),
];

const HEAD: &[Field] = &[
    ("replica", "text", "the node, by its name in the configuration"),
    ("block", "integer", "height of its newest block"),
    ("block_hash", "text", "hash of that block"),
    ("age_seconds", "integer", "how long ago the block was made by its own time; below zero where it is ahead"),
];

const BACKFILL: &[Field] = &[
    (
        "pending",
        "array",
        "objects with the `wallets`, the `next` block that is read for them, and the last, `to`; empty when all is read",
    ),
    ("used", "object", "how many addresses of wallets with a descriptor are used, by branch"),
];

const DISAGREEMENT: &[Field] = &[
    ("block", "integer", "height"),
    ("transaction", "text", "hash of a waiting transaction that has another sender than the node says"),
    ("said", "array", "each node's name, and what stands for its answer"),
];

const REORG: &[Field] = &[
    ("depth", "integer", "how many"),
    ("left", "array", "their hashes, the newest first"),
    ("fork_block", "integer", "height of the newest block that still is"),
    ("fork_hash", "text", "its hash"),
    ("epoch", "integer", "reorganisations so far, this one counted"),
    ("agreed", "integer", "how many nodes said so: of each height that was asked for, at least so many"),
    ("quorum", "integer", "how many nodes had to say so; with 1 it is one node's word"),
];

const RETRACTED: &[Field] = &[
    ("event", "text", "id of the event"),
    ("kind", "text", "its kind"),
    ("direction", "text", "out or in, for a transfer"),
    ("block", "integer", "height of the block that was left"),
    ("block_hash", "text", "its hash"),
    ("epoch", "integer", "reorganisations so far"),
];
