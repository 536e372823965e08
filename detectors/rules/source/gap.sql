/*
version: 1
title: "{records} records of the {topic} topic are lost, and {accepted_by} went on without them"
severity: high
entity: the system
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  The log was damaged: records that had been acknowledged do not stand in it any more. A person accepted the loss by name,
  so that keywatch could go on. No rule has seen what was lost, and none can: what happened between the two times is
  unknown, whatever other records say. Cutting the log is also how somebody hides what the log had seen.
runbook:
  - "Ask the person named whether they did it and why: SELECT actor, reason, detail FROM events WHERE kind = 'source.gap'"
  - Find out how the log was damaged. A disk has other errors to show; a file cut by hand has none.
  - Have the sources send the interval again (they keep their own logs), or import it from a copy of the log.
  - Compare the wallets' balances and signatures of the interval with what signers and chains say themselves.
  - Keep the directory `damaged-N` beside the log until this is explained; the lost part may be in it.
false_positives:
  - A disk or file system that failed, known to the operators.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1070, T1565.001]
parameters: {}
*/
SELECT
  event_id,
  system AS entity,
  actor,
  detail_text(detail, 'topic') AS topic,
  detail_int(detail, 'records') AS records,
  detail_text(detail, 'from_time') AS from_time,
  detail_text(detail, 'to_time') AS to_time,
  detail_text(detail, 'cause') AS cause,
  detail_text(detail, 'accepted_by') AS accepted_by
FROM events
-- What a source lacks, source/records_missing tells.
WHERE kind = 'source.gap' AND detail_text(detail, 'missing') IS NULL
