/*
meaning: >-
  Transfers out of wallets beside the signatures of their transactions, and beside the state of the signer: the source
  that the inventory declares for the wallet, or else the one that last signed for it.
columns:
  signatures: signatures recorded for the transaction, acts of a module among them
  signer: the signer's source, or null when none is known
  signer_state: >-
    heard, or silent, or unwell (by its own word, or in a gap), or slow (declared to be later than is waited) around the transfer; unknown where no signer is
parameters:
  signature_reach:
    type: duration
    default: 7 days
    meaning: how long before the transfer its signature may have been recorded
  signer_delay:
    type: duration
    default: 5 minutes
    meaning: how long after the transfer the signer's record may still arrive
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
    -- A module moves value without any signature; whether it may is the matter of chain/unknown_module.
    count(*) FILTER (WHERE kind IN ('signing.signed', 'chain.module_tx') AND (outcome IS DISTINCT FROM 'failed')) OVER (
      PARTITION BY tx ORDER BY time RANGE BETWEEN $signature_reach PRECEDING AND $signer_delay FOLLOWING
    ) AS signatures,
    count(*) FILTER (WHERE kind IN ('signing.requested', 'signing.signed', 'custody.request')) OVER (
      PARTITION BY asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS dealt_in,
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
      a.asset IS NOT NULL AS asset_declared,
      CASE WHEN d.kind NOT IN ('chain.transfer', 'chain.module_tx') THEN d.time END AS spoke_at
    FROM (
      SELECT e.*, CASE WHEN kind = 'chain.transfer' THEN coalesce(w.signer, signed_by) ELSE source END AS signer
      FROM (
        SELECT
          *,
          last_value(CASE WHEN kind = 'signing.signed' THEN source END) IGNORE NULLS OVER (
            PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS signed_by
        FROM events
        WHERE kind IN ('source.heartbeat', 'source.status', 'source.gap')
          OR (kind IN ('chain.transfer', 'chain.module_tx', 'signing.signed') AND tx IS NOT NULL)
          OR (kind IN ('custody.request', 'signing.requested') AND asset IS NOT NULL)
      ) AS e
      LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
    ) AS d
    LEFT JOIN sources AS s ON s.system = d.system AND s.source = d.signer
    LEFT JOIN assets AS a ON a.system = d.system AND a.chain = d.chain AND a.asset = d.asset
  )
)
WHERE kind = 'chain.transfer'
  AND detail_text(detail, 'direction') = 'out'
  AND wallet IS NOT NULL
  AND (outcome IS DISTINCT FROM 'failed')
  -- Anybody can make a token of their own report a transfer from a stranger's wallet, of nothing or of a fortune in it.
  -- Symbols are the chain follower's own, for what it knows; everything else is the address of some contract.
  AND (amount = 0) IS NOT TRUE
  AND (asset IS NULL OR char_length(asset) < 20 OR asset_declared OR dealt_in > 0)
