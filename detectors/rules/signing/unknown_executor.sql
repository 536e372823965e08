/*
version: 1
title: Transaction {tx} of wallet {wallet} was sent by {actor}, who is no owner and never sent one before
severity: high
entity: the wallet and the executor
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  Anybody who holds enough signatures may send a multisig's transaction and pay its gas. Most wallets are executed by
  the same few addresses. One that is neither an owner nor a known relayer holding a complete set of signatures means
  that the signatures were collected somewhere else.
runbook:
  - "List who executed for this wallet: SELECT actor, count(*), min(time), max(time) FROM events WHERE wallet = '<wallet>' AND kind = 'chain.tx' AND outcome = 'success' GROUP BY actor"
  - Ask the owners who sent this transaction. Ask each of them on a separate channel.
  - Look at the executor's own history on chain; how old is it, who funded it, did it run other multisigs of the same shape in the last days?
  - Check operation and target of the transaction, and the other findings on the same wallet. With a first delegatecall or a changed implementation this is a theft in progress.
  - If the executor is yours (a new relayer, a new employee's hot key), add it to the wallet's owners in the inventory or let it become known by use.
false_positives:
  - A new relayer or a new operator's gas account.
  - A public relay network that changes its sending addresses; raise `history_minimum` or disable the rule for such wallets.
ccss: ["1.05.2.1", "2.02.3.2", "2.02.4.1"]
attack: [T1078, T1657]
parameters:
  history_minimum:
    type: integer
    default: 3
    meaning: executed transactions of the wallet below which no executor counts as unusual
*/
SELECT
  event_id,
  e.wallet || ' ' || e.actor AS entity,
  e.actor,
  e.wallet,
  e.request,
  e.tx,
  e.amount,
  e.to_address,
  executed_before
FROM (
  SELECT
    *,
    -- An attempt that failed, or is not mined yet, must not make its sender known.
    count(*) FILTER (WHERE outcome = 'success') OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS executed_before,
    count(*) FILTER (WHERE outcome = 'success') OVER (
      PARTITION BY wallet, actor ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS executed_by_actor
  FROM events
  WHERE kind = 'chain.tx' AND wallet IS NOT NULL AND actor IS NOT NULL
) AS e
LEFT JOIN owners AS o ON o.system = e.system AND o.wallet = e.wallet AND o.owner = e.actor
WHERE o.owner IS NULL
  -- An ordinary account sends its own transactions.
  AND e.actor <> e.wallet
  -- Anybody can send a transaction that fails; it says nothing about the signatures.
  AND (e.outcome IS DISTINCT FROM 'failed')
  AND executed_before >= $history_minimum
  AND executed_by_actor = 0
