/*
meaning: >-
  Approvals of signing requests beside the decisions on them, and beside the state of the decision point: the one that
  the inventory declares for the wallet, or else the one that last decided for it.
columns:
  allows: allows for the same wallet and request
  denials: denials, where a verdict was recognised
  unknowns: decisions whose verdict was not recognised
  decider: the decision point, or null when none is known
  decider_state: >-
    heard, or silent, or unwell (by its own word, or in a gap) around the approval; unknown where no decision point is
parameters:
  allow_reach:
    type: duration
    default: 2 hours
    meaning: how long before an approval its allow may have been recorded
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
  CASE
    WHEN troubles > 0 THEN 'unwell'
    WHEN decider IS NULL THEN 'unknown'
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
      CASE WHEN d.kind <> 'signing.approved' THEN d.time END AS spoke_at,
      CASE WHEN d.kind = 'decision' THEN d.outcome END AS verdict
    FROM (
      SELECT
        e.*,
        CASE WHEN kind = 'signing.approved' THEN coalesce(w.decision_point, decided_by) ELSE source END AS decider
      FROM (
        SELECT
          *,
          last_value(CASE WHEN kind = 'decision' THEN source END) IGNORE NULLS OVER (
            PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS decided_by
        FROM events
        WHERE kind IN ('source.heartbeat', 'source.status', 'source.gap')
          OR (kind IN ('decision', 'signing.approved') AND request IS NOT NULL AND wallet IS NOT NULL)
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
WHERE kind = 'signing.approved'
