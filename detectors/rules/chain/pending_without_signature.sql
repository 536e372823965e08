/*
version: 1
title: "Account {wallet} has {tx} waiting, for which no signature is known"
severity: critical
entity: the wallet
proof: corroborated
needs: [node, signer]
without_history: >-
  A wallet whose signer is neither declared nor has ever spoken is not judged; coverage shows it as blind.
response: [wallet]
suppress_for: 1h
meaning: >-
  A transaction of this account waits for its block, and the signer has no record of a signature for it. Somebody else signs with
  the account's key, and it has not happened yet: until it stands in a block, one with the same number and a higher fee takes its
  place. Of transactions that stand in a block, `chain/outflow_without_signature` and `chain/transaction_without_signature` tell.
runbook:
  - Sign an empty transaction of the account to itself with the same number (`nonce` of the event) and a fee well above, and send it to several nodes. Whoever has the key does the same; the highest fee wins.
  - "See what is known of the transaction: SELECT time, source, kind, actor, to_address, asset, amount, outcome, detail FROM events WHERE tx = '<tx>' ORDER BY time"
  - "Check that the signer was heard: SELECT source, max(time) FROM events WHERE kind LIKE 'signing.%' GROUP BY source"
  - Take the key as copied until somebody can say who used it. Move what it alone can move, and take it out of every multisig.
false_positives:
  - The signer's record is later than `signer_delay` though it said nothing bad about itself; raise it, or declare the source's delay.
  - An account whose key is also held by a machine that is no source of keywatch, such as a relayer that pays for gas.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1078, T1552, T1657]
parameters:
  signature_reach:
    type: duration
    default: 7 days
    meaning: how long before the transaction was seen its signature may have been recorded
  signer_delay:
    type: duration
    default: 20 seconds
    meaning: how long after the transaction was seen the signer's record may still arrive
  trouble_reach:
    type: duration
    default: 1 hour
    meaning: how long a gap or a bad word of the signer about itself excuses a missing signature
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  wallet,
  tx,
  amount,
  asset,
  to_address,
  chain,
  detail_text(detail, 'selector') AS selector,
  signer
FROM (
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
    AND outcome = 'unconfirmed'
    -- An account's own, as a follower found it in a pool.
    AND detail_int(detail, 'nonce') IS NOT NULL
)
WHERE signatures = 0 AND signer_state = 'heard'
