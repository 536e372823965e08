/*
version: 3
title: "{to_address} looks like {imitated}, {imitated_is}, but is another address"
severity: high
entity: the wallet and the destination
proof: corroborated
needs: [node]
uses: [resemblances]
without_history: >-
  Needs none where addresses are held against the approved destinations and the wallets of the inventory; against those with
  which the wallet dealt as soon as it did. A token that the business never dealt in is passed over, whatever it claims.
response: []
suppress_for: 1d
meaning: >-
  People compare the first and the last characters of an address. Somebody has searched for an address that has the same
  ones as an approved destination, a wallet of the system, or somebody with whom the wallet really dealt within
  `resemblance_reach`. That costs minutes to hours of computing and has no honest use. That dust, a transfer of nothing or a
  made-up token put it into the wallet's history before excuses nothing; what planted it is among the evidence.
runbook:
  - Compare the two addresses character by character, from the records, not from a screen that shortens them.
  - "See where the address came in: SELECT time, source, kind, actor, request, tx, amount FROM events WHERE to_address = '<to_address>' ORDER BY time. The first record that has it is where the attacker stands."
  - Stop the request if it is not signed yet. Replace the transaction with a higher fee if it is not confirmed yet.
  - If it is confirmed, trace and ask for freezes; then stop the system through which the address came in.
  - Remind the signers of the full comparison, or of the approved list, by an example with these two addresses.
false_positives:
  - Two genuine addresses with the same ends. By chance one pair in four billion has them, so that among a hundred thousand
    counterparties of a wallet one such pair is to be expected; approve the second one in the inventory.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1036, T1565.002]
parameters: {}
*/
SELECT
  event_id,
  wallet || ' ' || to_address AS entity,
  actor,
  session,
  wallet,
  request,
  tx,
  amount,
  to_address,
  imitated,
  imitated_is,
  imitated_label,
  planted_in AS evidence_planted
FROM resemblances
WHERE kind IN ('custody.request', 'signing.requested')
  -- Anybody can ask a multisig for what it refuses; what its owners did not sign and what failed is nobody's payment.
  OR (kind = 'chain.tx' AND (outcome = 'failed' AND request IS NULL AND actor <> wallet) IS NOT TRUE)
  -- Transfers of nothing, or of a token made for it, plant look-alikes in a wallet's history every day; only paying
  -- one is told.
  OR (kind = 'chain.transfer' AND direction = 'out' AND amount > 0 AND is_known)
