/*
meaning: >-
  Approvals and signatures of signing requests beside the decisions on them, and beside the state of the decision point: the one that
  the inventory declares for the wallet, or else the one that last decided for it.
columns:
  gated: >-
    the policy is asked at this step: always before a signature, and before an approval where nearly all earlier
    approvals of the wallet had been allowed before
  allows: allows for the same wallet and request
  denials: denials, where a verdict was recognised
  unknowns: decisions whose verdict was not recognised
  unnamed: >-
    a signature that names no request, of a wallet whose signer names the request of at least nineteen signatures in twenty: no
    decision can be about it
  decider: the decision point, or null when none is known
  decider_state: >-
    heard, or silent, or unwell (by its own word, or in a gap), or slow (declared to be later than is waited) around the approval; unknown where no decision point is
parameters:
  allow_reach:
    type: duration
    default: 24 hours
    meaning: how long before a signature or approval its allow may have been recorded
  decision_delay:
    type: duration
    default: 10 minutes
    meaning: how long after an approval its allow may still arrive; the longest upload delay of the decision log
  trouble_reach:
    type: duration
    default: 1 hour
    meaning: how long a gap or a bad word of the decision point about itself excuses a missing decision
*/
SELECT
  *,
  kind = 'signing.signed' OR (gated_before >= 3 AND gated_before > 4 * ungated_before) AS gated,
  CASE
    WHEN troubles > 0 THEN 'unwell'
    WHEN decider IS NULL THEN 'unknown'
    WHEN CAST(time AS BIGINT) + 1000000000 * least(coalesce(max_delay_seconds, 0), 1000000)
      > CAST(least(time, TIMESTAMP '2200-01-01') + $decision_delay AS BIGINT) THEN 'slow'
    WHEN coalesce(heartbeat_seconds, 0) = 0 THEN 'heard'
    WHEN CAST(coalesce(heard_next, least(time, TIMESTAMP '2200-01-01') + $decision_delay) AS BIGINT)
      - CAST(heard_last AS BIGINT) <= 2000000000 * heartbeat_seconds THEN 'heard'
    ELSE 'silent'
  END AS decider_state
FROM (
  SELECT
    *,
    -- Log time is the time of arrival, so an allow that was given before the approval may stand behind it.
    count(*) FILTER (WHERE verdict = 'allow') OVER around AS allows,
    count(*) FILTER (WHERE verdict NOT IN ('allow', 'unknown')) OVER around AS denials,
    count(*) FILTER (WHERE verdict = 'unknown') OVER around AS unknowns,
    count(*) FILTER (WHERE kind = 'source.gap' OR (kind = 'source.status' AND outcome IN ('degraded', 'down'))) OVER (
      PARTITION BY decider ORDER BY time RANGE BETWEEN $trouble_reach PRECEDING AND $decision_delay FOLLOWING
    ) AS troubles,
    max(spoke_at) OVER (
      PARTITION BY decider ORDER BY time RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW
    ) AS heard_last,
    min(spoke_at) OVER (
      PARTITION BY decider ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $decision_delay FOLLOWING
    ) AS heard_next
  FROM (
    SELECT
      d.*,
      s.heartbeat_seconds AS heartbeat_seconds,
      s.max_delay_seconds AS max_delay_seconds,
      CASE WHEN d.kind NOT IN ('signing.approved', 'signing.signed') THEN d.time END AS spoke_at,
      CASE WHEN d.kind = 'decision' THEN d.outcome END AS verdict
    FROM (
      SELECT
        e.*,
        CASE
          WHEN kind IN ('signing.approved', 'signing.signed') THEN coalesce(w.decision_point, decided_by)
          ELSE source
        END AS decider
      FROM (
        SELECT
          *,
          last_value(CASE WHEN kind = 'decision' THEN source END) IGNORE NULLS OVER (
            PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS decided_by,
          count(*) FILTER (WHERE kind = 'signing.approved' AND allowed_so_far > 0) OVER wallet_before AS gated_before,
          count(*) FILTER (WHERE kind = 'signing.approved' AND allowed_so_far = 0) OVER wallet_before AS ungated_before,
          count(*) FILTER (WHERE kind = 'signing.signed' AND NOT unnamed) OVER wallet_before AS named_before,
          count(*) FILTER (WHERE unnamed) OVER wallet_before AS unnamed_before
        FROM (
          SELECT
            *,
            count(*) FILTER (WHERE kind = 'decision' AND outcome = 'allow') OVER (
              PARTITION BY wallet, request ORDER BY time RANGE BETWEEN $allow_reach PRECEDING AND CURRENT ROW
            ) AS allowed_so_far,
            kind = 'signing.signed' AND request IS NULL AS unnamed
          FROM events
          WHERE kind IN ('source.heartbeat', 'source.status', 'source.gap')
            OR (
              kind IN ('decision', 'signing.approved', 'signing.signed')
              AND (request IS NOT NULL OR kind = 'signing.signed')
              AND wallet IS NOT NULL
              AND (kind <> 'signing.signed' OR (outcome IS DISTINCT FROM 'failed'))
            )
        )
        WINDOW wallet_before AS (
          PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 hour' PRECEDING
        )
      ) AS e
      LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
    ) AS d
    LEFT JOIN sources AS s ON s.system = d.system AND s.source = d.decider
  )
  WINDOW around AS (
    PARTITION BY wallet, request ORDER BY time
    RANGE BETWEEN $allow_reach PRECEDING AND $decision_delay FOLLOWING
  )
)
WHERE kind IN ('signing.approved', 'signing.signed')
  AND (NOT unnamed OR (named_before >= 20 AND named_before >= 19 * unnamed_before))
