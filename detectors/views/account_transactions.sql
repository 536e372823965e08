/*
meaning: >-
  Transactions that accounts sent themselves, waiting or in a block, beside the signatures for them, and beside the state of the
  signer: the source that the inventory declares for the account, or else the one that last signed for it.
columns:
  signatures: signatures recorded for the transaction
  signer: the signer's source, or null when none is known
  signer_state: >-
    heard, or silent, or unwell (by its own word, or in a gap), or slow (declared to be later than is waited) around the transaction; unknown where no signer is
parameters:
  signature_reach:
    type: duration
    default: 7 days
    meaning: how long before the transaction its signature may have been recorded
  signer_delay:
    type: duration
    default: 5 minutes
    meaning: how long after the transaction the signer's record may still arrive
  trouble_reach:
    type: duration
    default: 1 hour
    meaning: how long a gap or a bad word of the signer about itself excuses a missing signature
*/
SELECT
  *,
  CASE
    WHEN troubles > 0 THEN 'unwell'
    WHEN signer IS NULL THEN 'unknown'
    WHEN CAST(time AS BIGINT) + 1000000000 * least(coalesce(max_delay_seconds, 0), 1000000)
      > CAST(least(time, TIMESTAMP '2200-01-01') + $signer_delay AS BIGINT) THEN 'slow'
    WHEN coalesce(heartbeat_seconds, 0) = 0 THEN 'heard'
    WHEN CAST(coalesce(heard_next, least(time, TIMESTAMP '2200-01-01') + $signer_delay) AS BIGINT)
      - CAST(heard_last AS BIGINT) <= 2000000000 * heartbeat_seconds THEN 'heard'
    ELSE 'silent'
  END AS signer_state
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind = 'signing.signed' AND (outcome IS DISTINCT FROM 'failed')) OVER (
      PARTITION BY tx ORDER BY time RANGE BETWEEN $signature_reach PRECEDING AND $signer_delay FOLLOWING
    ) AS signatures,
    count(*) FILTER (WHERE kind = 'source.gap' OR (kind = 'source.status' AND outcome IN ('degraded', 'down'))) OVER (
      PARTITION BY signer ORDER BY time RANGE BETWEEN $trouble_reach PRECEDING AND $signer_delay FOLLOWING
    ) AS troubles,
    max(spoke_at) OVER (
      PARTITION BY signer ORDER BY time RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW
    ) AS heard_last,
    min(spoke_at) OVER (
      PARTITION BY signer ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $signer_delay FOLLOWING
    ) AS heard_next
  FROM (
    SELECT
      d.*,
      s.heartbeat_seconds AS heartbeat_seconds,
      s.max_delay_seconds AS max_delay_seconds,
      CASE WHEN d.kind <> 'chain.tx' THEN d.time END AS spoke_at
    FROM (
      SELECT e.*, CASE WHEN kind = 'chain.tx' THEN coalesce(w.signer, signed_by) ELSE source END AS signer
      FROM (
        SELECT
          *,
          last_value(CASE WHEN kind = 'signing.signed' THEN source END) IGNORE NULLS OVER (
            PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS signed_by
        FROM events
        WHERE kind IN ('source.heartbeat', 'source.status', 'source.gap')
          OR (kind IN ('chain.tx', 'signing.signed') AND tx IS NOT NULL)
          OR (kind IN ('custody.request', 'signing.requested') AND asset IS NOT NULL)
      ) AS e
      LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
    ) AS d
    LEFT JOIN sources AS s ON s.system = d.system AND s.source = d.signer
  )
)
WHERE kind = 'chain.tx'
  AND wallet IS NOT NULL
  AND actor = wallet
  -- As a follower read it from a block or from the pool.
  AND detail_int(detail, 'nonce') IS NOT NULL
