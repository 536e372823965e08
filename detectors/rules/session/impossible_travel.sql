/*
version: 1
title: "{actor} is in {country} {minutes} minutes after {country_before}, at least {km} km away"
severity: high
entity: the person
proof: corroborated
needs: [session]
without_history: >-
  Judged from a person's second session on. Networks that the person used on another day are no news.
response: [session]
suppress_for: 1d
meaning: >-
  Two sessions of one person were used from two countries, sooner one after the other than anybody travels, from a network
  where the person was not seen on another day, and without the second factor. Somebody else has the password, or a
  session was made for them.
runbook:
  - "See both: SELECT time, kind, session, ip, country, asn, device, outcome FROM events WHERE actor = '<actor>' ORDER BY event_time DESC LIMIT 50"
  - Ask the person, by voice, where they are and which sessions are theirs.
  - Not theirs. End all sessions of the person, reset password and factors, and hold what the foreign session asked for or approved.
  - A provider that places its addresses in another country. Declare it in `networks` if it is the company's.
false_positives:
  - A private VPN or a roaming phone on the first day of its use.
  - An identity provider's wrong idea of where an address is.
ccss: ["1.05.1.1", "1.05.2.1", "2.02.3.2"]
attack: [T1078]
parameters:
  place_reach:
    type: duration
    default: 24 hours
    meaning: how long the last place of a person is remembered
  habit_reach:
    type: duration
    default: 60 days
    meaning: how long a person's use of a network is remembered
  habit_age:
    type: duration
    default: 16 hours
    meaning: how old a use must be to count as one of another day
  factor_wait:
    type: duration
    default: 2 minutes
    meaning: how long after its start a session may still pass the second factor
  ground_kmh:
    type: integer
    default: 300
    meaning: kilometres an hour that nobody exceeds on the ground
  flight_kmh:
    type: integer
    default: 900
    meaning: kilometres an hour that nobody exceeds in the air
*/
SELECT
  event_id,
  m.actor AS entity,
  m.actor,
  m.session,
  m.device,
  m.country,
  country_before,
  least_km(m.country, country_before) AS km,
  seconds / 60 AS minutes,
  m.ip,
  m.asn,
  evidence_before
FROM (
  SELECT *, (CAST(event_time AS BIGINT) - CAST(dated_before AS BIGINT)) / 1000000000 AS seconds
  FROM (
    SELECT
      *,
      last_value(CASE WHEN accepted THEN country END) IGNORE NULLS OVER before AS country_before,
      last_value(CASE WHEN accepted THEN asn END) IGNORE NULLS OVER before AS asn_before,
      last_value(CASE WHEN accepted THEN ip END) IGNORE NULLS OVER before AS ip_before,
      last_value(CASE WHEN accepted THEN session END) IGNORE NULLS OVER before AS session_before,
      last_value(CASE WHEN accepted THEN event_time END) IGNORE NULLS OVER before AS dated_before,
      last_value(CASE WHEN accepted THEN event_id END) IGNORE NULLS OVER before AS evidence_before,
      count(*) FILTER (WHERE accepted) OVER (
        PARTITION BY session, country ORDER BY time
        RANGE BETWEEN $place_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ) AS country_known,
      count(*) FILTER (WHERE kind = 'session.mfa' AND outcome = 'success') OVER (
        PARTITION BY session ORDER BY time RANGE BETWEEN $place_reach PRECEDING AND $factor_wait FOLLOWING
      ) AS factors,
      count(*) FILTER (WHERE accepted) OVER (
        PARTITION BY actor, network ORDER BY time RANGE BETWEEN $habit_reach PRECEDING AND $habit_age PRECEDING
      ) AS here_before
    FROM (
      SELECT
        *,
        coalesce('AS' || CAST(asn AS VARCHAR), country) AS network,
        kind <> 'session.mfa' AND (outcome IS DISTINCT FROM 'failure') AS accepted
      FROM events
      WHERE session IS NOT NULL
        AND actor IS NOT NULL
        AND (kind = 'session.mfa' OR (kind IN ('session.started', 'session.presented') AND country IS NOT NULL))
    )
    WINDOW before AS (
      PARTITION BY actor ORDER BY time RANGE BETWEEN $place_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    )
  )
  WHERE kind <> 'session.mfa'
) AS m
LEFT JOIN networks AS here ON here.system = m.system AND in_network(m.ip, m.asn, here.network)
LEFT JOIN networks AS there ON there.system = m.system AND in_network(m.ip_before, m.asn_before, there.network)
-- Who comes from or goes to a network of the company, or a relay, has not travelled.
WHERE here.network IS NULL
  AND there.network IS NULL
  AND accepted
  -- Within one session it is told by session/two_places.
  AND m.session <> session_before
  AND m.country <> country_before
  AND country_known = 0
  AND here_before = 0
  AND factors = 0
  AND (is_relay(m.asn) IS NOT TRUE)
  AND (is_relay(asn_before) IS NOT TRUE)
  AND seconds >= 0
  AND seconds < least(
    3600 * least_km(m.country, country_before) / $ground_kmh,
    3600 * least_km(m.country, country_before) / $flight_kmh + 10800
  )
