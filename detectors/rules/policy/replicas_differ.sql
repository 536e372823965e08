/*
version: 1
title: "Replicas hold different {part} and none of them changes: {one_sha256} and {other_sha256}"
severity: high
entity: the part that differs
needs: [pdp.state]
proof: corroborated
without_history: >-
  Judged once each of two hashes was seen three times within `rollout`.
response: []
suppress_for: 1d
meaning: >-
  Replicas of the decision point hold different policies or data for longer than a rollout takes, whatever revision they
  name. What one denies another may allow, so whoever is denied has only to ask again, and one replica that was
  tampered with is enough.
runbook:
  - "See who holds what: SELECT source, detail_text(detail, 'part') AS part, detail_text(detail, 'sha256') AS sha256, max(time) FROM events WHERE kind = 'pdp.state' GROUP BY 1, 2, 3 ORDER BY 4 DESC"
  - Compare both with what you published last. Take replicas with any other out of service.
  - Compare the text of each policy (`GET /v1/policies`) between the two to find which one it is.
  - Look at what the odd replica allowed since its hash was first seen.
false_positives:
  - A rollout in steps, or a canary release, that takes longer than `rollout`.
  - Decision points of one system that hold different policies by design. Give each a system of its own, or turn this rule off.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1601.001]
parameters:
  rollout:
    type: duration
    default: 1 hour
    meaning: how long replicas may differ after one of them changed
  parts:
    type: text_list
    default: [policies, data]
    meaning: what has to be the same everywhere; configurations often name their machine
*/
SELECT
  event_id,
  part AS entity,
  source,
  part,
  one_sha256,
  other_sha256
FROM (
  SELECT
    *,
    min(settled_sha256) OVER (
      PARTITION BY part ORDER BY time RANGE BETWEEN $rollout PRECEDING AND CURRENT ROW
    ) AS one_sha256,
    max(settled_sha256) OVER (
      PARTITION BY part ORDER BY time RANGE BETWEEN $rollout PRECEDING AND CURRENT ROW
    ) AS other_sha256
  FROM (
    SELECT
      *,
      -- A replica that has just started fills up; what was seen within a rollout of a change says nothing yet.
      CASE WHEN sightings >= 3 AND changes = 0 THEN sha256 END AS settled_sha256
    FROM (
      SELECT
        *,
        count(*) OVER (
          PARTITION BY source, part, sha256 ORDER BY time RANGE BETWEEN $rollout PRECEDING AND CURRENT ROW
        ) AS sightings,
        count(*) FILTER (WHERE sha256_before IS NOT NULL) OVER (
          PARTITION BY part ORDER BY time RANGE BETWEEN $rollout PRECEDING AND CURRENT ROW
        ) AS changes
      FROM (
        SELECT
          *,
          coalesce(detail_text(detail, 'part'), 'something') AS part,
          detail_text(detail, 'sha256') AS sha256,
          detail_text(detail, 'before') AS sha256_before
        FROM events
        WHERE kind = 'pdp.state'
      )
      WHERE sha256 IS NOT NULL
    )
  )
)
WHERE settled_sha256 IS NOT NULL AND part IN $parts AND one_sha256 <> other_sha256
