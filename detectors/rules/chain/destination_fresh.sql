/*
version: 1
title: "Wallet {wallet}, which is for {purpose}, pays {to_address}, which the chain had never seen"
severity: medium
entity: the wallet and the destination
proof: corroborated
needs: [node]
response: []
suppress_for: 1d
meaning: >-
  A wallet that is declared `cold` or `treasury` paid an address that had never sent anything and had neither code nor balance. It is
  no approved destination and no wallet of the system, and no ledger orders payments of the wallet. Such wallets pay few and known
  addresses; a theft goes to one that was made for it. Wallets that pay customers, or say no purpose, are not judged here, and
  where a ledger orders, `chain/unordered_destination` and `chain/unordered_payment` judge.
runbook:
  - "Look for the request behind it: SELECT time, source, kind, actor, request, to_address, asset, amount FROM events WHERE tx = '<tx>' OR to_address = '<to_address>' ORDER BY time"
  - Ask who keeps the wallet whether the payment is theirs, on another channel than a request came by, and whether they hold the key of the address.
  - Not theirs. Treat it as a theft in progress. Move what is left, and call exchanges and issuers with the address.
  - Theirs. Enter the address among the destinations, or as a wallet of the system, by two persons; next time before it is paid.
false_positives:
  - A new wallet of your own, or a new deposit address at a counterparty, that was not entered in the inventory first.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters: {}
*/
SELECT
  event_id,
  e.wallet || ' ' || e.to_address AS entity,
  e.wallet,
  e.tx,
  e.to_address,
  e.chain,
  w.purpose AS purpose
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE orders) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW
    ) AS orders_before,
    -- An order may be recorded a little later than what it orders.
    count(*) FILTER (WHERE orders) OVER (
      PARTITION BY wallet, to_address ORDER BY time RANGE BETWEEN CURRENT ROW AND INTERVAL '2 minutes' FOLLOWING
    ) AS ordered_late
  FROM (
    SELECT
      *,
      kind = 'custody.request' AND (outcome IS NULL OR outcome = 'open') AS orders,
      detail_text(detail, 'used') AS used,
      detail_bool(detail, 'fresh') AS fresh
    FROM events
    WHERE kind IN ('chain.destination', 'custody.request') AND wallet IS NOT NULL
  )
) AS e
LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
LEFT JOIN destinations AS d ON d.system = e.system AND d.address = e.to_address
LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
WHERE e.kind = 'chain.destination'
  AND used = 'payment'
  AND fresh
  AND w.purpose IN ('cold', 'treasury')
  AND w.ledger IS NULL
  AND d.address IS NULL
  AND own.wallet IS NULL
  AND orders_before = 0
  AND ordered_late = 0
