/*
version: 1
title: Rule {entity} went on without a record that it cannot evaluate
severity: high
entity: the rule
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  A record makes a rule fail each time. The rule goes on without it: its windows do not have the record, or the record
  was not answered. Whatever the record hides, this rule will not find. Whoever can write such records can hide from it.
runbook:
  - "Read the record: SELECT * FROM events WHERE event_id = '<evidence_record>'"
  - Judge by hand what the rule would have said of it; `keywatch detectors explain RULE` says what it looks for.
  - Find out whether the source always writes such records or began just now, and what else came with the first one.
  - Correct the rule, so that it reckons with such records, and run it over the history with `keywatch backtest`.
false_positives:
  - A rule of your own that does not reckon with nulls or zeros in what sources send.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1562.006]
parameters: {}
*/
SELECT
  event_id,
  detail_text(detail, 'rule') AS entity,
  detail_text(detail, 'event') AS evidence_record,
  detail_text(detail, 'record_time') AS record_time,
  reason AS problem
FROM events
WHERE kind = 'rule.skipped'
