/*
version: 2
title: "Who controls wallet {wallet} has changed: {change} {value_now}"
severity: high
entity: the wallet
proof: corroborated
response: [wallet]
suppress_for: 1h
meaning: >-
  Owners, threshold, modules and guards decide who can move the wallet; the owner, admin or beacon of a contract decides
  which code it runs and what it pays; its fallback handler answers for it. One of them was changed to a value that the
  inventory does not have. A module moves funds without any owner's signature; an unknown owner or a lower threshold
  makes the next theft a matter of fewer keys, and who owns a contract needs no further key at all.
runbook:
  - "Find the transaction that did it and its request: SELECT time, kind, request, tx, actor, detail FROM events WHERE wallet = '<wallet>' AND kind IN ('signing.signed', 'chain.tx', 'chain.contract') ORDER BY time DESC"
  - Ask two owners, by voice, whether they signed this change.
  - Not theirs. While the old owners still reach the threshold, undo it at once (remove the owner, disable the module, restore the guard); otherwise move the funds.
  - An owner, admin or beacon of a contract. Nothing undoes it but the new owner; pause what can be paused, and move what the contract holds before its code is exchanged.
  - Look at the same owners' other wallets for the same change.
  - Planned. Enter the new owner or threshold in the inventory, by two persons; next time before the change.
false_positives:
  - A planned rotation whose new owner, threshold, module or guard was not entered in the inventory first. Modules, guards and fallback handlers have no entry there and are always told.
  - A contract that is handed to a timelock, or whose proxy gets another admin. Declare the new one among the `owners` of the contract, or as a wallet of the system.
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
LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.value_now
-- Taking an owner out gives nobody control, so it is left to the wallet's own threshold; a contract that has no owner any
-- more, or the same as before, is nobody else's either.
WHERE change IN ('module', 'guard', 'module_guard', 'fallback_handler')
  OR (change = 'owner_added' AND o.owner IS NULL)
  OR (change = 'threshold' AND (value_now IS DISTINCT FROM CAST(w.threshold AS VARCHAR)))
  OR (
    change IN ('owner', 'admin', 'beacon')
    AND o.owner IS NULL
    AND own.wallet IS NULL
    AND value_now <> '0x0000000000000000000000000000000000000000'
    AND (value_now IS DISTINCT FROM value_before)
  )
