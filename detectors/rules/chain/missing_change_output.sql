/*
version: 1
title: Transaction {tx} spends {inputs} inputs of wallet {wallet} and leaves no change, which it always did before
severity: medium
entity: the wallet
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  On chains of coins and change, an ordinary payment returns the rest to the wallet. This transaction spends several
  coins and returns nothing, to a destination that is not approved. It is the shape of a sweep, and not of the wallet's
  usual software.
runbook:
  - "Compare with the wallet's past: SELECT time, tx, to_address, amount, detail FROM events WHERE wallet = '<wallet>' AND kind = 'chain.tx' ORDER BY time DESC"
  - Ask treasury for the order; a migration of the wallet has one.
  - Look at destination, fee and script type of the output. Together with another finding on the transaction, treat it as a theft.
  - Unconfirmed and not yours. Replace it now with a higher fee to your own address.
false_positives:
  - A consolidation or migration to an address that is not in the inventory.
  - A payment whose coins happen to add up; rare with `inputs_minimum` at 2 or more.
ccss: ["2.02.4.1"]
attack: [T1657]
parameters:
  history_minimum:
    type: integer
    default: 3
    meaning: earlier transactions with change below which nothing counts as unusual
  inputs_minimum:
    type: integer
    default: 2
    meaning: inputs from which a transaction without change counts as a sweep
*/
SELECT
  event_id,
  e.wallet AS entity,
  e.actor,
  e.wallet,
  e.request,
  e.tx,
  e.amount,
  e.to_address,
  inputs,
  with_change_before
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE outcome = 'success' AND change_outputs > 0) OVER before AS with_change_before,
    count(*) FILTER (WHERE outcome = 'success' AND change_outputs = 0) OVER before AS without_change_before
  FROM (
    SELECT *, detail_int(detail, 'change_outputs') AS change_outputs, detail_int(detail, 'inputs') AS inputs
    FROM events
    WHERE kind = 'chain.tx' AND wallet IS NOT NULL
  )
  WINDOW before AS (
    PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
) AS e
LEFT JOIN destinations AS d ON d.system = e.system AND d.address = e.to_address
LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
WHERE change_outputs = 0
  AND inputs >= $inputs_minimum
  AND d.address IS NULL
  AND own.wallet IS NULL
  AND (e.outcome IS DISTINCT FROM 'failed')
  AND with_change_before >= $history_minimum
  AND without_change_before = 0
