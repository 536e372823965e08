/*
version: 1
title: "Who controls wallet {wallet} has changed: {change} {value_now}"
severity: high
entity: the wallet
proof: corroborated
response: [wallet]
suppress_for: 1h
meaning: >-
  Owners, threshold, modules and guard decide who can move the wallet. One of them was changed to a value that the
  inventory does not have. A module moves funds without any owner's signature; an unknown owner or a lower threshold
  makes the next theft a matter of fewer keys.
runbook:
  - "Find the transaction that did it and its request: SELECT time, kind, request, tx, actor, detail FROM events WHERE wallet = '<wallet>' AND kind IN ('signing.signed', 'chain.tx', 'chain.contract') ORDER BY time DESC"
  - Ask two owners, by voice, whether they signed this change.
  - Not theirs. While the old owners still reach the threshold, undo it at once (remove the owner, disable the module, restore the guard); otherwise move the funds.
  - Look at the same owners' other wallets for the same change.
  - Planned. Enter the new owner or threshold in the inventory, by two persons; next time before the change.
false_positives:
  - A planned rotation whose new owner, threshold, module or guard was not entered in the inventory first. Modules and guards have no entry there and are always told.
ccss: ["1.04.1.1", "2.02.3.2", "2.02.4.1"]
attack: [T1098, T1657]
parameters: {}
*/
SELECT
  event_id,
  e.wallet AS entity,
  e.actor,
  e.wallet,
  e.request,
  e.tx,
  change,
  value_before,
  value_now
FROM (
  SELECT
    *,
    detail_text(detail, 'change') AS change,
    detail_text(detail, 'before') AS value_before,
    detail_text(detail, 'after') AS value_now
  FROM events
  WHERE kind = 'chain.contract' AND wallet IS NOT NULL
) AS e
LEFT JOIN owners AS o ON o.system = e.system AND o.wallet = e.wallet AND o.owner = e.value_now
LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
-- Taking an owner out gives nobody control, so it is left to the wallet's own threshold.
WHERE change IN ('module', 'guard')
  OR (change = 'owner_added' AND o.owner IS NULL)
  OR (change = 'threshold' AND (value_now IS DISTINCT FROM CAST(w.threshold AS VARCHAR)))
