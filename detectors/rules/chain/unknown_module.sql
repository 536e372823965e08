/*
version: 2
title: Module {module} acted for wallet {wallet} without any signature of its owners
severity: critical
entity: the wallet and the module
proof: corroborated
needs: [node]
without_history: >-
  Judged from the first act on: a module that the inventory does not name is foreign by itself.
response: [wallet]
suppress_for: 1h
meaning: >-
  A module of a multisig may move everything without asking the owners. This one acted and is not declared. Whoever can
  enable a module owns the wallet from then on, whatever the owners and the threshold are.
runbook:
  - "See what it did: SELECT time, kind, outcome, tx, to_address, asset, amount, detail FROM events WHERE wallet = '<wallet>' AND kind = 'chain.module_tx' ORDER BY time DESC"
  - "See when it was enabled, and who signed that: SELECT time, kind, request, actor, detail FROM events WHERE wallet = '<wallet>' AND kind IN ('chain.contract', 'signing.signed') ORDER BY time DESC"
  - Ask two owners, by voice, whether they know the module. Not theirs, disable it while the owners still can, and move what is left.
  - Read the module's code and who controls it. An allowance or recovery module is as strong as its weakest key.
  - Known. Declare it in `modules`, by two persons.
false_positives:
  - A module in use before keywatch was, and not declared yet.
ccss: ["1.05.8.1", "2.02.3.2", "2.02.4.1"]
attack: [T1098, T1657]
parameters:
  shown_reach:
    type: duration
    default: 30 days
    meaning: how long further acts of a module already told stay quiet
*/
SELECT
  event_id,
  e.wallet || ' ' || e.module AS entity,
  e.actor,
  e.wallet,
  e.tx,
  e.amount,
  e.to_address,
  e.asset,
  e.module,
  e.outcome AS how_it_went
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE (outcome = 'failed' AND reverted) IS NOT TRUE) OVER (
      PARTITION BY wallet, module ORDER BY time
      RANGE BETWEEN $shown_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS shown_before
  FROM (
    SELECT *, detail_text(detail, 'module') AS module, detail_bool(detail, 'reverted') AS reverted
    FROM events
    WHERE kind = 'chain.module_tx' AND wallet IS NOT NULL
  )
) AS e
LEFT JOIN modules AS m ON m.system = e.system AND m.wallet = e.wallet AND m.module = e.module
WHERE m.module IS NULL
  AND e.module IS NOT NULL
  AND shown_before = 0
  -- Anybody can ask a multisig as if they were its module; it refuses, and the whole transaction fails.
  AND (e.outcome = 'failed' AND e.reverted) IS NOT TRUE
