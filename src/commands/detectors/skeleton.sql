/*
version: 1
title: "Wallet {wallet} paid {amount:asset}"
severity: medium
entity: the wallet
needs: [node]
without_history: >-
  Needs none.
response: []
suppress_for: 1h
meaning: >-
  What has happened when this fires, and why it matters, for somebody who is woken by it.
runbook:
  - "See what is known of it: SELECT time, source, kind, actor, amount FROM events WHERE tx = '<tx>' ORDER BY time"
  - What to ask whom, and on which channel.
  - What to do when it is an attack.
false_positives:
  - What honest people do that looks the same.
ccss: []
attack: []
parameters:
  payments_minimum:
    type: integer
    default: 5
    meaning: payments within the hour from which on it is told
*/
SELECT
  event_id,
  wallet AS entity,
  wallet,
  tx,
  amount,
  to_address,
  asset,
  payments
FROM (
  SELECT
    *,
    count(*) OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW)
      AS payments
  FROM events
  WHERE kind = 'chain.transfer' AND wallet IS NOT NULL AND detail_text(detail, 'direction') = 'out'
)
WHERE payments >= $payments_minimum
