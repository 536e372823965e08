/*
version: 1
title: "{movements} movements of {asset} to {to_address} within an hour come to {together:asset}, above the limit of {limit_amount:asset}"
severity: medium
entity: the wallet and the destination
proof: corroborated
needs: [ledger]
uses: [limited_movements]
without_history: >-
  Needs none: amounts are held against the limits that the inventory declares.
response: []
suppress_for: 1d
meaning: >-
  Each movement is below the limit at which another approval is due, and together they are above it: one payment was
  split. The second pair of eyes that the limit is for was not asked.
runbook:
  - "List the day's payments of the asset: SELECT time, kind, request, tx, actor, to_address, amount FROM events WHERE wallet = '<wallet>' AND asset = '<asset>' ORDER BY time DESC"
  - Ask who asked for them, on another channel than the requests came by, and why in these amounts.
  - Hold those that are not signed yet until somebody above the limit has seen all of them together.
false_positives:
  - A customer who withdraws several times.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  movements_minimum:
    type: integer
    default: 2
    meaning: movements within an hour from which on it is told
*/
SELECT
  event_id,
  wallet || ' ' || to_address AS entity,
  actor,
  session,
  wallet,
  request,
  amount,
  to_address,
  asset,
  chain,
  limit_amount,
  together,
  movements
FROM (
  SELECT
    *,
    count(*) OVER hour_before AS movements,
    sum(amount) OVER hour_before AS together
  FROM (
    SELECT
      *,
      count(*) OVER (
        PARTITION BY movement ORDER BY time
        RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ) AS stated_before
    FROM limited_movements
    WHERE to_address IS NOT NULL
  )
  WHERE stated_before = 0
  WINDOW hour_before AS (
    PARTITION BY wallet, asset, to_address ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW
  )
)
WHERE movements >= $movements_minimum AND together > limit_amount
