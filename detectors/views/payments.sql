/*
meaning: >-
  What the chain says of value that leaves a wallet, one row for each record, beside what the business ordered. Orders are
  used up: what left for a destination within a week is held against what was ordered for it, so that an order is not
  paid twice, nor excuses another payment.
columns:
  pays: >-
    value leaves for one destination. A transaction that pays several is told by its transfers. Failed transactions,
    transfers of nothing, calls of a wallet to itself, and tokens that are neither declared nor dealt in are no payments:
    anybody can make a token of their own report transfers from a stranger's wallet
  repeats: another record told of this payment before, as a transaction and the transfer in it do
  ordered: the ledger ordered this payment
  ledger_known: a ledger is declared for the wallet, or has ordered from it within the last thirty days
  ordered_in_all: >-
    base units ordered for this destination and asset within `order_reach`. An order that is opened again under its name
    is amended: its last amount holds; one that is withdrawn is left out
  paid_before: base units that left for it within a week before
  internal: the destination is a wallet of the same system
  approved: the destination is in the inventory
  purpose: what the wallet is for
parameters:
  order_reach:
    type: duration
    default: 10 days
    meaning: >-
      how long before a payment its order may have been recorded; three days more than payments are held against it, so that
      what was ordered on a Friday and signed on the Monday is not a payment whose order is forgotten first
  amended_reach:
    type: duration
    default: 9 days
    meaning: >-
      how long before a payment an order may have been amended or withdrawn in any case; before that, within `order_reach`, only
      where what it was before is still within `order_reach`
  settled_reach:
    type: duration
    default: 13 days
    meaning: >-
      how long before a payment its order may have been recorded where payments are held against orders for ten days instead of
      seven, so that an order excuses no second payment once the first is forgotten; where `order_reach` is longer, that holds
  ledger_delay:
    type: duration
    default: 2 minutes
    meaning: how long after a payment its order may still arrive; the longest delay of the ledger's records
*/
SELECT
  *,
  -- A sum must stay within 38 digits whatever amounts a chain reports; beyond 10^37 they count as 10^37.
  amount <= ordered_in_all
    AND least(paid_before, CAST('10000000000000000000000000000000000000' AS DECIMAL(38, 0)))
      + CASE
        WHEN repeats THEN 0
        ELSE least(amount, CAST('10000000000000000000000000000000000000' AS DECIMAL(38, 0)))
      END
      <= ordered_in_all
    AND least(paid_in_ten_days, CAST('10000000000000000000000000000000000000' AS DECIMAL(38, 0)))
      + CASE
        WHEN repeats THEN 0
        ELSE least(amount, CAST('10000000000000000000000000000000000000' AS DECIMAL(38, 0)))
      END
      <= greatest(opened_before, opened) AS ordered,
  ledger IS NOT NULL OR orders_before > 0 AS ledger_known,
  single
    -- What a transaction gives to a batching contract is told by the transfers out of it.
    AND (kind = 'chain.tx' AND is_multisend(to_address)) IS NOT TRUE
    AND amount > 0
    AND to_address <> wallet
    AND (outcome IS DISTINCT FROM 'failed')
    -- Symbols are the chain follower's own, for what it knows; everything else is the address of some contract.
    AND (asset IS NULL OR char_length(asset) < 20 OR asset_declared OR dealt_in > 0) AS pays
