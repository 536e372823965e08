/*
version: 2
title: Wallet {wallet} moves {amount:asset}, at most {largest_before:asset} in {moved_before} movements before
severity: high
entity: the wallet and the asset
proof: corroborated
needs: [node]
uses: [payments]
without_history: >-
  Quiet below `history_minimum` movements of the asset; where a ledger is known, `chain/unordered_payment` and
  `chain/unordered_destination` judge from the first on. The title says on how many movements the judgement stands.
response: []
suppress_for: 1h
meaning: >-
  The amount is several times the largest that ever left this wallet in this asset. Thieves take all there is; the
  business takes what it needs.
runbook:
  - "Compare with the wallet's past: SELECT time, kind, tx, to_address, amount FROM events WHERE wallet = '<wallet>' AND asset = '<asset>' ORDER BY amount DESC"
  - Ask treasury for the order behind it, on another channel than the request came by.
  - Look whether the wallet is empty afterwards, and whether other assets leave at the same time.
  - Without an order, treat it as a theft in progress. Hold the wallet, move what is left, call exchanges and issuers.
false_positives:
  - A migration of the whole wallet, or an unusually large withdrawal, both with an order.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  factor:
    type: integer
    default: 5
    meaning: how many times the largest earlier amount is too much, where nobody ordered it
  ordered_factor:
    type: integer
    default: 50
    meaning: >-
      the same where the business ordered this amount (an order can be forged too), where the destination is in the
      inventory, or within `probation`
  probation:
    type: duration
    default: 7 days
    meaning: how long an asset must have moved before a few times the largest amount is unusual
  history_minimum:
    type: integer
    default: 3
    meaning: earlier movements of the asset below which no amount counts as unusual
*/
SELECT
  event_id,
  wallet || ' ' || asset AS entity,
  actor,
  wallet,
  request,
  tx,
  amount,
  to_address,
  asset,
  chain,
  largest_before,
  moved_before,
  ordered
FROM (
  SELECT
    *,
    max(amount) FILTER (WHERE outcome = 'success') OVER before AS largest_before,
    count(amount) FILTER (WHERE outcome = 'success' AND NOT repeats) OVER before AS moved_before,
    first_seen(time) OVER before AS moves_since
  FROM payments
  WHERE pays AND asset IS NOT NULL
  WINDOW before AS (
    PARTITION BY wallet, chain, asset ORDER BY time
    RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE NOT internal
  AND moved_before >= $history_minimum
  AND amount > largest_before
  -- The product must stay within 38 digits whatever amounts a chain reports; beyond 10^36 the bound is 10^36.
  AND amount > least(largest_before, CAST('1000000000000000000000000000000000000' AS DECIMAL(38, 0)))
    * (CASE WHEN ordered OR approved OR moves_since > time - $probation THEN $ordered_factor ELSE $factor END)
