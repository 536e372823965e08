/*
version: 1
title: "Source {entity} says that it is unwell, and has not recovered: {trouble}"
severity: low
entity: the source, and the replica or interface of it where one is named
proof: corroborated
without_history: >-
  Judged from the first word on.
response: []
suppress_for: 1d
meaning: >-
  A source said of itself that it loses records, cannot fetch its policy or fails in part, and did not take it back. It
  still speaks, so it is not silent, and what it does not say any more is missed by nobody. Rules that would judge by
  its silence excuse it meanwhile.
runbook:
  - "See what it said of itself: SELECT time, outcome, reason, detail FROM events WHERE source = '<source>' AND kind = 'source.status' ORDER BY time DESC LIMIT 50"
  - Mend it by what it says. Decisions that were lost were made, so ask the decision point's own log for them; flows that were skipped cannot be had again.
  - Look whether somebody changed its limits, its plugins or its bundle just before.
  - For a policy decision point that decides by an old policy, stop signing until its revision is the one you published.
false_positives:
  - Maintenance that takes longer than `recovery`.
  - A flow log that skips records in every busy hour; its provider's limits are reached, and it is still blind then.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1562.006, T1562.008]
parameters:
  recovery:
    type: duration
    default: 30 minutes
    meaning: how long a source may be unwell before it is told
  reach:
    type: duration
    default: 1 day
    meaning: how long its last word stands; one that goes on saying the same is told once
*/
SELECT
  event_id,
  subject AS entity,
  coalesce(reason, 'it does not say why') AS trouble
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE outcome = 'ok') OVER (
      PARTITION BY subject ORDER BY time
      RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $recovery FOLLOWING
    ) AS recovered,
    last_value(outcome) IGNORE NULLS OVER (
      PARTITION BY subject ORDER BY time
      RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS word_before
  FROM (
    SELECT
      *,
      -- Replicas of a decision point and interfaces of a network speak as one source, each of itself.
      coalesce(source || ' ' || coalesce(detail_text(detail, 'replica'), detail_text(detail, 'interface')), source)
        AS subject
    FROM events
    WHERE kind = 'source.status'
  )
)
WHERE outcome = 'degraded' AND recovered = 0 AND (word_before IS DISTINCT FROM 'degraded')
