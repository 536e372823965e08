/*
version: 1
title: "Account {wallet} signed number {nonce} twice: {earlier_tx} to {earlier_to}, and {tx} to {to_address}"
severity: high
entity: the wallet
proof: corroborated
needs: [node]
without_history: >-
  Judged from the first transactions on; one that replaces what was seen before the history began is not known as such.
response: [wallet]
suppress_for: 1h
meaning: >-
  An account on Ethereum or one of its relatives numbers what it signs, and only one transaction of each number comes into a
  block. Two were seen, in a pool or in blocks, and they do different things. Who raises a fee sends the same again, and who takes
  one back sends nothing to themselves; both are left out. What remains is a key that two hold and race with, a signer that lost
  count, or a payment that was exchanged for another after it was approved.
runbook:
  - "See both: SELECT time, source, kind, tx, outcome, to_address, asset, amount, detail FROM events WHERE tx IN ('<tx>', '<earlier_tx>') ORDER BY time"
  - "Compare with what was signed: SELECT time, source, actor, request, tx, to_address, amount FROM events WHERE kind = 'signing.signed' AND wallet = '<wallet>' ORDER BY time DESC LIMIT 20"
  - One of them was not signed by your signer. The key is copied. Outbid it with an empty transaction of the same number while it waits, and move what is left.
  - Both were. Find out who asked for the second, and whether the first was cancelled; two signers of one account need one count.
false_positives:
  - A payout service that gives up on a payment that is stuck and uses its number for another.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1078, T1565.002]
parameters:
  reach:
    type: duration
    default: 1 day
    meaning: how far apart the two may be seen
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  wallet,
  tx,
  amount,
  asset,
  to_address,
  chain,
  nonce,
  earlier_tx,
  earlier_to,
  evidence_earlier
FROM (
  SELECT
    *,
    first_value(tx) OVER so_far AS earlier_tx,
    first_value(to_address) OVER so_far AS earlier_to,
    first_value(asset) OVER so_far AS earlier_asset,
    first_value(selector) OVER so_far AS earlier_selector,
    first_value(event_id) OVER so_far AS evidence_earlier
  FROM (
    SELECT
      *,
      detail_int(detail, 'nonce') AS nonce,
      detail_text(detail, 'selector') AS selector
    FROM events
    -- What the account sent itself; a multisig's own numbers are another row.
    WHERE kind = 'chain.tx'
      AND wallet IS NOT NULL
      AND tx IS NOT NULL
      AND actor = wallet
      AND detail_int(detail, 'nonce') IS NOT NULL
  )
  WINDOW so_far AS (PARTITION BY wallet, chain, nonce ORDER BY time RANGE BETWEEN $reach PRECEDING AND CURRENT ROW)
)
WHERE tx <> earlier_tx
  AND (
    (to_address IS DISTINCT FROM earlier_to)
    OR (asset IS DISTINCT FROM earlier_asset)
    OR (selector IS DISTINCT FROM earlier_selector)
  )
  -- Who takes a transaction back sends nothing to themselves.
  AND (to_address = wallet AND (amount > 0) IS NOT TRUE) IS NOT TRUE
