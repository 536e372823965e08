/*
version: 1
title: Wallet {wallet} pays {to_address} for the first time, which is not an approved destination
severity: medium
entity: the wallet and the destination
proof: corroborated
response: []
suppress_for: 1d
meaning: >-
  The wallet has a history of payments, and neither this destination is in it nor is it on the list of approved
  destinations. Thefts nearly always go to an address that was never paid before.
runbook:
  - "Look for the request behind it: SELECT time, source, kind, actor, request, to_address, amount FROM events WHERE tx = '<tx>' OR to_address = '<to_address>' ORDER BY time"
  - Confirm destination and amount with the person who asked for the payment, on another channel than the request came by.
  - Look at the address on chain. Age, first funding, tags; an address without a past that receives a large amount is the usual shape of a theft.
  - A regular counterparty is entered in the approved destinations by two persons. Otherwise raise the alert and hold the wallet.
false_positives:
  - A new counterparty or a new deposit address of a known one that was not entered in the inventory.
  - Wallets that pay customers. Give them no rule of this kind; disable it for their system or keep such wallets in a system of their own.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  history_minimum:
    type: integer
    default: 3
    meaning: earlier outgoing records of the wallet below which no destination counts as unusual
*/
SELECT
  event_id,
  e.wallet || ' ' || e.to_address AS entity,
  e.actor,
  e.wallet,
  e.request,
  e.tx,
  e.amount,
  e.to_address,
  e.asset,
  paid_before
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE happened) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS paid_before,
    count(*) FILTER (WHERE happened) OVER (
      PARTITION BY wallet, to_address ORDER BY time
      RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS paid_here_before
  FROM (
    SELECT *, (outcome IS DISTINCT FROM 'failed') AS happened
    FROM events
    WHERE wallet IS NOT NULL
      AND to_address IS NOT NULL
      AND (
        kind = 'chain.tx'
        -- Anybody can make a token report a transfer of nothing from a stranger's wallet, so as to plant an address in
        -- its history. Such transfers neither count nor teach.
        OR (kind = 'chain.transfer' AND detail_text(detail, 'direction') = 'out' AND amount > 0)
      )
  )
) AS e
LEFT JOIN destinations AS d ON d.system = e.system AND d.address = e.to_address
LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
WHERE d.address IS NULL
  AND own.wallet IS NULL
  -- A wallet that calls itself changes its own settings.
  AND e.to_address <> e.wallet
  AND happened
  AND paid_before >= $history_minimum
  AND paid_here_before = 0
