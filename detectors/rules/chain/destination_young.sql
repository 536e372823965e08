/*
version: 1
title: "Wallet {wallet} trusts contract {to_address} ({used}), which is {age_hours} hours old"
severity: high
entity: the wallet and the contract
proof: corroborated
needs: [node]
response: []
suppress_for: 1d
meaning: >-
  A watched wallet ran the code of a contract as itself, made it a module, guard, owner or implementation, or let it take tokens;
  nobody declared the contract, and a few days ago it did not exist. What services use in public is older, and has been read by
  others. Thieves deploy the contract for one theft, hours or days before it: so it was at Bybit, WazirX and Radiant.
runbook:
  - Stop the signers of this wallet, by voice, until somebody has named the contract. If tokens may be taken, set the allowance to zero first; if control was given, move what the wallet holds.
  - "See what the transaction did: SELECT time, source, kind, actor, request, to_address, amount, detail FROM events WHERE tx = '<tx>' ORDER BY time"
  - "See who else used it: SELECT time, wallet, tx, detail FROM events WHERE kind = 'chain.destination' AND to_address = '<to_address>' ORDER BY time"
  - Look on chain at who deployed it in block `created_block`, whether its code is published, and whether other contracts have the same `code_hash`. A new proxy in front of known code is young too.
  - Yours. Declare it in `libraries`, `modules` or as the wallet's `implementation`, by two persons; next time before it is used.
false_positives:
  - A contract of your own, or of a service that you use, in its first days, that was not declared before it was used.
  - A contract that was deleted and made anew under its address, which counts from then on.
ccss: ["1.05.8.1", "2.02.3.2", "2.02.4.1"]
attack: [T1098, T1657]
parameters:
  young_seconds:
    type: integer
    default: 604800
    meaning: how old a contract has to be so that it counts as known; 7 days
*/
SELECT
  event_id,
  e.wallet || ' ' || e.to_address AS entity,
  e.wallet,
  e.tx,
  e.to_address,
  e.chain,
  used,
  age_seconds / 3600 AS age_hours,
  created_block,
  code_hash
FROM (
  SELECT
    *,
    detail_text(detail, 'used') AS used,
    detail_int(detail, 'age_seconds') AS age_seconds,
    detail_int(detail, 'created_block') AS created_block,
    detail_text(detail, 'code_hash') AS code_hash
  FROM events
  WHERE kind = 'chain.destination' AND wallet IS NOT NULL
) AS e
-- The follower leaves out what is declared; of old blocks that are read for one wallet it does not know the others.
LEFT JOIN libraries AS l ON l.system = e.system AND l.address = e.to_address
LEFT JOIN modules AS m ON m.system = e.system AND m.wallet = e.wallet AND m.module = e.to_address
LEFT JOIN destinations AS d ON d.system = e.system AND d.address = e.to_address
LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
WHERE used NOT IN ('payment', 'call')
  AND age_seconds < $young_seconds
  AND l.address IS NULL
  AND m.module IS NULL
  AND d.address IS NULL
  AND own.wallet IS NULL
  AND (w.implementation IS DISTINCT FROM e.to_address)
