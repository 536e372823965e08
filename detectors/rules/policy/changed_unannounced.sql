/*
version: 2
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
  Policies, data or configuration of a replica of the decision point are others than at the look before, and around that
  time nobody told of a deployment or a change that names the decision point, its policies or its bundle. Pipelines
  announce what they do; whoever writes to a decision point by hand, or to its bundle, does not, and that something else
  was released in that hour is no excuse.
runbook:
  - "See which replicas changed and when: SELECT time, source, detail FROM events WHERE kind = 'pdp.state' AND outcome = 'changed' ORDER BY time DESC LIMIT 50"
  - Get the policies that are named (`GET /v1/policies`) and compare them with what you published last. Stop signing while they differ.
  - Ask the decisions since then again by the published policy (`keywatch pdp replay`).
  - Look for who called the API of the decision point or wrote to its bundle then, and from where.
  - If it was a release, let its pipeline tell (`control.deploy`, with a target that names what it released), or declare the hashes (`expected_file`).
false_positives:
  - Pipelines whose target has a name of its own. Put a word of it into `names`.
  - Pipelines that keywatch does not hear. Declare hashes for the part, which then is judged by `policy/state_unexpected` alone.
  - Data that are refreshed in the course of business, until they were for the third time within thirty days. From then on
    what is written into them by hand is seen by declared hashes (`expected_file`), by canaries and by replicas that differ.
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
  names:
    type: text
    default: opa|pdp|rego|bundle|bundles
    meaning: >-
      words, with `|` between them, of which the target or the repository of an announcement has to hold one, in small
      letters; the source of the replica's `pdp.state` as a target does too, and for a deployment `policy` and `policies`
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
    count(*) FILTER (WHERE kind <> 'pdp.state' AND outcome = 'success' AND is_named) OVER (
      PARTITION BY system ORDER BY time RANGE BETWEEN $lead PRECEDING AND $delay FOLLOWING
    ) AS announcements,
    count(*) FILTER (WHERE kind <> 'pdp.state' AND outcome = 'success') OVER (
      PARTITION BY place ORDER BY time RANGE BETWEEN $lead PRECEDING AND $delay FOLLOWING
    ) AS announced_here,
    count(DISTINCT CASE WHEN kind = 'pdp.state' AND outcome = 'changed' THEN sha256 END) OVER (
      PARTITION BY part ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND INTERVAL '12 hours' PRECEDING
    ) AS contents_before
  FROM (
    SELECT
      *,
      CASE WHEN kind = 'pdp.state' THEN lower(source) ELSE lower(detail_text(detail, 'target')) END AS place,
      regexp_like(said, '[^a-z](' || $names || ')[^a-z]')
        OR (kind = 'control.deploy' AND regexp_like(said, '[^a-z](policy|policies)[^a-z]')) AS is_named,
      coalesce(detail_text(detail, 'part'), 'something') AS part,
      detail_text(detail, 'sha256') AS sha256,
      detail_text(detail, 'before') AS sha256_before,
      detail_text(detail, 'policies') AS changed_policies
    FROM (
      SELECT
        *,
        ' ' || lower(concat(detail_text(detail, 'target'), ' ', detail_text(detail, 'repository'))) || ' ' AS said
      FROM events
      WHERE kind IN ('pdp.state', 'control.deploy', 'control.policy')
    )
  )
)
WHERE kind = 'pdp.state' AND outcome = 'changed' AND part IN $parts AND announcements = 0 AND announced_here = 0
  AND (part <> 'data' OR contents_before < 3)
