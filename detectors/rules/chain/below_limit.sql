/*
version: 1
title: "{movements} movements of {asset} from wallet {wallet} within a day stay just below the limit of {limit_amount:asset}"
severity: medium
entity: the wallet and the asset
proof: corroborated
needs: [ledger]
uses: [limited_movements]
without_history: >-
  Needs none: amounts are held against the limits that the inventory declares.
response: []
suppress_for: 1d
meaning: >-
  Amounts within a tenth below the limit at which another approval is due, several times within a day. Who knows the limit
  and wants to stay unseen asks for just a little less.
runbook:
  - "List the day's payments of the asset: SELECT time, kind, request, tx, actor, to_address, amount FROM events WHERE wallet = '<wallet>' AND asset = '<asset>' ORDER BY time DESC"
  - Ask who asked for them, on another channel than the requests came by, and why in these amounts.
  - Hold those that are not signed yet until somebody above the limit has seen all of them together.
false_positives:
  - Customers who know the limit too and withdraw as much as they may.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  movements_minimum:
    type: integer
    default: 3
    meaning: movements within a day from which on it is told
*/
SELECT
  event_id,
  wallet || ' ' || asset AS entity,
  actor,
  session,
  wallet,
  request,
  amount,
  to_address,
  asset,
  chain,
  limit_amount,
  movements
FROM (
  SELECT
    *,
    count(DISTINCT movement) OVER (
      PARTITION BY wallet, asset ORDER BY time RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW
    ) AS movements,
    count(*) OVER (
      PARTITION BY movement ORDER BY time RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS told_before
  FROM limited_movements
  -- A tenth below at most, in whole base units, and without a product that an amount from outside could make too large.
  WHERE 10 * (limit_amount - least(amount, limit_amount)) <= limit_amount
)
WHERE movements >= $movements_minimum AND told_before = 0
