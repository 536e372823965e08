/*
version: 1
title: "{request} was allowed on a risk score of {actor} that was too old"
severity: medium
entity: the session
needs: [session.risk, decision_point]
proof: corroborated
without_history: >-
  Quiet about sessions that the risk engine has not scored within `reach`.
response: []
suppress_for: 12h
meaning: >-
  The policy decision point allowed an act on a signing request, and the last score of the session was older than a score
  may be. A score tells of the moment in which it was made: a session that was stolen since still has the old one. Either
  the risk engine stopped, or somebody keeps a good score in use.
runbook:
  - "See the scores and the decisions: SELECT time, source, kind, outcome, detail FROM events WHERE session = '<session>' AND kind IN ('session.risk', 'decision') ORDER BY time"
  - Look whether the risk engine still scores other sessions. If not, mend it, and let the policy deny until then.
  - Have this session scored again before the request goes on.
  - Let the policy deny a score that is older than it may be.
false_positives:
  - A risk engine that scores a session only when something changes; raise `age` to what it promises.
ccss: ["1.05.1.1", "2.02.3.2"]
attack: [T1550.004]
parameters:
  age:
    type: duration
    default: 1 hour
    meaning: how old a score may be to be decided on
  reach:
    type: duration
    default: 30 days
    meaning: how long a score is remembered
*/
SELECT
  event_id,
  session AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  scored_at,
  evidence_score
FROM (
  SELECT
    *,
    max(CASE WHEN scores THEN event_time END) OVER before AS scored_at,
    last_value(CASE WHEN scores THEN event_id END) IGNORE NULLS OVER before AS evidence_score
  FROM (
    SELECT
      *,
      -- A level without a score is a notice of a change and says nothing of when it was looked at last.
      kind = 'session.risk' AND detail_text(detail, 'score') IS NOT NULL AS scores
    FROM events
    WHERE kind IN ('session.risk', 'decision') AND session IS NOT NULL
  )
  WINDOW before AS (
    PARTITION BY session ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE kind = 'decision'
  AND outcome = 'allow'
  AND request IS NOT NULL
  -- A policy that was given no score did not decide on one.
  AND coalesce(detail_text(detail, 'risk_type'), 'number') IN ('number', 'masked')
  -- A claimed time near the end of all times must not overflow.
  AND event_time > least(scored_at, TIMESTAMP '2200-01-01') + $age
