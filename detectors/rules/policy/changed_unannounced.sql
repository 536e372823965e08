/*
version: 1
title: "{part} of the decision point changed and nobody announced it{names}"
severity: high
entity: the part that changed
needs: [pdp.state]
proof: corroborated
without_history: >-
  Judged from the second look at a replica on.
response: []
suppress_for: 4h
meaning: >-
  Policies, data or configuration of a replica of the decision point are others than at the look before, and neither a
  deployment nor a change of a policy was told around that time by anybody. Pipelines announce what they do; whoever
  writes to a decision point by hand, or to its bundle, does not.
runbook:
  - "See which replicas changed and when: SELECT time, source, detail FROM events WHERE kind = 'pdp.state' AND outcome = 'changed' ORDER BY time DESC LIMIT 50"
  - Get the policies that are named (`GET /v1/policies`) and compare them with what you published last. Stop signing while they differ.
  - Ask the decisions since then again by the published policy (`keywatch pdp replay`).
  - Look for who called the API of the decision point or wrote to its bundle then, and from where.
  - If it was a release, let its pipeline tell (`control.deploy`), or declare the hashes (`expected_file`).
false_positives:
  - Pipelines that keywatch does not hear. Declare hashes for the part, which then is judged by `policy/state_unexpected` alone.
  - Data that change all day by design. Take `data` out of `parts`.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1601.001, T1565.001]
parameters:
  lead:
    type: duration
    default: 1 hour
    meaning: how long before a change it may have been announced
  delay:
    type: duration
    default: 15 minutes
    meaning: how long after a change its announcement may arrive
  parts:
    type: text_list
    default: [policies, data, config]
    meaning: which parts are asked for an announcement
*/
SELECT
  event_id,
  part AS entity,
  source,
  part,
  sha256,
  sha256_before,
  CASE WHEN changed_policies IS NULL THEN '' ELSE ': ' || changed_policies END AS names
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind <> 'pdp.state' AND outcome = 'success') OVER (
      PARTITION BY system ORDER BY time RANGE BETWEEN $lead PRECEDING AND $delay FOLLOWING
    ) AS announcements
  FROM (
    SELECT
      *,
      coalesce(detail_text(detail, 'part'), 'something') AS part,
      detail_text(detail, 'sha256') AS sha256,
      detail_text(detail, 'before') AS sha256_before,
      detail_text(detail, 'policies') AS changed_policies
    FROM events
    WHERE kind IN ('pdp.state', 'control.deploy', 'control.policy')
  )
)
WHERE kind = 'pdp.state' AND outcome = 'changed' AND part IN $parts AND announcements = 0
