/*
version: 1
title: "{actor} was given the right {granted_right} by {granted_by} without a ticket"
severity: medium
entity: the person
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  Rights over keys and wallets are given and taken on a ticket that somebody else approved. One without a ticket was given
  past the procedure: by somebody in a hurry, or by somebody who wanted no second pair of eyes.
runbook:
  - "See what the person was given before, and by whom: SELECT time, outcome, wallet, key, detail FROM events WHERE kind = 'custody.grant' AND actor = '<actor>' ORDER BY time"
  - Ask who gave it for the ticket, and ask whoever should have approved it.
  - Take the right back until there is one, and look at what the person signed since.
false_positives:
  - A register that keeps the ticket in a field that its records leave out.
ccss: ["1.04.1.1", "1.04.2.1", "1.04.3.1"]
attack: [T1098]
parameters: {}
*/
SELECT
  event_id,
  actor AS entity,
  actor,
  wallet,
  detail_text(detail, 'right') AS granted_right,
  coalesce(detail_text(detail, 'by'), 'an unnamed person') AS granted_by
FROM events
WHERE kind = 'custody.grant' AND outcome = 'granted' AND actor IS NOT NULL AND detail_text(detail, 'ticket') IS NULL
