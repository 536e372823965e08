/*
version: 1
title: "Data of the decision point changed and nobody announced it"
severity: medium
entity: the part that changed
needs: [pdp.state]
uses: [decision_point_changes]
proof: corroborated
without_history: >-
  Judged from the second look at a replica on, until the data are known to be refreshed: until three different contents came
  within thirty days that nobody announced.
response: []
suppress_for: 4h
meaning: >-
  Data of a replica of the decision point are others than at the look before, and nobody told of a deployment or a change that
  names it. Data are not released as policies are: systems of the business refresh lists and limits in them day by day. So the
  first time says that keywatch does not know yet what is usual here, and is to be looked at; who may pay whom stands in data too.
  Data that stood still for a week before, but for what was released, are told by `policy/changed_unannounced`, which is high.
runbook:
  - "See which replicas changed and when: SELECT time, source, detail FROM events WHERE kind = 'pdp.state' AND outcome = 'changed' ORDER BY time DESC LIMIT 50"
  - Get the data (`GET /v1/data`) and compare them with what is written by the systems that refresh them. Stop signing while they differ.
  - Ask the decisions since then again by the published policy and data (`keywatch pdp replay`).
  - If nothing refreshes them, look for who called the API of the decision point or wrote to its bundle then, and from where.
  - If something does, let it tell (`control.deploy`, with a target that names the decision point), or declare the hash (`expected_file`).
false_positives:
  - Pipelines whose target has a name of its own. Put a word of it into `names`, here as in `policy/changed_unannounced`.
  - Data that are refreshed in the course of business, until they were for the third time within thirty days. From then on
    what is written into them by hand is seen by declared hashes (`expected_file`), by canaries and by replicas that differ.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1565.001]
parameters: {}
*/
SELECT
  event_id,
  part AS entity,
  source,
  part,
  sha256,
  sha256_before
FROM decision_point_changes
WHERE announcements = 0 AND announced_here = 0 AND part = 'data' AND NOT is_still AND contents_before < 3
