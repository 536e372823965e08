/*
version: 1
title: "{amount} base units of {asset} left wallet {wallet} by {tx}, for which no signature is known"
severity: critical
entity: the wallet
proof: corroborated
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
  - The signer's record is later than `signer_delay`, for example after an outage.
  - An allowance or module that is meant to move funds (recurring payments, staking). Its transactions carry no signature of the wallet.
  - A worthless token whose contract claims transfers that nobody made; let the chain follower report known assets only.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1657, T1078]
parameters:
  signature_reach:
    type: duration
    default: 7 days
    meaning: how long before the transfer its signature may have been recorded
  signer_delay:
    type: duration
    default: 5 minutes
    meaning: how long after the transfer the signer's record may still arrive
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
  asset
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind = 'signing.signed' AND (outcome IS DISTINCT FROM 'failed')) OVER (
      PARTITION BY tx ORDER BY time RANGE BETWEEN $signature_reach PRECEDING AND $signer_delay FOLLOWING
    ) AS signatures
  FROM events
  WHERE kind IN ('chain.transfer', 'signing.signed') AND tx IS NOT NULL
)
WHERE kind = 'chain.transfer'
  AND detail_text(detail, 'direction') = 'out'
  AND wallet IS NOT NULL
  AND (outcome IS DISTINCT FROM 'failed')
  -- Anybody can make a token report a transfer of nothing from a stranger's wallet.
  AND (amount = 0) IS NOT TRUE
  AND signatures = 0
