/*
version: 2
title: "Key {key} was used by {actor} from {ip}, outside the endpoint that it is always used through"
severity: high
entity: the key
proof: corroborated
without_history: >-
  Quiet about a key until it was used `learned` times through an endpoint.
response: []
suppress_for: 1h
meaning: >-
  This key signs or decrypts through a private endpoint of the signing network, and this use came another way: over the
  Internet, or through an endpoint that was never used. The key is used from outside the trusted environment, with credentials that
  were made to be used inside.
runbook:
  - "See how the key was used: SELECT time, actor, ip, detail FROM events WHERE \"key\" = '<key>' AND kind IN ('signing.signed', 'signing.failed', 'signing.unsealed') ORDER BY time DESC LIMIT 100"
  - Deny the key's use outside the endpoint (`aws:SourceVpce` in its policy), which also stops it now.
  - Revoke the credentials that were used, and find out where they were taken from.
  - Match every signature since with a request; hold those that have none.
  - A key that decrypts. Take what it keeps shut for known to somebody else, and make it anew; a share or a wrapped key moves wallets from anywhere.
false_positives:
  - A new endpoint after a change of the network. It fires once and then knows it.
ccss: ["1.05.2.1", "2.02.3.2"]
attack: [T1552, T1078.004]
parameters:
  learned:
    type: integer
    default: 20
    meaning: uses through an endpoint before another way is unusual
  reach:
    type: duration
    default: 30 days
    meaning: how long uses are remembered
*/
SELECT
  event_id,
  "key" AS entity,
  actor,
  session,
  "key",
  coalesce(ip, 'an unknown address') AS ip,
  coalesce(endpoint, 'none') AS endpoint
FROM (
  SELECT
    *,
    count(*) OVER before AS uses,
    count(endpoint) OVER before AS through_endpoints,
    count(*) OVER (
      PARTITION BY "key", coalesce(endpoint, '') ORDER BY time
      RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS this_way
  FROM (
    SELECT *, detail_text(detail, 'vpc_endpoint') AS endpoint
    FROM events
    WHERE kind IN ('signing.signed', 'signing.unsealed') AND "key" IS NOT NULL
  )
  WINDOW before AS (
    PARTITION BY "key" ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
-- A key that is used both ways anyway says nothing.
WHERE this_way = 0 AND uses >= $learned AND through_endpoints * 20 >= uses * 19
