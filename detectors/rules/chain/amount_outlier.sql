/*
version: 1
title: Wallet {wallet} moves {amount} base units of {asset}, at most {largest_before} base units of {asset} ever before
severity: high
entity: the wallet and the asset
proof: corroborated
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
    meaning: how many times the largest earlier amount is too much
  history_minimum:
    type: integer
    default: 3
    meaning: earlier outgoing records in the asset below which no amount counts as unusual
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
  largest_before,
  moved_before
FROM (
  SELECT
    *,
    max(amount) FILTER (WHERE outcome = 'success') OVER before AS largest_before,
    count(amount) FILTER (WHERE outcome = 'success') OVER before AS moved_before
  FROM events
  WHERE wallet IS NOT NULL
    AND asset IS NOT NULL
    -- A call that moves nothing says nothing about usual amounts.
    AND amount > 0
    AND (kind = 'chain.tx' OR (kind = 'chain.transfer' AND detail_text(detail, 'direction') = 'out'))
  WINDOW before AS (
    PARTITION BY wallet, chain, asset ORDER BY time
    RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE (outcome IS DISTINCT FROM 'failed')
  AND moved_before >= $history_minimum
  AND amount > largest_before
  -- The product must stay within 38 digits whatever amounts a chain reports; beyond 10^36 the bound is 10^36.
  AND amount > least(largest_before, CAST('1000000000000000000000000000000000000' AS DECIMAL(38, 0))) * $factor
