/*
version: 1
title: Session {session} of {actor} is used from {place_now} and from {place_before}
severity: high
entity: the session
proof: corroborated
response: [session, subject]
suppress_for: 4h
meaning: >-
  A session belongs to one person on one device. It turned up in another country, or within a short time in another
  network, than where it was used before. The usual reason is a session cookie that was copied from the person's
  browser; it needs no password and no second factor.
runbook:
  - "See where the session was: SELECT time, kind, ip, country, asn, device, outcome FROM events WHERE session = '<session>' ORDER BY time"
  - Ask the person, by voice, where they are and whether they use a VPN or a phone as a modem.
  - Not theirs. End all sessions of the person at the identity provider, not this one only, and let them sign on again with the second factor on a clean machine.
  - "List what the session touched since it left its place: SELECT time, kind, wallet, request, to_address, amount, outcome FROM events WHERE session = '<session>' ORDER BY time. Hold the requests among them."
  - Search the person's machine for what copies cookies before it is used again.
false_positives:
  - A VPN switched on or off, a phone as a modem, a train across a border.
  - A company network that leaves by several providers; let the identity provider report its own names, or lower `network_reach`.
ccss: ["1.05.1.1", "1.05.2.1", "2.02.3.2"]
attack: [T1539, T1550.004]
parameters:
  country_reach:
    type: duration
    default: 24 hours
    meaning: within this time one session shall stay in one country
  network_reach:
    type: duration
    default: 1 hour
    meaning: within this time one session shall stay in one autonomous system
*/
SELECT
  event_id,
  session AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  CASE WHEN country <> country_before THEN country ELSE 'AS' || CAST(asn AS VARCHAR) END AS place_now,
  CASE WHEN country <> country_before THEN country_before ELSE 'AS' || CAST(asn_before AS VARCHAR) END AS place_before,
  ip,
  country,
  asn,
  coalesce(evidence_country, evidence_asn) AS evidence_before
FROM (
  SELECT
    *,
    -- Told once for each new place, not at every turn while two users alternate. An attempt that was refused does not
    -- make its place known. Networks change honestly over a day, so they only count when they change quickly.
    last_value(CASE WHEN accepted THEN country END) IGNORE NULLS OVER day_before AS country_before,
    last_value(CASE WHEN accepted AND country IS NOT NULL THEN event_id END) IGNORE NULLS OVER day_before
      AS evidence_country,
    count(*) FILTER (WHERE accepted) OVER (
      PARTITION BY session, country ORDER BY time
      RANGE BETWEEN $country_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS country_known,
    last_value(CASE WHEN accepted THEN asn END) IGNORE NULLS OVER hour_before AS asn_before,
    last_value(CASE WHEN accepted AND asn IS NOT NULL THEN event_id END) IGNORE NULLS OVER hour_before AS evidence_asn,
    count(*) FILTER (WHERE accepted) OVER (
      PARTITION BY session, asn ORDER BY time
      RANGE BETWEEN $country_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS asn_known
  FROM (
    SELECT *, outcome IS NULL OR outcome NOT IN ('failure', 'deny', 'undefined', 'error') AS accepted
    FROM events
    WHERE kind IN ('session.started', 'session.presented', 'session.network', 'decision')
      AND session IS NOT NULL
      AND (country IS NOT NULL OR asn IS NOT NULL)
  )
  WINDOW
    day_before AS (
      PARTITION BY session ORDER BY time
      RANGE BETWEEN $country_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ),
    hour_before AS (
      PARTITION BY session ORDER BY time
      RANGE BETWEEN $network_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    )
)
WHERE (country <> country_before AND country_known = 0)
  OR (asn <> asn_before AND asn_known = 0)
