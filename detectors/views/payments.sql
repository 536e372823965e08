/*
meaning: >-
  Value that leaves a wallet, one row for each record that a chain source makes of it, beside what the business ordered.
  Failed transactions, transfers of nothing and calls of a wallet to itself are left out, and so are tokens that the
  business never dealt in: anybody can make a token of their own report transfers from a stranger's wallet. A transaction
  that pays several is told by its transfers.
columns:
  ordered: the ledger has an order for this wallet, destination and asset of at least this amount
  ledger_known: a ledger is declared for the wallet, or has ordered from it within the last thirty days
  internal: the destination is a wallet of the same system
  approved: the destination is in the inventory
  purpose: what the wallet is for
parameters:
  order_reach:
    type: duration
    default: 8 days
    meaning: how long before a payment its order may have been recorded
  ledger_delay:
    type: duration
    default: 2 minutes
    meaning: how long after a payment its order may still arrive; the longest delay of the ledger's records
*/
SELECT
  *,
  coalesce(ordered_most >= amount, false) AS ordered,
  ledger IS NOT NULL OR orders_before > 0 AS ledger_known
FROM (
  SELECT
    *,
    max(amount) FILTER (WHERE orders) OVER (
      PARTITION BY wallet, to_address, asset ORDER BY time
      RANGE BETWEEN $order_reach PRECEDING AND $ledger_delay FOLLOWING
    ) AS ordered_most,
    count(*) FILTER (WHERE orders) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW
    ) AS orders_before,
    count(*) FILTER (WHERE NOT pays) OVER (
      PARTITION BY asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS dealt_in
  FROM (
    SELECT
      e.*,
      w.purpose AS purpose,
      w.ledger AS ledger,
      own.wallet IS NOT NULL AS internal,
      d.address IS NOT NULL AS approved,
      -- Where the ledger is declared, nobody else can order.
      kind = 'custody.request' AND (outcome IS DISTINCT FROM 'cancelled') AND (w.ledger IS NULL OR w.ledger = source)
        AS orders,
      kind IN ('chain.tx', 'chain.transfer') AS pays
    FROM events AS e
    LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
    LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
    LEFT JOIN destinations AS d ON d.system = e.system AND d.address = e.to_address
    WHERE (
        kind IN ('custody.request', 'signing.requested', 'signing.signed')
        OR (
          kind = 'chain.tx'
          AND coalesce(detail_int(detail, 'outputs'), 1) - coalesce(detail_int(detail, 'change_outputs'), 0) <= 1
        )
        OR (kind = 'chain.transfer' AND detail_text(detail, 'direction') = 'out')
      )
      AND e.wallet IS NOT NULL
      AND e.to_address IS NOT NULL
      AND e.amount > 0
  )
)
WHERE pays
  AND to_address <> wallet
  AND (outcome IS DISTINCT FROM 'failed')
  -- Symbols are the chain follower's own, for what it knows; everything else is the address of some contract.
  AND (asset IS NULL OR char_length(asset) < 20 OR dealt_in > 0)
