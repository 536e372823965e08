/*
version: 1
title: "Wallet {wallet} paid out {assets} different assets within fifteen minutes"
severity: high
entity: the wallet
proof: corroborated
needs: [node]
uses: [payments]
without_history: >-
  Judged from the first payment on. A wallet that moved as many assets within the week before is no news.
response: []
suppress_for: 1d
meaning: >-
  Many assets leave the wallet at once, and the business did not order it. Customers ask for one asset at a time; who
  holds the key takes all of them.
runbook:
  - "List the payments: SELECT time, tx, to_address, asset, amount FROM events WHERE wallet = '<wallet>' AND kind IN ('chain.tx', 'chain.transfer') ORDER BY time DESC"
  - Ask treasury, by voice, which job pays. If nobody knows, it is a theft under way. Hold the wallet and move what is left.
  - Replace what is not confirmed yet with a higher fee to your own address.
  - Trace the destinations and ask exchanges and issuers to freeze.
false_positives:
  - A migration of a wallet, without an order.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  assets_minimum:
    type: integer
    default: 5
    meaning: different assets within fifteen minutes from which on it is told
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
  assets,
  assets_last_week
FROM (
  SELECT
    *,
    count(DISTINCT asset) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW
    ) AS assets,
    count(DISTINCT asset) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '8 days' PRECEDING AND INTERVAL '1 day' PRECEDING
    ) AS assets_last_week
  FROM payments
  WHERE pays AND NOT ordered AND NOT internal AND asset IS NOT NULL
)
WHERE assets >= $assets_minimum AND assets > assets_last_week
