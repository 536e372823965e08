/*
version: 1
title: "Wallet {wallet} paid {amount} base units of {asset} to {to_address}, which its ledger did not order"
severity: critical
entity: the wallet and the destination
proof: corroborated
needs: [node, ledger]
without_history: >-
  Needs none: an order is missing from the first payment on.
response: [wallet]
suppress_for: 1h
meaning: >-
  The inventory declares a ledger that orders every payment of this wallet. What left for this destination within the
  last week is more than what was ordered for it: either nobody ordered it, or it was ordered to another address, in a
  smaller amount, or once and paid twice, or the order was withdrawn.
runbook:
  - "Compare orders and payments: SELECT time, source, kind, request, outcome, asset, amount, tx FROM events WHERE wallet = '<wallet>' AND to_address = '<to_address>' ORDER BY time"
  - "See who signed the transaction, and for which request: SELECT time, source, kind, actor, request FROM events WHERE tx = '<tx>' ORDER BY time"
  - Ask treasury for the order behind it, on another channel than the request came by.
  - Without an order, treat it as a theft in progress. Hold the wallet, move what is left, call exchanges and issuers.
  - Paid twice. Stop the payout job first; then ask the receiver.
false_positives:
  - The ledger's record is later than `ledger_delay`, for example after an outage of its connection.
  - A ledger that names the asset otherwise than the chain follower does, or orders without fees what is paid with them.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  ledger_delay:
    type: duration
    default: 2 minutes
    meaning: how long after a payment its order may still arrive; the longest delay of the ledger's records
*/
SELECT
  event_id,
  p.wallet || ' ' || p.to_address AS entity,
  p.actor,
  p.wallet,
  p.request,
  p.tx,
  p.amount,
  p.to_address,
  p.asset,
  coalesce(ordered_sum, 0) - coalesce(withdrawn_sum, 0) AS ordered_in_all,
  coalesce(paid_sum, 0) AS paid_before
FROM (
  SELECT
    *,
    -- Orders reach a day further back than payments, so that what was ordered in time is never missed.
    sum(CASE WHEN first_order THEN amount END) OVER orders AS ordered_sum,
    -- Anybody can make a token of their own report transfers from a stranger's wallet.
    count(*) FILTER (WHERE kind = 'custody.request') OVER (
      PARTITION BY asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS dealt_in,
    sum(CASE WHEN withdrawal THEN amount END) OVER orders AS withdrawn_sum,
    sum(CASE WHEN pays AND settled AND settled_before = 0 THEN amount END) OVER (
      PARTITION BY wallet, to_address, asset ORDER BY time
      RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS paid_sum,
    max(CASE WHEN kind <> 'chain.tx' AND kind <> 'chain.transfer' THEN time END) OVER ledger_around AS ledger_last,
    count(*) FILTER (WHERE kind = 'source.gap' OR (kind = 'source.status' AND outcome IN ('degraded', 'down')))
      OVER ledger_around AS ledger_troubles
  FROM (
    SELECT
      *,
      kind = 'custody.request' AND (outcome IS DISTINCT FROM 'cancelled') AND stated_before = 0 AS first_order,
      kind = 'custody.request' AND outcome = 'cancelled' AND stated_before > 0 AS withdrawal
    FROM (
      SELECT
        e.*,
        w.ledger AS ledger,
        CASE WHEN e.kind IN ('chain.tx', 'chain.transfer') THEN w.ledger ELSE e.source END AS ledger_or_self,
        e.kind IN ('chain.tx', 'chain.transfer') AS pays,
        e.outcome IS NULL OR e.outcome = 'success' AS settled,
        -- A transaction and the transfers in it are records of one payment.
        count(*) FILTER (WHERE e.kind IN ('chain.tx', 'chain.transfer') AND (e.outcome IS NULL OR e.outcome = 'success'))
          OVER (
            PARTITION BY e.wallet, e.tx, e.to_address, e.asset ORDER BY e.time
            RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
          ) AS settled_before,
        -- An order is opened, done or withdrawn under one name.
        count(*) FILTER (WHERE e.kind = 'custody.request' AND (e.outcome IS DISTINCT FROM 'cancelled')) OVER (
          PARTITION BY e.wallet, e.to_address, e.asset, e.request ORDER BY e.time
          RANGE BETWEEN INTERVAL '16 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
        ) AS stated_before
      FROM events AS e
      LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
      WHERE e.kind IN ('source.gap', 'source.status', 'source.heartbeat')
        OR (
          w.ledger IS NOT NULL
          AND e.to_address IS NOT NULL
          AND e.amount > 0
          AND (
            (e.kind = 'custody.request' AND e.source = w.ledger)
            -- A transaction that pays several is told by its transfers.
            OR (
              e.kind = 'chain.tx'
              AND coalesce(detail_int(e.detail, 'outputs'), 1) - coalesce(detail_int(e.detail, 'change_outputs'), 0) <= 1
            )
            OR (e.kind = 'chain.transfer' AND detail_text(e.detail, 'direction') = 'out')
          )
        )
    )
  )
  WINDOW
    orders AS (
      PARTITION BY wallet, to_address, asset ORDER BY time
      RANGE BETWEEN INTERVAL '8 days' PRECEDING AND $ledger_delay FOLLOWING
    ),
    ledger_around AS (
      PARTITION BY ledger_or_self ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND $ledger_delay FOLLOWING
    )
) AS p
LEFT JOIN wallets AS own ON own.system = p.system AND own.wallet = p.to_address
LEFT JOIN sources AS s ON s.system = p.system AND s.source = p.ledger
WHERE p.pays
  AND p.settled_before = 0
  AND own.wallet IS NULL
  AND (p.outcome IS DISTINCT FROM 'failed')
  AND (p.asset IS NULL OR char_length(p.asset) < 20 OR dealt_in > 0)
  AND coalesce(paid_sum, 0) + p.amount > coalesce(ordered_sum, 0) - coalesce(withdrawn_sum, 0)
  -- A ledger that is unwell or not heard cannot be missed; that itself is told by source/silent.
  AND ledger_troubles = 0
  AND (coalesce(s.heartbeat_seconds, 0) NOT BETWEEN 1 AND 1800 OR ledger_last IS NOT NULL)
