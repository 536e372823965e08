/*
version: 2
title: Session {session} of {actor} was used after it had ended
severity: high
entity: the session
proof: corroborated
response: [session]
suppress_for: 1h
meaning: >-
  The identity provider said that this session is over, by log-out, expiry or revocation, and something still accepted
  it. Either that something does not ask the identity provider any more, or somebody keeps a copy of the session.
runbook:
  - "See its end and its use: SELECT time, event_time, source, kind, ip, country, device, outcome FROM events WHERE session = '<session>' ORDER BY event_time"
  - Name the application that accepted it; it has to check the session at each use. Until it does, restart it or drop its session cache.
  - Compare address and device of the late use with those before the end. Others mean a copied session; end all sessions of the person.
  - Hold every request that was made or approved by it after its end.
false_positives:
  - Clocks of two sources that differ by more than `grace`.
  - A request that was under way when the session ended.
  - A page that a proxy lets everybody see, asked for by a browser that still sends the session along.
ccss: ["1.04.1.1", "1.05.1.1", "2.02.3.2"]
attack: [T1550.004]
parameters:
  grace:
    type: duration
    default: 1 minute
    meaning: how long after its end a use is still put down to clocks and requests under way
  reach:
    type: duration
    default: 30 days
    meaning: how long an ended session is remembered
*/
SELECT
  event_id,
  session AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  kind AS used_as,
  ip,
  country,
  evidence_end
FROM (
  SELECT
    *,
    -- By what the sources claim, not by arrival: a late record of an earlier use is no use after the end.
    min(event_time) FILTER (WHERE kind IN ('session.ended', 'session.revoked')) OVER before AS ended_at,
    first_value(CASE WHEN kind IN ('session.ended', 'session.revoked') THEN event_id END) IGNORE NULLS OVER before
      AS evidence_end
  FROM events
  WHERE kind IN ('session.ended', 'session.revoked', 'session.presented', 'session.network', 'decision')
    AND session IS NOT NULL
  WINDOW before AS (
    PARTITION BY session ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
-- A refused use is the control at work.
WHERE (
    (kind = 'session.presented' AND (outcome IS DISTINCT FROM 'failure'))
    OR (kind = 'decision' AND outcome = 'allow')
    -- A proxy that answered the request for something behind it; a redirection is how one is sent to sign in again.
    OR (
      kind = 'session.network'
      AND (detail_int(detail, 'status') = 101 OR detail_int(detail, 'status') BETWEEN 200 AND 299)
      AND detail_text(detail, 'denied_by') IS NULL
    )
  )
  -- A claimed time near the end of all times must not overflow.
  AND event_time > least(ended_at, TIMESTAMP '2200-01-01') + $grace
