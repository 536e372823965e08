/*
version: 2
title: "{to_address} looks like the approved destination {imitated} but is another address"
severity: high
entity: the wallet and the destination
proof: corroborated
needs: [node]
without_history: >-
  Needs none: addresses are held against those that the inventory approves. A token that the business never dealt in
  is passed over, whatever it claims.
response: []
suppress_for: 1d
meaning: >-
  People compare the first and the last characters of an address. Somebody has searched for an address that has the same
  ones as an approved destination, which costs minutes to hours of computing and has no honest use.
runbook:
  - Compare the two addresses character by character, from the records, not from a screen that shortens them.
  - "See where the address came in: SELECT time, source, kind, actor, request, tx, amount FROM events WHERE to_address = '<to_address>' ORDER BY time. The first record that has it is where the attacker stands."
  - Stop the request if it is not signed yet. Replace the transaction with a higher fee if it is not confirmed yet.
  - If it is confirmed, trace and ask for freezes; then stop the system through which the address came in.
  - Remind the signers of the full comparison, or of the approved list, by an example with these two addresses.
false_positives:
  - Two genuine addresses with the same ends. It happens by chance once in billions; approve the second one in the inventory.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1036, T1565.002]
parameters: {}
*/
SELECT
  event_id,
  e.wallet || ' ' || e.to_address AS entity,
  e.actor,
  e.session,
  e.wallet,
  e.request,
  e.tx,
  e.amount,
  e.to_address,
  imitated.address AS imitated,
  imitated.label AS imitated_label
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind IN ('custody.request', 'signing.requested', 'signing.signed')) OVER (
      PARTITION BY asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS dealt_in
  FROM events
  WHERE kind IN ('custody.request', 'signing.requested', 'signing.signed', 'chain.tx', 'chain.transfer')
) AS e
INNER JOIN destinations AS imitated
  ON imitated.system = e.system AND lookalike_shape(imitated.address) = lookalike_shape(e.to_address)
LEFT JOIN destinations AS approved ON approved.system = e.system AND approved.address = e.to_address
LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
WHERE approved.address IS NULL
  AND own.wallet IS NULL
  AND e.wallet IS NOT NULL
  AND (
    e.kind IN ('custody.request', 'signing.requested', 'chain.tx')
    -- Transfers of nothing, or of a token made for it, plant look-alikes in a wallet's history every day; only paying
    -- one is told.
    OR (
      e.kind = 'chain.transfer'
      AND detail_text(e.detail, 'direction') = 'out'
      AND e.amount > 0
      AND (e.asset IS NULL OR char_length(e.asset) < 20 OR dealt_in > 0)
    )
  )
