/*
version: 1
title: Request {request} of wallet {wallet} is filed under a hash that its fields do not give
severity: critical
entity: the signing request
proof: itself
response: [request, wallet]
suppress_for: 1h
meaning: >-
  The hash that signers are asked to sign was recomputed from the request's fields and is another one. Either the fields
  that people read or the hash that their devices sign has been changed on the way. Anyone can repeat the computation.
runbook:
  - Tell the signers not to sign the hash, whatever their screen says next to it.
  - "Read the record: SELECT time, source, to_address, asset, amount, detail FROM events WHERE request = '<request>' ORDER BY time"
  - Recompute the hash by a second tool from the same fields, with the wallet's real contract version and chain id. If it fits there, the inventory's contract version is wrong; correct it and close.
  - If it does not fit, fetch the record again from the service over another network path and compare it byte by byte.
  - Preserve the record and the page or client that filed it, and treat the filing account (the proposer) as taken over until shown otherwise.
false_positives:
  - The contract version or chain id in the inventory is wrong, so that the domain of the hash is wrong; then every request of the wallet matches, not one.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1565.001, T1565.002]
parameters: {}
*/
SELECT
  event_id,
  request AS entity,
  actor,
  session,
  wallet,
  request,
  amount,
  to_address,
  detail_text(detail, 'hash_filed') AS hash_filed,
  detail_text(detail, 'hash_recomputed') AS hash_recomputed,
  detail_int(detail, 'nonce') AS nonce,
  reason
FROM events
WHERE kind = 'signing.requested' AND outcome = 'mismatch'
