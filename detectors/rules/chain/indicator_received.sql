/*
version: 1
title: "{indicator} sent something to wallet {wallet}, and is warned of: {label}"
severity: low
entity: the sender and the wallet
uses: [warned]
proof: corroborated
without_history: >-
  Judged from the moment on from which the inventory names an indicator; what was before is looked for when it is imported.
response: []
suppress_for: 1d
meaning: >-
  Coins or tokens came to a wallet from an address that the inventory lists among `indicators`. Nobody of yours did
  anything, and anybody can do it to any wallet, mostly so that it looks tainted. It is written down for who has to
  explain where coins came from.
runbook:
  - "See what came from there: SELECT time, wallet, tx, asset, amount FROM events WHERE kind = 'chain.transfer' AND from_address = '<indicator>' ORDER BY time"
  - Where the amount is more than dust, put the coins aside, and ask who answers for compliance before they are spent.
  - Do not send anything back.
false_positives:
  - Dust that is sent to wallets from a warned address so that they look tainted.
ccss: ["2.02.3.2"]
attack: [T1657]
parameters: {}
*/
SELECT
  event_id,
  indicator || ' ' || coalesce(wallet, to_address, 'nobody') AS entity,
  wallet,
  tx,
  amount,
  to_address,
  indicator,
  warning AS label
FROM warned
WHERE is_received
