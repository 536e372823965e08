/*
version: 2
title: Session {session} of {actor} is used from {place_now} and from {place_before}
severity: high
entity: the session
proof: corroborated
needs: [session]
uses: [moves]
without_history: >-
  Judged from a session's second use on. Networks that the person used on another day, in another session, are no news;
  until there is another day, every one is.
response: [session, subject]
suppress_for: 4h
meaning: >-
  A session belongs to one person on one device. It turned up in a country, or within a short time in a network on another
  device, where this person was never seen on another day, sooner than anybody travels, and without the second factor.
  The usual reason is a session cookie that was copied from the person's browser; it needs no password either.
runbook:
  - "See where the session was: SELECT time, kind, ip, country, asn, device, outcome FROM events WHERE session = '<session>' ORDER BY time"
  - Ask the person, by voice, where they are and whether they use a VPN or a phone as a modem.
  - Not theirs. End all sessions of the person at the identity provider, not this one only, and let them sign on again with the second factor on a clean machine.
  - "List what the session touched since it left its place: SELECT time, kind, wallet, request, to_address, amount, outcome FROM events WHERE session = '<session>' ORDER BY time. Hold the requests among them."
  - Search the person's machine for what copies cookies before it is used again.
false_positives:
  - A private VPN or a roaming phone on the first day of its use. Networks of the company are declared in `networks`.
ccss: ["1.05.1.1", "1.05.2.1", "2.02.3.2"]
attack: [T1539, T1550.004]
parameters: {}
*/
SELECT
  event_id,
  m.session AS entity,
  m.actor,
  m.session,
  m.device,
  m.wallet,
  m.request,
  CASE WHEN country_moved THEN m.country ELSE m.network || ' on ' || m.device END AS place_now,
  CASE WHEN country_moved THEN country_before ELSE 'AS' || CAST(asn_before AS VARCHAR) || ' on ' || device_before END
    AS place_before,
  m.ip,
  m.country,
  m.asn,
  evidence_before
FROM moves AS m
LEFT JOIN networks AS here ON here.system = m.system AND in_network(m.ip, m.asn, here.network)
LEFT JOIN networks AS there ON there.system = m.system AND in_network(m.ip_before, m.asn_before, there.network)
-- Who comes from or goes to a network of the company, or a relay, has not travelled.
WHERE here.network IS NULL
  AND there.network IS NULL
  AND (is_relay(m.asn) IS NOT TRUE)
  AND (is_relay(asn_before) IS NOT TRUE)
  AND NOT factor_passed
  AND ((country_moved AND (quick OR impossible)) OR (network_moved AND device_moved))
