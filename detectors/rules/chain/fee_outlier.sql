/*
version: 3
title: Wallet {wallet} pays a fee of {fee_rate} a unit, at most {usual} in {fees_before} transactions before
severity: high
entity: the wallet
proof: corroborated
needs: [node]
uses: [payments]
without_history: >-
  Quiet below `history_minimum` fees within `reach`. The title says on how many fees the judgement stands.
response: []
suppress_for: 1h
meaning: >-
  Thieves pay to be confirmed before anybody can react. The fee rate of this transaction is many times the highest that
  the wallet paid in the last months, so it was not built by the wallet's usual software with its usual settings.
runbook:
  - Compare with the chain's fee market at that minute. If everybody paid that much, it is no finding.
  - "See the wallet's own past: SELECT time, tx, outcome, to_address, amount, detail FROM events WHERE wallet = '<wallet>' AND kind = 'chain.tx' ORDER BY time DESC"
  - Look at the rest of the shape. Destination, number of inputs and outputs, change; with another finding on the same transaction treat it as a theft.
  - Unconfirmed and not yours. Replace it now with a higher fee to your own address.
false_positives:
  - The first transaction in a rush on a chain whose blocks say no base fee, such as Bitcoin; or an operator who raised the fee by hand of a transaction that was stuck.
ccss: ["2.02.4.1"]
attack: [T1657]
parameters:
  ordered_factor:
    type: integer
    default: 50
    meaning: >-
      how many times the highest earlier fee rate is too much for a payment that the business ordered, or to a destination
      that is in the inventory
  market_reach:
    type: duration
    default: 6 hours
    meaning: how far back the fees of other wallets on the chain are looked at; what they pay too is a rush, not haste
  market_factor:
    type: integer
    default: 2
    meaning: how many times the highest fee of other wallets, or the base fee of the block, is still put down to a rush
  factor:
    type: integer
    default: 5
    meaning: how many times the highest earlier fee rate is too much
  reach:
    type: duration
    default: 90 days
    meaning: how far back the wallet's fees are compared; an old rush shall not excuse a theft for ever
  history_minimum:
    type: integer
    default: 3
    meaning: earlier fees within `reach` below which nothing counts as unusual
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
  fee_rate,
  usual,
  fees_before,
  market,
  base_fee
FROM (
  SELECT
    *,
    max(fee_rate) FILTER (WHERE outcome = 'success') OVER before AS usual,
    count(fee_rate) FILTER (WHERE outcome = 'success') OVER before AS fees_before,
    max(fee_rate) FILTER (WHERE outcome = 'success') OVER (
      PARTITION BY chain ORDER BY time RANGE BETWEEN $market_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS market,
    max(fee_rate) FILTER (WHERE outcome = 'success') OVER (
      PARTITION BY wallet, chain ORDER BY time
      RANGE BETWEEN $market_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS own_recent
  FROM (
    SELECT *, detail_int(detail, 'fee_rate') AS fee_rate, detail_int(detail, 'base_fee') AS base_fee
    FROM payments
    WHERE kind = 'chain.tx'
  )
  WINDOW before AS (
    -- One address lives on many chains, and each has its own prices.
    PARTITION BY wallet, chain ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE (outcome IS DISTINCT FROM 'failed')
  AND fees_before >= $history_minimum
  -- Divided, not multiplied: a forged rate near the largest integer must not overflow.
  AND fee_rate / (CASE WHEN ordered OR approved THEN $ordered_factor ELSE $factor END) > usual
  -- What this wallet itself paid just now is no market.
  AND (market IS NULL OR market = own_recent OR fee_rate / $market_factor > market)
  -- What the block asked of everybody is no haste of this wallet.
  AND (base_fee IS NULL OR fee_rate / $market_factor > base_fee)
