/*
version: 1
title: "{actor} was allowed to act on {request} soon after a change of their second factor"
severity: medium
entity: the person
proof: corroborated
response: []
suppress_for: 1d
meaning: >-
  A thief who holds a live session, or has talked the help desk round, first enrols a factor of their own and then uses
  it. A signing decision within hours of such a change is worth one telephone call.
runbook:
  - "See the change and what followed: SELECT time, source, kind, session, ip, country, device, request, outcome, detail FROM events WHERE actor = '<actor>' ORDER BY time DESC"
  - Call the person on a known number. Did they change their factor, and did they ask for this request?
  - Not theirs. Remove the factor, end all sessions of the person, hold every request that they touched since.
  - Ask the help desk who made the change and on what proof of identity.
false_positives:
  - A new telephone or security key, followed by ordinary work. The identity provider and the policy must name the person alike, else the rule never matches.
ccss: ["1.05.1.1", "2.02.3.2"]
attack: [T1098.005, T1556.006]
parameters:
  reach:
    type: duration
    default: 24 hours
    meaning: how long after a change of factor a decision counts as soon
*/
SELECT
  event_id,
  actor AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  to_address,
  evidence_change
FROM (
  SELECT
    *,
    last_value(CASE WHEN kind = 'session.mfa_changed' THEN event_id END) IGNORE NULLS OVER before AS evidence_change
  FROM events
  WHERE kind IN ('session.mfa_changed', 'decision') AND actor IS NOT NULL
  WINDOW before AS (
    PARTITION BY actor ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE kind = 'decision' AND outcome = 'allow' AND request IS NOT NULL AND evidence_change IS NOT NULL
