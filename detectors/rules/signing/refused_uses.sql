/*
version: 1
title: "{asker} was refused {refusals} signatures within the hour, asking for {keys} keys"
severity: medium
entity: who asked, by name or else by address
proof: corroborated
without_history: >-
  Needs none.
response: []
suppress_for: 4h
meaning: >-
  Somebody asks for signatures again and again and does not get them: for keys that are not there, without the right to
  use them, or against a protection that refuses. Who is new to a signer tries what it has; the business knows its keys.
runbook:
  - "See what was asked for: SELECT time, source, actor, ip, \"key\", reason, detail FROM events WHERE kind IN ('signing.failed', 'signing.signed') AND (actor = '<actor>' OR ip = '<ip>') ORDER BY time DESC LIMIT 100"
  - Who or what is it? Ask the owner of the account or machine, on another channel, what it wanted to sign.
  - Not theirs. Take its way to the signer at the network and revoke its credentials.
  - Look for signatures that it did get, and hold what was signed.
false_positives:
  - A service after a rotation of its key or a change of its role, which asks for the old one.
  - A signer that fails by a fault of its own.
ccss: ["1.05.2.1", "2.02.3.2"]
attack: [T1552.004, T1078]
parameters:
  refusals_minimum:
    type: integer
    default: 5
    meaning: refused signatures of one asker within an hour from which on it is told
*/
SELECT
  event_id,
  asker AS entity,
  actor,
  session,
  ip,
  asker,
  refusals,
  keys,
  coalesce(reason, 'no reason was given') AS last_reason
FROM (
  SELECT
    *,
    count(*) OVER lately AS refusals,
    count(DISTINCT "key") OVER lately AS keys
  FROM (
    SELECT *, coalesce(actor, ip, source) AS asker
    FROM events
    WHERE kind = 'signing.failed'
      AND "key" IS NOT NULL
      -- Who is told to ask more slowly has the right to ask; a limit of what may be paid is a protection that refuses.
      AND (
        lower(reason) LIKE '%throttl%' OR lower(reason) LIKE '%ratelimit%' OR lower(reason) LIKE '%rate_limit%'
        OR lower(reason) LIKE '%limitexceeded%' OR lower(reason) LIKE '%exhausted%' OR lower(reason) LIKE '%too%many%'
      ) IS NOT TRUE
  )
  WINDOW lately AS (
    PARTITION BY asker ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW
  )
)
WHERE refusals >= $refusals_minimum
