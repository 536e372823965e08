/*
version: 4
title: "Nodes of {chain} do not say what is so: {what}"
severity: high
entity: the chain, and whether it is about blocks or about what waits for one
proof: corroborated
needs: [chain.disagreement]
without_history: >-
  Judged from the first block on.
response: []
suppress_for: 1h
meaning: >-
  The nodes that keywatch asks answer with another block, other receipts or other storage for the same height. What most of
  them say was taken; also nodes that are not asked for blocks are compared, and told where they go on with different blocks for
  longer than one may stand still. One that lies, or stands on a branch of its own, can hide a theft from everybody who asks only it. Or a
  node shows a waiting transaction under a sender that did not sign it, so that alarms are raised or stay away; it was left out.
  Each of the two is told by itself. All heights are one alert, since a node on a branch of its own differs at every one.
runbook:
  - "See who says what: SELECT time, chain, reason, detail FROM events WHERE kind = 'chain.disagreement' ORDER BY time DESC"
  - Look the block up at a provider that is none of these, and on a node of your own.
  - The odd one out is behind or on another branch. Take it out of the configuration until its operator explains it.
  - It keeps lying. Whoever runs it or sits before it may be preparing something; check what signers and the ledger read from it.
false_positives:
  - Two blocks at one height for some seconds; the node that has the losing one follows soon.
ccss: ["2.02.4.1"]
attack: [T1565.002]
parameters: {}
*/
SELECT
  event_id,
  -- A sender that was shown wrongly must not hide that blocks differ, nor the other way round.
  chain || CASE WHEN detail_text(detail, 'transaction') IS NULL THEN ' blocks' ELSE ' waiting transactions' END AS entity,
  chain,
  source,
  detail_int(detail, 'block') AS block,
  detail_text(detail, 'transaction') AS tx,
  reason AS what
FROM events
WHERE kind = 'chain.disagreement'
