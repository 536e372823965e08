/*
version: 2
title: "{amount:asset} left wallet {wallet} by {tx}, for which no signature is known"
severity: critical
entity: the wallet
proof: corroborated
needs: [node, signer]
uses: [outflows]
without_history: >-
  A wallet whose signer is neither declared nor has ever spoken is not judged; coverage shows it as blind.
response: [wallet]
suppress_for: 1h
meaning: >-
  Value left the wallet, and the signer has no record of a signature for that transaction, neither before it nor in the
  time that its records take to arrive. Either somebody else can move this wallet (its code, an allowance, a module or a
  copied key), or the signer's record was kept from you.
runbook:
  - "See what is known of the transaction: SELECT time, source, kind, actor, to_address, asset, amount FROM events WHERE tx = '<tx>' ORDER BY time"
  - "Check that the signer was heard: SELECT source, max(time) FROM events WHERE kind LIKE 'signing.%' GROUP BY source"
  - Read on chain who called what. The wallet's own entry point, an allowance (transferFrom), a module, or new code of the wallet each need another stop.
  - Take away what lets it happen. Revoke the allowance, disable the module; with new code or a copied key only speed helps, so move what is left.
  - Trace the destination and ask exchanges and issuers to freeze.
false_positives:
  - The signer's record is later than `signer_delay` though it said nothing bad about itself; while it is silent or unwell, `chain/outflow_unverified` tells of the transfer instead.
  - An allowance or module that is meant to move funds (recurring payments, staking). Its transactions carry no signature of the wallet.
  - A worthless token whose contract claims transfers that nobody made; let the chain follower report known assets only.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1657, T1078]
parameters: {}
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  wallet,
  request,
  tx,
  amount,
  to_address,
  asset,
  chain,
  signer
FROM outflows
WHERE signatures = 0 AND signer_state = 'heard'
