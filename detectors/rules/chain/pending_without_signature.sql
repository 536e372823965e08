/*
version: 1
title: "Account {wallet} has {tx} waiting, for which no signature is known"
severity: critical
entity: the wallet
proof: corroborated
needs: [node, signer]
uses: [account_transactions]
without_history: >-
  A wallet whose signer is neither declared nor has ever spoken is not judged; coverage shows it as blind.
response: [wallet]
suppress_for: 1h
meaning: >-
  A transaction of this account waits for its block, and the signer has no record of a signature for it. Somebody else signs with
  the account's key, and it has not happened yet: until it stands in a block, one with the same number and a higher fee takes its
  place. Of transactions that stand in a block, `chain/outflow_without_signature` and `chain/transaction_without_signature` tell.
runbook:
  - Sign an empty transaction of the account to itself with the same number (`nonce` of the event) and a fee well above, and send it to several nodes. Whoever has the key does the same; the highest fee wins.
  - "See what is known of the transaction: SELECT time, source, kind, actor, to_address, asset, amount, outcome, detail FROM events WHERE tx = '<tx>' ORDER BY time"
  - "Check that the signer was heard: SELECT source, max(time) FROM events WHERE kind LIKE 'signing.%' GROUP BY source"
  - Take the key as copied until somebody can say who used it. Move what it alone can move, and take it out of every multisig.
false_positives:
  - The signer's record is later than `signer_delay` though it said nothing bad about itself; raise it, or declare the source's delay.
  - An account whose key is also held by a machine that is no source of keywatch, such as a relayer that pays for gas.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1078, T1552, T1657]
parameters:
  signer_delay:
    type: duration
    default: 20 seconds
    meaning: how long after the transaction was seen the signer's record may still arrive
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  wallet,
  tx,
  amount,
  asset,
  to_address,
  chain,
  detail_text(detail, 'selector') AS selector,
  signer
FROM account_transactions
WHERE outcome = 'unconfirmed' AND signatures = 0 AND signer_state = 'heard'
