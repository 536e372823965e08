/*
version: 1
title: "Account {wallet} went from nonce {nonce_before} to {nonce}: what it signed in between was not seen"
severity: high
entity: the wallet
proof: corroborated
needs: [node]
without_history: >-
  Quiet until the account's first transaction was seen; what came before it is not known. While the old blocks of a wallet
  that was added are read, its first transaction in a new block is quiet too.
response: []
suppress_for: 1h
meaning: >-
  An account on Ethereum or one of its relatives numbers what it signs without a gap, and the follower reads every block. A
  number that was skipped was used by something that nobody told of: a transaction in a block of which the node did not tell
  everything, or an authorisation (EIP-7702) by which the account runs somebody else's code and which another account sent.
runbook:
  - "See the transactions around it: SELECT time, source, tx, to_address, asset, amount, detail FROM events WHERE wallet = '<wallet>' AND kind = 'chain.tx' ORDER BY time DESC"
  - Ask a second node, or a block explorer, for the account's transaction with the number that is missing, and for the account's code.
  - Code at an account that should have none is a delegation. Whoever holds what it points to can move everything; move what is left first.
  - Where the transaction is in a block that was read, the node kept it back. Ask other nodes from now on, with a quorum, and read those blocks again with `keywatch chain backfill`.
  - Compare with the signer's records what the key was used for.
false_positives:
  - A wallet that was not watched for a while, because it was taken out of the inventory and came back, or because the follower began anew at a later block.
  - A delegation that the owners of the account set up themselves.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1565.002, T1078]
parameters: {}
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  wallet,
  tx,
  chain,
  to_address,
  nonce,
  nonce_before
FROM (
  SELECT
    *,
    max(CASE WHEN NOT is_old THEN nonce END) OVER (
      PARTITION BY wallet, chain, source ORDER BY time
      RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS new_nonce_before,
    -- The highest: a block that is left is read again with the numbers that it had.
    max(nonce) OVER (
      PARTITION BY wallet, chain, source ORDER BY time
      RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS nonce_before
  FROM (
    SELECT
      *,
      detail_int(detail, 'nonce') AS nonce,
      -- Of a block that was read long after it was made: old blocks are read between new ones, as far as they come.
      event_time < time - INTERVAL '1 hour' AS is_old
    FROM events
    -- What the account sent itself, as a follower read it from a block; a multisig's own numbers are another row.
    WHERE kind = 'chain.tx'
      AND wallet IS NOT NULL
      AND actor = wallet
      AND outcome IN ('success', 'failed')
      AND detail_text(detail, 'block_hash') IS NOT NULL
      AND detail_int(detail, 'nonce') IS NOT NULL
  )
)
WHERE nonce > nonce_before + 1
  AND (is_old OR new_nonce_before IS NOT NULL)
