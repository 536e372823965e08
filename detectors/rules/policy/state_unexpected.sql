/*
version: 2
title: "Replica {source} holds {part} that are not what is declared{names}"
severity: critical
entity: the replica and the part of it
needs: [pdp.state]
proof: corroborated
without_history: >-
  A change is told at once. What was never as declared is told when it is seen the second time. What was as declared until
  the declaration changed is told then too, unless another replica already holds what is declared now: that one of two was not
  reached is told by `policy/replicas_differ`, and here after a day.
response: []
suppress_for: 1d
meaning: >-
  The policies, the data or the configuration of a replica of the decision point are not those whose hashes the operator
  declares. Whoever can change them decides what is signed, and where decisions are logged. The declaration comes from
  elsewhere than the change, so an account that may publish policies is not enough to hide one.
runbook:
  - "See what it held and when: SELECT time, source, outcome, detail FROM events WHERE kind = 'pdp.state' AND source = '<source>' ORDER BY time DESC LIMIT 50"
  - Stop signing at this replica until it is plain what it decides by. Revocations do not help against a policy that ignores them.
  - Get the policies (`GET /v1/policies`) and compare the text of those that are named with what you published.
  - Ask its decisions since the change again by the published policy (`keywatch pdp replay`), and look over what came out differently.
  - Find out who wrote it there. A push over the API, a bundle that is signed by nobody, and a file on its machine are three different thieves.
false_positives:
  - A release that reaches replicas before the file with the expected hashes says so. Change the file first.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1601.001, T1565.001]
parameters:
  patience:
    type: duration
    default: 1 hour
    meaning: how long ago it may have been seen before, where nothing changed
*/
SELECT
  event_id,
  source || ' ' || part AS entity,
  source,
  part,
  sha256,
  sha256_before,
  CASE WHEN changed_policies IS NULL THEN '' ELSE ': ' || changed_policies END AS names
FROM (
  SELECT
    *,
    last_value(outcome) OVER (
      PARTITION BY source, part ORDER BY time
      RANGE BETWEEN $patience PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS outcome_before,
    count(*) FILTER (WHERE outcome = 'expected') OVER (
      PARTITION BY source, part, sha256 ORDER BY time RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW
    ) AS was_declared,
    count(*) FILTER (WHERE outcome = 'expected') OVER (
      PARTITION BY part ORDER BY time RANGE BETWEEN $patience PRECEDING AND CURRENT ROW
    )
      - count(*) FILTER (WHERE outcome = 'expected') OVER (
        PARTITION BY part, sha256 ORDER BY time RANGE BETWEEN $patience PRECEDING AND CURRENT ROW
      ) AS others_declared
  FROM (
    SELECT
      *,
      coalesce(detail_text(detail, 'part'), 'something') AS part,
      detail_text(detail, 'sha256') AS sha256,
      detail_text(detail, 'before') AS sha256_before,
      detail_text(detail, 'policies') AS changed_policies
    FROM events
    WHERE kind = 'pdp.state'
  )
)
WHERE
  outcome = 'unexpected'
  -- Where the file changed and the replica did not, the release is on its way: it gets until the next word.
  AND (
    sha256_before IS NOT NULL
    OR (
      outcome_before = 'unexpected'
      -- Nobody wrote to it, the release has not reached it: replicas differ, which is another rule's to tell. Of
      -- configurations, which name their machine, that rule does not tell.
      AND (part = 'config' OR was_declared = 0 OR others_declared = 0)
    )
  )
