/*
version: 1
title: "Replica {source} {how} to the canary {canary}"
severity: critical
entity: the replica and the canary
needs: [pdp.canary]
proof: corroborated
without_history: >-
  Judged from the first answer on; where the canary had to be allowed or is not answered, from the third.
response: []
suppress_for: 4h
meaning: >-
  A question whose answer is known was answered otherwise. A canary that has to be denied and is allowed means that the
  decision point does not decide by the policy that is known, whatever it says of its revision. One that has to be
  allowed and goes on being denied, or is not answered while other questions are, means that honest people are denied too.
runbook:
  - "See what each replica answers: SELECT time, source, outcome, reason, detail FROM events WHERE kind = 'pdp.canary' ORDER BY time DESC LIMIT 50"
  - Ask the same yourself (`POST /v1/data/<path>`) at each replica, and from another machine, to see whether somebody stands in between.
  - Allowed though it has to be denied, stop signing at once, and look over everything that this replica allowed since the last right answer.
  - Denied though it has to be allowed, look whether the revocation document reaches the replica and whether the canary's own session was revoked.
  - "Compare its policies with what is published: SELECT time, outcome, detail FROM events WHERE kind = 'pdp.state' AND source = '<source>' ORDER BY time DESC LIMIT 20"
false_positives:
  - A release that changes the answer on purpose. Change the canary with it.
  - A canary whose input ages, as a risk score with a time in it.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1601.001]
parameters:
  patience:
    type: duration
    default: 10 minutes
    meaning: >-
      over which a canary that has to be allowed must be denied, or any be left unanswered, three times; a replica that has
      just started denies everything
*/
SELECT
  event_id,
  source || ' ' || canary AS entity,
  source,
  canary,
  expected,
  answered,
  path,
  CASE WHEN outcome = 'unanswered' THEN 'gives no answer' ELSE 'gives another answer than it has to' END AS how
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE outcome <> 'as_expected') OVER recently AS wrong_before,
    count(*) FILTER (WHERE outcome = 'as_expected') OVER recently AS right_before
  FROM (
    SELECT
      *,
      coalesce(detail_text(detail, 'canary'), 'unnamed') AS canary,
      coalesce(detail_text(detail, 'path'), 'any path') AS path,
      detail_text(detail, 'expected') AS expected,
      detail_text(detail, 'answered') AS answered,
      outcome = 'unanswered'
        OR (coalesce(detail_bool(detail, 'expected'), false) AND NOT coalesce(detail_bool(detail, 'answered'), false))
        AS is_denied
    FROM events
    WHERE kind = 'pdp.canary'
  )
  WINDOW recently AS (
    PARTITION BY source, canary ORDER BY time
    RANGE BETWEEN $patience PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE outcome <> 'as_expected' AND (NOT is_denied OR (wrong_before >= 2 AND right_before = 0))
