/*
version: 1
title: "{request} was allowed in a session of {actor} whose sign-on had become weaker"
severity: high
entity: the session
needs: [session.assurance, decision_point]
proof: corroborated
without_history: >-
  Quiet about sessions whose assurance did not fall within `reach`.
response: [session]
suppress_for: 1h
meaning: >-
  The identity provider said that the authentication of this session became weaker (a factor was downgraded, a stronger one
  ran out), it has not become stronger since, and the policy decision point allowed an act on a signing request in it. Who
  steals a session often keeps only what needs no second factor.
runbook:
  - "See the session: SELECT time, source, kind, outcome, ip, device, detail FROM events WHERE session = '<session>' ORDER BY time"
  - End the session and let the person sign on with the strong factor again. Ask whether they changed it.
  - Hold the request, and what else the session was allowed since.
  - Let the policy ask for the level at each decision, and not at the sign-on alone.
false_positives:
  - An identity provider that lowers the level by time alone, under a policy that tolerates it.
ccss: ["1.05.1.1", "2.02.3.2"]
attack: [T1556.006]
parameters:
  reach:
    type: duration
    default: 7 days
    meaning: how long a fall is held against a session
*/
SELECT
  event_id,
  session AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  level_now,
  evidence_fall
FROM (
  SELECT
    *,
    last_value(CASE WHEN kind = 'session.assurance' THEN outcome END) IGNORE NULLS OVER before AS last_word,
    last_value(CASE WHEN kind = 'session.assurance' THEN detail_text(detail, 'current_level') END) IGNORE NULLS OVER before
      AS level_now,
    last_value(CASE WHEN kind = 'session.assurance' THEN event_id END) IGNORE NULLS OVER before AS evidence_fall
  FROM events
  WHERE kind IN ('session.assurance', 'decision') AND session IS NOT NULL
  WINDOW before AS (
    PARTITION BY session ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE kind = 'decision' AND outcome = 'allow' AND request IS NOT NULL AND last_word = 'decreased'
