/*
version: 1
title: "Account {wallet} sent {tx}, for which no signature is known"
severity: high
entity: the wallet
proof: corroborated
needs: [node, signer]
uses: [account_transactions]
without_history: >-
  A wallet whose signer is neither declared nor has ever spoken is not judged; coverage shows it as blind.
response: [wallet]
suppress_for: 1h
meaning: >-
  A transaction of this account stands in a block, and the signer has no record of a signature for it, neither before it nor in
  the time that its records take to arrive. It moved nothing itself, or failed: an allowance, a change of owner, a call that
  prepares something. Whoever has a copied key tries it in this way before they take what is there. Of value that left,
  `chain/outflow_without_signature` tells.
runbook:
  - "See what is known of the transaction: SELECT time, source, kind, actor, to_address, asset, amount, detail FROM events WHERE tx = '<tx>' ORDER BY time"
  - "Check that the signer was heard: SELECT source, max(time) FROM events WHERE kind LIKE 'signing.%' GROUP BY source"
  - Read what it called. Take back an allowance, a delegation or a role that it gave, from another account where that can be done.
  - Take the key as copied until somebody can say who used it. Move what it alone can move, and take it out of every multisig.
false_positives:
  - The signer's record is later than `signer_delay` though it said nothing bad about itself.
  - An account whose key is also held by a machine that is no source of keywatch, such as a relayer that pays for gas.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1078, T1552]
parameters: {}
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  wallet,
  tx,
  to_address,
  chain,
  detail_text(detail, 'selector') AS selector,
  signer
FROM account_transactions
WHERE outcome IN ('success', 'failed')
  -- As a follower read it from a block.
  AND detail_text(detail, 'block_hash') IS NOT NULL
  AND (outcome = 'failed' OR (amount > 0) IS NOT TRUE)
  AND signatures = 0
  AND signer_state = 'heard'
