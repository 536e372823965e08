/*
version: 1
title: "Replica {source} answers slowly: {latency_ms} ms, {slow_answers} slow answers lately, 99 of 100 before took {usual_ms} ms at most"
severity: medium
entity: the replica
needs: [pdp.canary]
proof: corroborated
without_history: >-
  Below `history_minimum` answers a replica is held against `bound_ms` alone.
response: []
suppress_for: 4h
meaning: >-
  The decision point takes many times as long as it used to. Signers that wait for it run into their timeouts, and an
  enforcement point that fails open then signs without a decision. It is how an outage begins, whether by load, by data
  that grew, or by somebody who wants the decision point out of the way.
runbook:
  - "See how long each replica takes: SELECT time, source, outcome, detail_int(detail, 'latency_ms') AS ms FROM events WHERE kind = 'pdp.canary' ORDER BY time DESC LIMIT 100"
  - Ask the replica from its own machine to tell the network from the decision point.
  - Look at what changed before it, policies and data (`pdp.state`), and at who asks how much.
  - Make sure that signers deny when no decision comes in time.
false_positives:
  - A machine or a network that is busy with something else, as a backup.
ccss: ["2.02.1.2"]
attack: [T1499]
parameters:
  bound_ms:
    type: integer
    default: 1000
    meaning: milliseconds above which an answer is slow whatever is usual
  floor_ms:
    type: integer
    default: 50
    meaning: milliseconds below which no answer is slow
  factor:
    type: integer
    default: 5
    meaning: how many times what 99 of 100 answers took is slow
  history_minimum:
    type: integer
    default: 300
    meaning: answers of a replica before its own past counts
  recent:
    type: duration
    default: 15 minutes
    meaning: over which slow answers are counted
  slow_minimum:
    type: integer
    default: 3
    meaning: slow answers within `recent` from which on it is told
*/
SELECT
  event_id,
  source AS entity,
  source,
  latency_ms,
  usual_ms,
  slow_answers
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE is_slow) OVER (
      PARTITION BY source ORDER BY time RANGE BETWEEN $recent PRECEDING AND CURRENT ROW
    ) AS slow_answers
  FROM (
    SELECT
      *,
      latency_ms > $bound_ms
        -- Divided, not multiplied: nothing overflows.
        OR (answers_before >= $history_minimum AND latency_ms > $floor_ms AND latency_ms / $factor > usual_ms) AS is_slow
    FROM (
      SELECT
        *,
        quantile(latency_ms, 0.99) OVER so_far AS usual_ms,
        count(latency_ms) OVER so_far AS answers_before
      FROM (
        SELECT *, detail_int(detail, 'latency_ms') AS latency_ms
        FROM events
        WHERE kind = 'pdp.canary'
      )
      WHERE outcome <> 'unanswered'
      WINDOW so_far AS (
        PARTITION BY source ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      )
    )
  )
)
WHERE is_slow AND slow_answers >= $slow_minimum
