/*
version: 1
title: "Wallet {wallet} made {payments} payments within fifteen minutes, {payments_last_week} in the week before"
severity: high
entity: the wallet
proof: corroborated
needs: [node]
uses: [payments]
without_history: >-
  Judged from the first payment on: a wallet without a past that pays so often within minutes is told.
response: []
suppress_for: 1d
meaning: >-
  The wallet pays more often within minutes than on an average day, and the business did not order it. A thief with a hot
  key sends everything at once, before anybody wakes up.
runbook:
  - "List the payments: SELECT time, tx, to_address, asset, amount FROM events WHERE wallet = '<wallet>' AND kind IN ('chain.tx', 'chain.transfer') ORDER BY time DESC"
  - Ask treasury, by voice, which job pays. If nobody knows, it is a theft under way. Hold the wallet and move what is left.
  - Replace what is not confirmed yet with a higher fee to your own address.
  - Trace the destinations and ask exchanges and issuers to freeze.
false_positives:
  - The first batch of a payout job on a wallet whose ledger keywatch does not see.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  payments_minimum:
    type: integer
    default: 20
    meaning: payments within fifteen minutes from which on it is told
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  wallet,
  request,
  tx,
  amount,
  to_address,
  asset,
  payments,
  payments_last_week
FROM (
  SELECT
    *,
    count(DISTINCT tx) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW
    ) AS payments,
    count(DISTINCT tx) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '8 days' PRECEDING AND INTERVAL '1 day' PRECEDING
    ) AS payments_last_week,
    first_seen(time) OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
      AS pays_since
  FROM payments
  WHERE pays AND NOT ordered AND NOT internal
)
WHERE payments >= $payments_minimum
  -- More than on an average day; where there is no week to compare with, more than there ever was.
  AND CASE WHEN pays_since <= time - INTERVAL '8 days' THEN 7 ELSE 1 END * payments > payments_last_week
