/*
version: 1
title: Rule {entity} failed and sees nothing until it is retried
severity: high
entity: the rule
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  A rule failed on the log and is parked. Until keywatch has retried it, what it looks for goes unseen; what it missed is
  evaluated when it comes back, and what it finds then comes late. A record may have been made to break it.
runbook:
  - "Read why: SELECT time, kind, reason, detail FROM events WHERE kind IN ('rule.parked', 'rule.resumed', 'rule.skipped') ORDER BY time"
  - If rule.resumed follows within seconds, the gap is filled; look at the findings that it withheld, they are late.
  - If it stays parked, look by hand for what the rule looks for, from the time of the first record of the gap on.
  - Find the record on which it fails and who wrote it. A source that can write such records can blind the rule.
  - Correct the rule (a division by zero, a text that is no number) or disable it by name, and restart keywatch.
false_positives:
  - A rule of your own that does not reckon with nulls or zeros in what sources send.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1562.006]
parameters: {}
*/
SELECT
  event_id,
  detail_text(detail, 'rule') AS entity,
  reason AS problem,
  detail_text(detail, 'failures') AS failures
FROM events
WHERE kind = 'rule.parked'
