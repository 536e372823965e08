/*
version: 1
title: "Replicas decide {path} by different policies and none of them changes: {one_revision} and {other_revision}"
severity: medium
entity: the path that is decided
needs: [decision_point]
proof: corroborated
without_history: >-
  Judged once two revisions were seen for `rollout` after the first decision by either.
response: []
suppress_for: 1d
meaning: >-
  Replicas of the decision point answer the same question by different revisions of the policy, for longer than a rollout
  takes. What one denies another may allow, so whoever is denied has only to ask again. A replica that no longer gets its
  bundle also gets no revocation by bundle. An old bundle that is served to one replica looks exactly like this.
runbook:
  - "See who decides by which: SELECT source, detail_text(detail, 'labels.id') AS replica, detail_text(detail, 'policy_revision') AS revision, max(time) FROM events WHERE kind = 'decision' GROUP BY 1, 2, 3 ORDER BY 4 DESC"
  - Compare both with the revision that you published last. Take replicas with any other out of service.
  - Look at the status of the replica that is behind (`GET /v1/status`, `source.status` in the log) for failed downloads, and at who answers under the address of its bundle server.
  - Verify the signature of the bundle that it holds, and look over what it allowed since the other revision appeared.
false_positives:
  - A rollout in steps, or a canary, that takes longer than `rollout`.
  - Two decision points of one system with policies of their own that are asked under the same path.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1601.002]
parameters:
  rollout:
    type: duration
    default: 1 hour
    meaning: how long replicas may differ while a new policy reaches them
  reach:
    type: duration
    default: 7 days
    meaning: how long ago a replica's last decision may be for the next one to be by the same policy still
*/
SELECT
  event_id,
  coalesce(path, 'any') AS entity,
  source,
  coalesce(path, 'any path') AS path,
  replica,
  one_revision,
  other_revision
FROM (
  SELECT
    *,
    min(settled_revision) OVER (
      PARTITION BY path ORDER BY time RANGE BETWEEN $rollout PRECEDING AND CURRENT ROW
    ) AS one_revision,
    max(settled_revision) OVER (
      PARTITION BY path ORDER BY time RANGE BETWEEN $rollout PRECEDING AND CURRENT ROW
    ) AS other_revision
  FROM (
    SELECT
      *,
      -- What was decided within a rollout of a change says nothing yet: the replicas were on their way.
      CASE WHEN changes = 0 THEN revision END AS settled_revision
    FROM (
      SELECT
        *,
        count(*) FILTER (WHERE is_change) OVER (
          PARTITION BY path ORDER BY time RANGE BETWEEN $rollout PRECEDING AND CURRENT ROW
        ) AS changes
      FROM (
        SELECT
          *,
          -- A change begins where nobody decided by the revision lately, neither this replica nor another.
          used_before = 0 AND (revision_before IS DISTINCT FROM revision) AS is_change
        FROM (
          SELECT
            *,
            count(*) OVER (
              PARTITION BY path, revision ORDER BY time
              RANGE BETWEEN $rollout PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
            ) AS used_before,
            last_value(revision) OVER (
              PARTITION BY path, replica ORDER BY time
              RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
            ) AS revision_before
          FROM (
            SELECT
              *,
              detail_text(detail, 'path') AS path,
              detail_text(detail, 'policy_revision') AS revision,
              coalesce(source || ' ' || detail_text(detail, 'labels.id'), source) AS replica
            FROM events
            WHERE kind = 'decision'
          )
          WHERE revision IS NOT NULL
        )
      )
    )
  )
)
WHERE settled_revision IS NOT NULL AND one_revision <> other_revision
