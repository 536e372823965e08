/*
version: 1
title: "{actor} turned off {target} ({act})"
severity: high
entity: the log that was turned off
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  A trail, flow log, audit device or log stream was stopped or deleted, or was told to leave the use of keys out. What
  happens after it leaves no trace. It is what intruders do first, and hardly anybody else does it at all.
runbook:
  - "See what the actor did before and after: SELECT time, kind, outcome, ip, detail FROM events WHERE actor = '<actor>' ORDER BY time DESC LIMIT 100"
  - Turn the log on again, under another administrator, before anything else.
  - Ask the actor over a channel that you know. If it was not them, end their sessions and keys.
  - Hold withdrawals until it is plain what happened while the log was off; ask the provider for its own records.
false_positives:
  - A log that was replaced by another one. Say so on a ticket before, and turn the new one on first.
ccss: ["2.02.1.1", "2.02.1.2", "2.02.3.2"]
attack: [T1562.008]
parameters: {}
*/
SELECT
  event_id,
  coalesce(target, act, event_id) AS entity,
  actor,
  session,
  ip,
  act,
  target
FROM (
  SELECT
    *,
    detail_text(detail, 'act') AS act,
    detail_text(detail, 'target') AS target,
    lower(detail_text(detail, 'act')) AS word
  FROM events
  WHERE kind = 'control.logging' AND outcome = 'success'
)
WHERE word LIKE '%stop%'
  OR word LIKE '%delete%'
  OR word LIKE '%disable%'
  OR word LIKE '%deactivate%'
  OR detail_bool(detail, 'kms_excluded')
