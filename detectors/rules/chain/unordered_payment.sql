/*
version: 1
title: "Wallet {wallet} paid {amount:asset} to {to_address}, which its ledger did not order"
severity: critical
entity: the wallet and the destination
proof: corroborated
needs: [node, ledger]
uses: [payments]
without_history: >-
  Needs none: an order is missing from the first payment on.
response: [wallet]
suppress_for: 1h
meaning: >-
  The inventory declares a ledger that orders every payment of this wallet. What left for this destination within the
  last week is more than what was ordered for it: either nobody ordered it, or it was ordered to another address, in a
  smaller amount, or once and paid twice, or the order was withdrawn.
runbook:
  - "Compare orders and payments: SELECT time, source, kind, request, outcome, asset, amount, tx FROM events WHERE wallet = '<wallet>' AND to_address = '<to_address>' ORDER BY time"
  - "See who signed the transaction, and for which request: SELECT time, source, kind, actor, request FROM events WHERE tx = '<tx>' ORDER BY time"
  - Ask treasury for the order behind it, on another channel than the request came by.
  - Without an order, treat it as a theft in progress. Hold the wallet, move what is left, call exchanges and issuers.
  - Paid twice. Stop the payout job first; then ask the receiver.
false_positives:
  - The ledger's record is later than `ledger_delay`, for example after an outage of its connection.
  - A ledger that names the asset otherwise than the chain follower does, or orders without fees what is paid with them.
  - A transaction that was replaced by one of the same payment, where the chain follower counts both as mined.
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
  chain,
  ordered_in_all,
  paid_before
FROM payments
WHERE pays AND NOT repeats AND NOT ordered AND NOT internal AND ledger IS NOT NULL
