/*
version: 2
title: "{actor} acted on {request} after the right {how_it_ended}"
severity: high
entity: the person
needs: [custody.grant]
proof: corroborated
without_history: >-
  Quiet about people of whom neither a revocation nor a grant with an end stands in the log, and about those whose newest
  grant came after it, whatever wallet or right that is for.
response: [session, request]
suppress_for: 1h
meaning: >-
  The register says that this person's right was revoked, and an approval, an allow or an entry of theirs came after it. The
  revocation did not reach what enforces it, or somebody uses what the person left behind. A right that was given until some
  day and is used after it is the same: nobody took it away, and so it went on. That is how the key of a delegate signed for
  the theft from the Ronin bridge.
runbook:
  - "Put revocation and use side by side: SELECT time, event_time, source, kind, outcome, request, wallet, detail FROM events WHERE actor = '<actor>' ORDER BY event_time DESC"
  - Hold the request, and take the person's keys, factors and sessions out of everything that still accepts them.
  - Ask the person. If it was not them, treat their key or factor as stolen, and rotate what it reaches.
  - Find out why the revocation did not take effect, and look for other people for whom it did not.
false_positives:
  - Somebody who holds another right of the same wallet, of which the log does not say that it was given.
  - A right with an end that was prolonged on a ticket only. Let the register give it again.
  - An act that was under way, or clocks that differ by more than `grace`.
ccss: ["1.04.1.1", "1.04.3.1", "1.05.1.1"]
attack: [T1078]
parameters:
  grace:
    type: duration
    default: 5 minutes
    meaning: how long after a revocation an act is still put down to clocks and what was under way
  reach:
    type: duration
    default: 365 days
    meaning: how long a revocation is remembered
*/
SELECT
  event_id,
  actor AS entity,
  actor,
  session,
  device,
  wallet,
  coalesce(request, kind) AS request,
  kind AS used_as,
  CASE WHEN last_word = 'revoked' THEN 'was taken away' ELSE 'had ended' END AS how_it_ended,
  evidence_revocation
FROM (
  SELECT
    *,
    last_value(CASE WHEN kind = 'custody.grant' THEN outcome END) IGNORE NULLS OVER before AS last_word,
    -- By what the sources claim: a late record of an earlier act is no act after the revocation.
    last_value(CASE WHEN kind = 'custody.grant' THEN event_time END) IGNORE NULLS OVER before AS said_at,
    last_value(CASE WHEN kind = 'custody.grant' THEN coalesce(wallet, '') END) IGNORE NULLS OVER before AS of_wallet,
    -- The newest grant's own end: one without an end leaves none of an earlier one behind.
    TRY_CAST(
      last_value(CASE WHEN kind = 'custody.grant' THEN coalesce(detail_text(detail, 'until'), '') END)
        IGNORE NULLS OVER before
      AS TIMESTAMP
    ) AS ends_at,
    last_value(CASE WHEN kind = 'custody.grant' THEN coalesce(detail_text(detail, 'until'), '') END)
      IGNORE NULLS OVER before AS until_said,
    last_value(CASE WHEN kind = 'custody.grant' THEN event_id END) IGNORE NULLS OVER before AS evidence_revocation
  FROM events
  WHERE kind IN ('custody.grant', 'custody.access', 'signing.approved', 'decision') AND actor IS NOT NULL
  WINDOW before AS (
    PARTITION BY actor ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE (last_word = 'revoked' OR (last_word = 'granted' AND ends_at IS NOT NULL))
  AND (
    kind = 'signing.approved'
    OR (kind = 'decision' AND outcome = 'allow' AND request IS NOT NULL)
    -- Who leaves was let in before, and who is refused was not.
    OR (kind = 'custody.access' AND outcome IS NULL AND (detail_text(detail, 'act') IS DISTINCT FROM 'access.left'))
  )
  AND (of_wallet = '' OR wallet IS NULL OR of_wallet = wallet)
  -- A claimed time near the end of all times must not overflow.
  AND event_time
    > least(CASE WHEN last_word = 'revoked' THEN said_at ELSE ends_at END, TIMESTAMP '2200-01-01') + $grace
  -- Until a day is until it is over, in UTC.
  AND (
    last_word = 'revoked'
    OR until_said NOT LIKE '____-__-__'
    OR event_time > least(ends_at, TIMESTAMP '2200-01-01') + INTERVAL '1 day' + $grace
  )
