/*
version: 1
title: "Blocks of {chain} that were final are left, up to block {block}"
severity: critical
entity: the chain
proof: corroborated
needs: [chain.finality]
without_history: >-
  Judged from the first block on.
response: []
suppress_for: 1h
meaning: >-
  A chain does not go back behind what is final: nobody does so by accident. Either the nodes that keywatch asks show a chain
  that somebody made for it, or the chain itself was overturned, and with it every deposit that was credited since.
runbook:
  - Stop crediting deposits and sending payments on this chain, at once.
  - "See what was left: SELECT time, kind, outcome, reason, detail FROM events WHERE kind IN ('chain.finality', 'chain.reorg', 'source.status') ORDER BY time DESC LIMIT 50"
  - Look the newest blocks up at a provider that is none of the configured ones, and on a node of your own.
  - Only the configured nodes show it. Treat them, their operator and the path to them as compromised.
  - Everybody shows it. Go through the retracted deposits of the last hours with whoever was credited.
false_positives:
  - A test network that was started anew under the same name.
  - A depth in `finality` that is less than this chain's branches reach.
ccss: ["2.02.4.1"]
attack: [T1565.002]
parameters: {}
*/
SELECT
  event_id,
  chain AS entity,
  chain,
  source,
  detail_int(detail, 'block') AS block,
  reason AS what
FROM events
WHERE kind = 'chain.finality'
  AND outcome = 'reverted'
