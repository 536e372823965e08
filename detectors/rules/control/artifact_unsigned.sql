/*
version: 1
title: "{artifact} was deployed to {target} and no signature of it was verified"
severity: high
entity: the artifact
needs: [control.artifact, control.deploy]
proof: corroborated
without_history: >-
  Quiet until signatures were checked in the system within thirty days.
response: []
suppress_for: 1h
meaning: >-
  Signatures of artifacts are checked here, and this artifact was deployed without one that was found good: none was checked,
  or the check failed, which `why` says. A bundle of Sigstore that does not verify against whom the operator trusts is a check
  that failed, whatever the verifier said of it. What runs now need not be what was built and reviewed.
runbook:
  - "See what is known of the artifact: SELECT time, source, kind, outcome, actor, reason, detail FROM events WHERE kind IN ('control.artifact', 'control.deploy') AND detail LIKE '%<artifact>%' ORDER BY time"
  - Put the last artifact that was verified back, and keep the new one for examination.
  - Verify its signature by hand, against the identity of the release workflow.
  - Where it ran beside keys, treat what it could reach as known to others.
false_positives:
  - A verifier whose results arrive later than `delay`.
ccss: ["1.01.1.3", "1.05.2.1", "2.02.3.2"]
attack: [T1195.002, T1553]
parameters:
  delay:
    type: duration
    default: 10 minutes
    meaning: how long after a deployment the result of a verification may still arrive
*/
SELECT
  event_id,
  artifact AS entity,
  actor,
  artifact,
  coalesce(detail_text(detail, 'target'), 'somewhere') AS target,
  refused AS checks_that_failed,
  coalesce(why_refused, CASE WHEN refused > 0 THEN 'the verifier gave no reason' ELSE 'nothing checked it' END) AS why,
  evidence_check
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind = 'control.artifact' AND outcome = 'verified') OVER around AS verified,
    count(*) FILTER (WHERE kind = 'control.artifact' AND outcome <> 'verified') OVER around AS refused,
    last_value(CASE WHEN kind = 'control.artifact' AND outcome <> 'verified' THEN reason END)
      IGNORE NULLS OVER around AS why_refused,
    last_value(CASE WHEN kind = 'control.artifact' THEN event_id END) IGNORE NULLS OVER around AS evidence_check,
    count(*) FILTER (WHERE kind = 'control.artifact') OVER (
      PARTITION BY system ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW
    ) AS checks
  FROM (
    SELECT *, lower(detail_text(detail, 'artifact')) AS artifact
    FROM events
    WHERE kind IN ('control.artifact', 'control.deploy')
  )
  WHERE artifact IS NOT NULL
  WINDOW around AS (
    PARTITION BY artifact ORDER BY time RANGE BETWEEN INTERVAL '90 days' PRECEDING AND $delay FOLLOWING
  )
)
WHERE kind = 'control.deploy' AND outcome = 'success' AND verified = 0 AND checks > 0
