/*
version: 1
title: Source {entity} said something else under an id it had used before
severity: medium
entity: the source
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  A source sent a record under the id of an earlier record, with other content. The first one was kept and both are in
  the log. Records do not change; either the source numbers badly, or somebody rewrites what it had said.
runbook:
  - "Put the two side by side: SELECT time, kind, detail FROM events WHERE event_id IN ('<conflicting_event>', '<event_id>')"
  - Say which columns differ. Another destination, amount, outcome or actor is an attempt to rewrite history until explained.
  - Ask the source for the record by its id over another path, and see which of the two it shows now.
  - A harmless difference (a field filled in later) is fixed in the source or feed by giving revisions ids of their own.
false_positives:
  - A source that fills in fields later under the same id, or reuses ids after a reset.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1565.001]
parameters: {}
*/
SELECT
  event_id,
  source AS entity,
  actor,
  session,
  wallet,
  request,
  tx,
  detail_text(detail, 'conflicting_event') AS evidence_kept,
  detail_text(detail, 'conflicting_event') AS conflicting_event
FROM events
WHERE kind = 'source.conflict'