FROM (
  SELECT
    *,
    -- What an order was before it was amended or withdrawn is no longer ordered.
    greatest(opened - amended, 0)
      - CASE WHEN least(stated_last, TIMESTAMP '2200-01-01') + $order_reach >= time THEN amended_early ELSE 0 END
      AS ordered_in_all
  FROM (
    SELECT
      *,
      coalesce(sum(CASE WHEN opens THEN amount END) OVER (
        PARTITION BY wallet, to_address, asset ORDER BY time
        RANGE BETWEEN $order_reach PRECEDING AND $ledger_delay FOLLOWING
      ), 0) AS opened,
      coalesce(sum(CASE WHEN opens THEN amount END) OVER (
        PARTITION BY wallet, to_address, asset ORDER BY time
        RANGE BETWEEN $settled_reach PRECEDING AND $ledger_delay FOLLOWING
      ), 0) AS opened_before,
      coalesce(sum(CASE WHEN opens OR withdraws THEN stated END) OVER (
        PARTITION BY wallet, to_address, asset ORDER BY time
        RANGE BETWEEN $amended_reach PRECEDING AND $ledger_delay FOLLOWING
      ), 0) AS amended,
      -- Of what was amended earlier, the order may have left the sum before it was: taken off all the same, others would be
      -- short of it; never taken off, what was withdrawn would be ordered again for as long as it had stood.
      coalesce(sum(CASE WHEN opens OR withdraws THEN stated END) OVER (
        PARTITION BY wallet, to_address, asset ORDER BY time
        RANGE BETWEEN $order_reach PRECEDING AND $amended_reach PRECEDING
      ), 0) AS amended_early,
      max(CASE WHEN opens OR withdraws THEN stated_at END) OVER (
        PARTITION BY wallet, to_address, asset ORDER BY time
        RANGE BETWEEN $order_reach PRECEDING AND $amended_reach PRECEDING
      ) AS stated_last,
      coalesce(sum(CASE WHEN settles THEN amount END) OVER (
        PARTITION BY wallet, to_address, asset ORDER BY time
        RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ), 0) AS paid_before,
      coalesce(sum(CASE WHEN settles THEN amount END) OVER (
        PARTITION BY wallet, to_address, asset ORDER BY time
        RANGE BETWEEN INTERVAL '10 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ), 0) AS paid_in_ten_days,
      count(*) FILTER (WHERE opens) OVER (
        PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW
      ) AS orders_before,
      count(*) FILTER (WHERE NOT tells) OVER (
        PARTITION BY asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS dealt_in
    FROM (
      SELECT
        *,
        orders AND (outcome IS NULL OR outcome = 'open') AS opens,
        orders AND outcome = 'cancelled' AND stated IS NOT NULL AS withdraws,
        tells AND single AND (outcome IS NULL OR outcome = 'success') AND settled_before = 0 AS settles,
        tells AND settled_before > 0 AS repeats
      FROM (
        SELECT
          *,
          -- A transaction and the transfers in it are records of one payment.
          count(*) FILTER (WHERE tells AND single AND (outcome IS NULL OR outcome = 'success')) OVER (
            PARTITION BY wallet, tx, to_address, asset ORDER BY time
            RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
          ) AS settled_before,
          -- An order goes by its name: opened again it is amended and its last amount holds, withdrawn it is nothing; that
          -- it is done orders nothing.
          last_value(
            CASE WHEN orders AND (outcome IS NULL OR outcome = 'open') THEN amount WHEN orders AND outcome = 'cancelled' THEN 0 END
          ) IGNORE NULLS OVER (
            PARTITION BY wallet, to_address, asset, request ORDER BY time
            RANGE BETWEEN INTERVAL '16 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
          ) AS stated,
          last_value(
            CASE WHEN orders AND (outcome = 'cancelled' OR ((outcome IS NULL OR outcome = 'open') AND amount IS NOT NULL)) THEN time END
          ) IGNORE NULLS OVER (
            PARTITION BY wallet, to_address, asset, request ORDER BY time
            RANGE BETWEEN INTERVAL '16 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
          ) AS stated_at
        FROM (
          SELECT
            e.*,
            w.purpose AS purpose,
            w.ledger AS ledger,
            own.wallet IS NOT NULL AS internal,
            d.address IS NOT NULL AS approved,
            a.asset IS NOT NULL AS asset_declared,
            -- Where the ledger is declared, nobody else can order.
            kind = 'custody.request' AND (w.ledger IS NULL OR w.ledger = source) AS orders,
            kind IN ('chain.tx', 'chain.transfer') AS tells,
            coalesce(detail_int(detail, 'outputs'), 1) - coalesce(detail_int(detail, 'change_outputs'), 0) <= 1 AS single
          FROM events AS e
          LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
          LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
          LEFT JOIN destinations AS d ON d.system = e.system AND d.address = e.to_address
          LEFT JOIN assets AS a ON a.system = e.system AND a.chain = e.chain AND a.asset = e.asset
          WHERE (
              kind IN ('custody.request', 'signing.requested', 'signing.signed', 'chain.tx')
              OR (kind = 'chain.transfer' AND detail_text(detail, 'direction') = 'out')
            )
            AND e.wallet IS NOT NULL
        )
      )
    )
  )
)
WHERE tells
