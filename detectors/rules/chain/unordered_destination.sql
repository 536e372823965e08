/*
version: 1
title: Wallet {wallet} pays {to_address} for the first time, and nobody ordered it
severity: high
entity: the wallet and the destination
proof: corroborated
needs: [node, ledger]
uses: [payments]
without_history: >-
  Judged from the first payment on; a wallet that no ledger has ordered from is left to `chain/destination_first_seen`.
response: []
suppress_for: 1d
meaning: >-
  A ledger orders payments of this wallet. This one it did not order, neither to this destination nor in this amount, and
  the destination was never paid before. Thefts are not ordered.
runbook:
  - "Look for an order that comes near: SELECT time, source, request, outcome, to_address, asset, amount FROM events WHERE wallet = '<wallet>' AND kind = 'custody.request' ORDER BY time DESC LIMIT 50"
  - "See who signed the transaction: SELECT time, source, kind, actor, request FROM events WHERE tx = '<tx>' ORDER BY time"
  - Ask treasury for the order behind it, on another channel than the request came by.
  - Without an order, treat it as a theft in progress. Hold the wallet, move what is left, call exchanges and issuers.
  - If the ledger is meant to order every payment of this wallet, declare it in the inventory; unordered payments are then critical.
false_positives:
  - Payments of operations that do not go through the ledger. Approve their destinations in the inventory, by two persons.
  - A ledger that names the asset otherwise than the chain follower does.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters: {}
*/
SELECT
  event_id,
  wallet || ' ' || to_address AS entity,
  actor,
  wallet,
  request,
  tx,
  amount,
  to_address,
  asset,
  ordered_in_all,
  paid_before
FROM (
  SELECT
    *,
    count(*) OVER (
      PARTITION BY wallet, to_address ORDER BY time
      RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS paid_here_before
  FROM payments
  WHERE pays
)
WHERE ledger IS NULL AND ledger_known AND NOT ordered AND NOT approved AND NOT internal AND paid_here_before = 0
