/*
version: 2
title: "A deposit of {amount:asset} to wallet {wallet} stood in a block and is gone"
severity: high
entity: the transaction
proof: corroborated
needs: [chain.retracted]
without_history: >-
  Judged from the first reorganisation on.
response: []
suppress_for: 1d
meaning: >-
  The chain left the block with this deposit, and no block since holds it again. Whoever sent it has their coins back. If
  it was credited, it was paid twice: so exchanges were robbed by those who could outpace a chain's miners.
runbook:
  - Find the customer who was credited, and stop withdrawals of theirs and of accounts that they paid, before anything else.
  - "See what the follower saw: SELECT time, kind, tx, from_address, amount, outcome, detail FROM events WHERE tx = '<tx>' ORDER BY time"
  - Look on the chain for another spend of the same coins or nonce. One is proof of intent.
  - Raise the confirmations that deposits of this chain need, at once.
false_positives:
  - A deposit that its sender replaced by one with a higher fee, under another id, in the same minutes.
ccss: ["2.02.4.1"]
attack: [T1657]
parameters:
  again_reach:
    type: duration
    default: 1 hour
    meaning: how long after the block was left the deposit may come back in another one
*/
SELECT
  event_id,
  tx AS entity,
  wallet,
  tx,
  chain,
  asset,
  amount,
  from_address,
  detail_text(detail, 'event') AS evidence_deposit
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind = 'chain.transfer' AND outcome = 'success') OVER (
      PARTITION BY wallet, tx ORDER BY time
      RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $again_reach FOLLOWING
    ) AS again
  FROM events
  WHERE kind IN ('chain.transfer', 'chain.retracted') AND wallet IS NOT NULL AND tx IS NOT NULL
)
WHERE kind = 'chain.retracted'
  AND detail_text(detail, 'kind') = 'chain.transfer'
  AND detail_text(detail, 'direction') = 'in'
  -- Nothing that came is nothing to credit; anybody sends it so that their address stands in the history.
  AND (amount = 0) IS NOT TRUE
  AND again = 0
