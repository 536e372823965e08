/*
version: 1
title: "{actor} deployed to {target} past the gate: {way}"
severity: high
entity: where it was deployed
needs: [control.deploy]
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  Deployments go through a protected branch and an environment with reviewers. This one ran for a branch that nobody
  protects, on a pull request, or without the environment that this target was always deployed through: whoever could push
  could deploy.
runbook:
  - "See the deployments of the target: SELECT time, actor, outcome, request, detail FROM events WHERE kind = 'control.deploy' ORDER BY time DESC LIMIT 50"
  - Read the run and the difference between its commit and the last one that was reviewed.
  - Put the last reviewed artifact back until somebody reviewed this one.
  - Let the trust policy of the cloud role pin branch, environment and workflow.
false_positives:
  - A hotfix that was agreed. The gate should let it through by a second person and not by a way around.
ccss: ["1.05.2.1", "2.02.3.2"]
attack: [T1195.002, T1072]
parameters: {}
*/
SELECT
  event_id,
  target AS entity,
  actor,
  target,
  way,
  detail_text(detail, 'repository') AS repository,
  detail_text(detail, 'ref') AS deployed_ref,
  detail_text(detail, 'workflow') AS workflow,
  detail_text(detail, 'artifact') AS artifact
FROM (
  SELECT
    *,
    CASE
      WHEN detail_text(detail, 'trigger') IN ('pull_request', 'pull_request_target') THEN 'on a pull request'
      WHEN detail_text(detail, 'ref_protected') = 'no' THEN 'for a branch that is not protected'
      WHEN environment IS NULL AND through_environments > 0 THEN 'without the environment of the ones before'
    END AS way
  FROM (
    SELECT
      *,
      count(environment) OVER (
        PARTITION BY target ORDER BY time
        RANGE BETWEEN INTERVAL '90 days' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ) AS through_environments
    FROM (
      SELECT
        *,
        coalesce(detail_text(detail, 'target'), detail_text(detail, 'repository'), event_id) AS target,
        detail_text(detail, 'environment') AS environment
      FROM events
      WHERE kind = 'control.deploy' AND outcome = 'success'
    )
  )
)
WHERE way IS NOT NULL
