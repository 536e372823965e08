/*
version: 1
title: "Wallet {wallet} paid out {amount:asset} {payments} times within two hours"
severity: high
entity: the wallet and the amount
proof: corroborated
needs: [node]
uses: [payments]
without_history: >-
  Judged from the first payment on. A portion that was paid as often on an earlier day is no news.
response: []
suppress_for: 1d
meaning: >-
  The same amount leaves the wallet again and again, and the business did not order it. A script empties wallets in even
  portions; people and customers do not agree on an amount.
runbook:
  - "List the payments: SELECT time, tx, to_address, asset, amount FROM events WHERE wallet = '<wallet>' AND kind IN ('chain.tx', 'chain.transfer') ORDER BY time DESC"
  - Ask treasury, by voice, which job pays. If nobody knows, it is a theft under way. Hold the wallet and move what is left.
  - Replace what is not confirmed yet with a higher fee to your own address.
  - Trace the destinations and ask exchanges and issuers to freeze.
false_positives:
  - A payout of equal bonuses or refunds by a wallet whose ledger keywatch does not see.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  payments_minimum:
    type: integer
    default: 12
    meaning: payments of one amount within two hours from which on it is told
*/
SELECT
  event_id,
  wallet || ' ' || asset || ' ' || CAST(amount AS VARCHAR) AS entity,
  actor,
  wallet,
  request,
  tx,
  amount,
  to_address,
  asset,
  chain,
  payments
FROM (
  SELECT
    *,
    count(DISTINCT tx) OVER (
      PARTITION BY wallet, asset, amount ORDER BY time RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND CURRENT ROW
    ) AS payments,
    count(DISTINCT tx) OVER (
      PARTITION BY wallet, asset, amount ORDER BY time
      RANGE BETWEEN INTERVAL '8 days' PRECEDING AND INTERVAL '1 day' PRECEDING
    ) AS payments_last_week
  FROM payments
  WHERE pays AND NOT ordered AND NOT internal AND asset IS NOT NULL
)
WHERE payments >= $payments_minimum AND payments_last_week < $payments_minimum
