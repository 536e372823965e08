/*
version: 1
title: "{amount:asset} left wallet {wallet} while its signer {signer} was not heard"
severity: medium
entity: the wallet
proof: corroborated
needs: [node, signer]
uses: [outflows]
without_history: >-
  A wallet whose signer is neither declared nor has ever spoken is not judged; coverage shows it as blind.
response: []
suppress_for: 1d
meaning: >-
  Value left the wallet and no signature is known for it; but the signer's records were missing altogether at that time,
  or the signer said that it was unwell. So the missing record proves nothing, and neither does it clear the transfer.
runbook:
  - "Compare the wallet's transfers of that time with the signer's own log: SELECT time, tx, asset, amount, to_address FROM events WHERE wallet = '<wallet>' AND kind = 'chain.transfer' ORDER BY time DESC"
  - "See since when the signer is not heard: SELECT kind, outcome, reason, max(time) FROM events WHERE source = '<signer>' GROUP BY kind, outcome, reason"
  - A transfer that the signer's own log does not have either is a theft; go on as in chain/outflow_without_signature.
  - When the signer's records arrive later, check that each of these transfers has one.
false_positives:
  - An outage or maintenance of the signer's connection, with payments going on.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1562.006, T1657]
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
  signer,
  signer_state
FROM outflows
WHERE signatures = 0 AND signer_state IN ('silent', 'unwell', 'slow')
