/*
version: 3
title: "{part} of the decision point changed and nobody announced it{names}"
severity: high
entity: the part that changed
needs: [pdp.state]
uses: [decision_point_changes]
proof: corroborated
without_history: >-
  Policies and configuration are judged from the second look at a replica on, data from a week of looks on in which they did
  not change unannounced. What changes in data before that is told by `policy/data_changed_unannounced`.
response: []
suppress_for: 4h
meaning: >-
  Policies, data or configuration of a replica of the decision point are others than at the look before, and around that
  time nobody told of a deployment or a change that names the decision point, its policies or its bundle. Pipelines
  announce what they do; whoever writes to a decision point by hand, or to its bundle, does not, and that something else
  was released in that hour is no excuse. Data are among them where they stood still for a week or
  longer, but for what was released.
runbook:
  - "See which replicas changed and when: SELECT time, source, detail FROM events WHERE kind = 'pdp.state' AND outcome = 'changed' ORDER BY time DESC LIMIT 50"
  - Get the policies that are named (`GET /v1/policies`) and compare them with what you published last. Stop signing while they differ.
  - Ask the decisions since then again by the published policy (`keywatch pdp replay`).
  - Look for who called the API of the decision point or wrote to its bundle then, and from where.
  - If it was a release, let its pipeline tell (`control.deploy`, with a target that names what it released), or declare the hashes (`expected_file`).
false_positives:
  - Pipelines whose target has a name of its own. Put a word of it into `names`.
  - Pipelines that keywatch does not hear. Declare hashes for the part, which then is judged by `policy/state_unexpected` alone.
  - Data that are refreshed in the course of business, and less often than once a week, until they were for the first time
    within thirty days.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1601.001, T1565.001]
parameters: {}
*/
SELECT
  event_id,
  part AS entity,
  source,
  part,
  sha256,
  sha256_before,
  names
FROM decision_point_changes
WHERE announcements = 0 AND announced_here = 0 AND (part <> 'data' OR is_still)
