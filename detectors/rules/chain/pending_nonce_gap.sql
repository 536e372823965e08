/*
version: 1
title: "Account {wallet} has number {nonce} waiting, and nobody has shown number {missing}"
severity: medium
entity: the wallet
proof: corroborated
needs: [node]
without_history: >-
  Judged from the first waiting transaction on; nodes say which number an account uses next.
response: []
suppress_for: 1h
meaning: >-
  An account on Ethereum or one of its relatives numbers what it signs, and a number comes into a block only behind all before it.
  A transaction waits, and the one before it was seen neither in a pool nor in a block. Either it was lost, and everything that the
  account sends is stuck until it is sent again; or it exists and is kept from the pools that you look at, as one is that goes to
  the maker of a block on a private path.
runbook:
  - "See what waits: SELECT time, tx, outcome, to_address, asset, amount, detail FROM events WHERE wallet = '<wallet>' AND kind IN ('chain.tx', 'chain.nonce_missing') ORDER BY time DESC LIMIT 20"
  - "Ask the signer's records for the number that is missing: SELECT time, actor, request, tx, to_address, amount FROM events WHERE kind = 'signing.signed' AND wallet = '<wallet>' ORDER BY time DESC LIMIT 20"
  - Signed and lost. Send it again, or an empty transaction with its number.
  - Not signed. Somebody else may hold the key and has sent it where you do not look. Fill the number yourself, with a high fee.
false_positives:
  - A payout service that sends its transactions on a private path, and some of them not.
  - A pool that threw the missing one out because its fee was too low.
ccss: ["2.02.4.1"]
attack: [T1565.002]
parameters:
  patience:
    type: duration
    default: 2 minutes
    meaning: how long after the one that waits the missing one may still show itself
  reach:
    type: duration
    default: 1 hour
    meaning: how long before it the missing one may have been seen
*/
SELECT
  event_id,
  wallet AS entity,
  wallet,
  tx,
  chain,
  nonce,
  missing
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind = 'chain.tx') OVER (
      PARTITION BY wallet, chain, slot ORDER BY time RANGE BETWEEN $reach PRECEDING AND $patience FOLLOWING
    ) AS shown
  FROM (
    SELECT
      *,
      detail_int(detail, 'nonce') AS nonce,
      detail_int(detail, 'missing') AS missing,
      -- What waits for a number meets what has it.
      coalesce(detail_int(detail, 'missing'), detail_int(detail, 'nonce')) AS slot
    FROM events
    WHERE (kind = 'chain.tx' AND actor = wallet AND detail_int(detail, 'nonce') IS NOT NULL)
      OR (kind = 'chain.nonce_missing' AND wallet IS NOT NULL)
  )
)
WHERE kind = 'chain.nonce_missing' AND shown = 0
