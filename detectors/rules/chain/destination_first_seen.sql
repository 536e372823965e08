/*
version: 3
title: Wallet {wallet} pays {to_address} for the first time, which is not an approved destination
severity: medium
entity: the wallet and the destination
proof: corroborated
needs: [node]
uses: [payments]
without_history: >-
  Quiet below `history_minimum` payments that are a day old, since nothing is unusual yet. Where a ledger is known,
  `chain/unordered_payment` and `chain/unordered_destination` judge from the first payment on.
response: []
suppress_for: 1d
meaning: >-
  The wallet usually pays the same destinations; this one is not among them, nor on the list of approved destinations,
  and no ledger says what the business ordered. Thefts nearly always go to an address that was never paid before.
runbook:
  - "Look for the request behind it: SELECT time, source, kind, actor, request, to_address, amount FROM events WHERE tx = '<tx>' OR to_address = '<to_address>' ORDER BY time"
  - Confirm destination and amount with the person who asked for the payment, on another channel than the request came by.
  - Look at the address on chain. Age, first funding, tags; an address without a past that receives a large amount is the usual shape of a theft.
  - A regular counterparty is entered in the approved destinations by two persons. Otherwise raise the alert and hold the wallet.
false_positives:
  - A new counterparty or a new deposit address of a known one that was not entered in the inventory.
  - Wallets that begin to pay customers. Declare the purpose `customer_withdrawals`, or better the ledger that orders their payments.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  history_minimum:
    type: integer
    default: 3
    meaning: payments of the wallet, at least a day old, below which no destination counts as unusual
*/
SELECT
  event_id,
  wallet || ' ' || to_address AS entity,
  actor,
  wallet,
  request,
  tx,
  amount,
  to_address,
  asset,
  payments_before
FROM (
  SELECT
    *,
    -- A habit is not formed within a day: the first payments of a theft shall not excuse the next. Nor is it formed by what
    -- only waited for its block.
    count(*) FILTER (WHERE outcome IS DISTINCT FROM 'unconfirmed') OVER wallet_before AS payments_before,
    count(*) FILTER (WHERE paid_here_before = 0 AND (outcome IS DISTINCT FROM 'unconfirmed')) OVER wallet_before
      AS first_payments_before
  FROM (
    SELECT
      *,
      count(*) FILTER (WHERE outcome IS DISTINCT FROM 'unconfirmed') OVER (
        PARTITION BY wallet, to_address ORDER BY time
        RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ) AS paid_here_before,
      -- What waits is told when it is seen, and not again with its block.
      count(*) OVER (
        PARTITION BY wallet, to_address ORDER BY time
        RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ) AS told_here_lately
    FROM payments
    WHERE pays
  )
  WINDOW wallet_before AS (
    PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING
  )
)
WHERE NOT ledger_known
  AND NOT approved
  AND NOT internal
  AND (purpose IS DISTINCT FROM 'customer_withdrawals')
  AND payments_before >= $history_minimum
  AND paid_here_before = 0
  AND told_here_lately = 0
  -- For a wallet that pays somebody new every other time, new addresses are no news.
  AND 2 * first_payments_before < payments_before
