/*
version: 1
title: "{actor} goes on in session {session} from {network}, a network new to them"
severity: low
entity: the person and the network
proof: corroborated
needs: [session]
uses: [moves]
without_history: >-
  Judged from a session's second use on. Networks that the person used on another day, in another session, are no news;
  until there is another day, every one is.
response: []
suppress_for: 30d
meaning: >-
  The session moved to a network where this person was not seen on another day; but within the country, or with the second
  factor, or as slowly as people travel, or through a relay. Most of it is life. It is kept since a theft of the session
  begins the same way, and then belongs to its story.
runbook:
  - "See where the session was: SELECT time, kind, ip, country, asn, device, outcome FROM events WHERE session = '<session>' ORDER BY time"
  - Nothing is due for this alone. With another alert of the same session or person, treat it as the moment of the theft and go on as in session/two_places.
false_positives:
  - A phone as a modem, a train, a hotel, a new provider at home.
ccss: ["1.05.1.1", "2.02.3.2"]
attack: [T1550.004]
parameters: {}
*/
SELECT
  event_id,
  coalesce(m.actor, m.session) || ' ' || m.network AS entity,
  m.actor,
  m.session,
  m.device,
  m.network,
  m.ip,
  m.country,
  country_before,
  factor_passed,
  evidence_before
FROM moves AS m
LEFT JOIN networks AS here ON here.system = m.system AND in_network(m.ip, m.asn, here.network)
LEFT JOIN networks AS there ON there.system = m.system AND in_network(m.ip_before, m.asn_before, there.network)
-- Who comes from or goes to a network of the company, or a relay, has not travelled.
WHERE here.network IS NULL
  AND there.network IS NULL
  AND (country_moved OR network_moved)
  AND (
    factor_passed
    OR coalesce(is_relay(m.asn), false)
    OR coalesce(is_relay(asn_before), false)
    OR NOT ((country_moved AND (quick OR impossible)) OR (network_moved AND device_moved))
  )
