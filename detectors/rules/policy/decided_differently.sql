/*
version: 1
title: Replica {replica} allowed what another replica denied, on the same input by the same policy
severity: high
entity: the request, or the session or decision when no request is known
needs: [decision_point]
proof: corroborated
response: [session]
suppress_for: 1h
meaning: >-
  Two replicas of the decision point were asked the same question, have the same revisions of the same bundles, and one
  allowed what the other denied. A policy is a function of its input and data, so one of them decides by something else
  than it says: data that was pushed to it alone, a policy changed in place, or a process that is not the one that was
  installed. An attacker who holds one replica needs no more than that one.
runbook:
  - "Put the decisions side by side: SELECT time, event_time, source, outcome, decision, detail FROM events WHERE kind = 'decision' AND request = '<request>' ORDER BY time"
  - Hold the request. Trust the denial until the difference is explained.
  - Ask both replicas for their policies and data (`GET /v1/policies`, `GET /v1/data`) and compare them with what you published.
  - Take the replica that differs out of service, keep its disk and memory, and start a new one from the signed bundle.
  - "See what else that replica allowed: SELECT time, actor, session, wallet, request FROM events WHERE kind = 'decision' AND outcome = 'allow' AND source = '<source>' ORDER BY time DESC"
false_positives:
  - A policy that asks a clock, chance or another service, and was asked across a change of it.
  - Data that is pushed to the replicas past their bundles, within the time that it takes to reach all. A revocation of
    keywatch itself is left out where every denial came after the allow.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1554, T1556]
parameters:
  apart:
    type: duration
    default: 5 minutes
    meaning: how far apart in the log the two decisions may stand, before and after; the longest upload delay of the decision log
*/
SELECT
  event_id,
  coalesce(request, session, decision, event_id) AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  to_address,
  decision,
  evidence_denial,
  source,
  replica,
  bundles
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE outcome = 'deny') OVER (
      PARTITION BY question ORDER BY time RANGE BETWEEN $apart PRECEDING AND $apart FOLLOWING
    ) AS denials,
    count(*) FILTER (WHERE outcome = 'deny') OVER (
      PARTITION BY question, replica ORDER BY time RANGE BETWEEN $apart PRECEDING AND $apart FOLLOWING
    ) AS own_denials,
    min(CASE WHEN outcome = 'deny' THEN event_time END) OVER (
      PARTITION BY question ORDER BY time RANGE BETWEEN $apart PRECEDING AND $apart FOLLOWING
    ) AS denied_at,
    last_value(CASE WHEN outcome = 'deny' THEN event_id END) IGNORE NULLS OVER (
      PARTITION BY question ORDER BY time RANGE BETWEEN $apart PRECEDING AND $apart FOLLOWING
    ) AS evidence_denial,
    count(*) FILTER (WHERE kind = 'response.published') OVER (
      ORDER BY time RANGE BETWEEN $apart PRECEDING AND $apart FOLLOWING
    ) AS publications
  FROM (
    SELECT
      *,
      -- Canonical JSON, so that equal inputs are equal text.
      coalesce(path, '') || ' ' || bundles || ' ' || input AS question
    FROM (
      SELECT
        *,
        detail_text(detail, 'path') AS path,
        detail_text(detail, 'bundles') AS bundles,
        detail_text(detail, 'input') AS input,
        coalesce(source || ' ' || detail_text(detail, 'labels.id'), source) AS replica
      FROM events
      WHERE kind = 'response.published'
        OR (kind = 'decision' AND outcome IN ('allow', 'deny') AND detail_text(detail, 'erased') IS NULL)
    )
    -- Two inputs whose secrets were hidden on the way in may have differed in them.
    WHERE kind = 'response.published' OR (bundles IS NOT NULL AND input IS NOT NULL AND input NOT LIKE '%"***"%')
  )
)
WHERE
  kind = 'decision'
  AND outcome = 'allow'
  AND denials > own_denials
  AND (publications = 0 OR denied_at < event_time)
