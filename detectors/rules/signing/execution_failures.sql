/*
version: 1
title: "{actor} failed {failures} times within an hour to execute transactions of wallet {wallet}"
severity: medium
entity: the wallet and the executor
proof: corroborated
needs: [node]
without_history: >-
  Needs none.
response: []
suppress_for: 1d
meaning: >-
  Somebody keeps trying to execute what the wallet does not accept. Signatures that do not recover, a nonce that is used
  up, or code that is probed for a way in: it may succeed the next time.
runbook:
  - "List the attempts: SELECT time, tx, actor, outcome, to_address, detail FROM events WHERE wallet = '<wallet>' AND kind = 'chain.tx' ORDER BY time DESC"
  - Is the executor one of the owners, or the relayer of the business? Ask there, what fails and why.
  - A stranger. Simulate the calls, look at which check refused them, and watch the wallet until somebody has understood them.
false_positives:
  - A relayer that retries with too little gas.
ccss: ["2.02.4.1"]
attack: [T1190]
parameters:
  failures_minimum:
    type: integer
    default: 3
    meaning: failed executions of one executor within an hour from which on it is told
*/
SELECT
  event_id,
  wallet || ' ' || actor AS entity,
  actor,
  wallet,
  tx,
  to_address,
  failures
FROM (
  SELECT
    *,
    count(DISTINCT tx) OVER (
      PARTITION BY wallet, actor ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW
    ) AS failures
  FROM events
  -- An ordinary account that fails is its own business; a wallet that others execute for is a contract.
  WHERE kind = 'chain.tx' AND outcome = 'failed' AND wallet IS NOT NULL AND actor IS NOT NULL AND actor <> wallet
)
WHERE failures >= $failures_minimum
