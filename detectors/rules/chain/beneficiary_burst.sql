/*
version: 1
title: "Wallet {wallet} paid {to_address} {payments} times within two hours, and nobody ordered it"
severity: high
entity: the wallet and the destination
proof: corroborated
needs: [node]
uses: [payments]
without_history: >-
  Judged from the first payment on. A destination that was paid as often on an earlier day is no news.
response: []
suppress_for: 1d
meaning: >-
  One destination gets payment after payment that the business did not order. Who holds a key, or found an endpoint that
  pays, often takes the same portion again and again, below what would be noticed.
runbook:
  - "List the payments: SELECT time, tx, to_address, asset, amount FROM events WHERE wallet = '<wallet>' AND kind IN ('chain.tx', 'chain.transfer') ORDER BY time DESC"
  - Ask treasury, by voice, which job pays. If nobody knows, it is a theft under way. Hold the wallet and move what is left.
  - Replace what is not confirmed yet with a higher fee to your own address.
  - Trace the destinations and ask exchanges and issuers to freeze.
false_positives:
  - A market maker or exchange that is paid often, on the first day, by a wallet whose ledger keywatch does not see.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  payments_minimum:
    type: integer
    default: 10
    meaning: payments within two hours from which on it is told
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
  payments
FROM (
  SELECT
    *,
    count(DISTINCT tx) OVER (
      PARTITION BY wallet, to_address ORDER BY time RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND CURRENT ROW
    ) AS payments,
    count(DISTINCT tx) OVER (
      PARTITION BY wallet, to_address ORDER BY time
      RANGE BETWEEN INTERVAL '8 days' PRECEDING AND INTERVAL '1 day' PRECEDING
    ) AS payments_last_week
  FROM payments
  WHERE pays AND NOT ordered AND NOT approved AND NOT internal
)
WHERE payments >= $payments_minimum AND payments_last_week < $payments_minimum
