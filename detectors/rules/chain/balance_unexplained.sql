/*
version: 2
title: "{amount:asset} left wallet {wallet} and no transaction of it says why"
severity: critical
entity: the wallet and the asset
proof: corroborated
needs: [chain.balance]
without_history: >-
  Judged from the first block on: each is compared with the one before it.
response: [wallet]
suppress_for: 1h
meaning: >-
  The balance of this wallet fell by more than its transactions and fees in the block explain. A contract wallet whose
  code was exchanged pays out whatever the new code says, without any transaction of the wallet and without a log: that is
  how the theft from Bybit emptied the wallet. Of a token it means that the token took from the wallet, or gave it less than
  its log says: whoever books deposits by logs books too much. Of Bitcoin it means that a node lists fewer coins of the wallet than
  the blocks made for it and did not spend: the node lies or is damaged, or keywatch missed a spend.
runbook:
  - "See what the block did to the wallet: SELECT time, kind, tx, actor, to_address, asset, amount, detail FROM events WHERE wallet = '<wallet>' ORDER BY time DESC"
  - Ask a second node for the balance at the block and the one before it. Where it says the same, the money is gone.
  - Look at the block's transactions that call the wallet's address, however deep, and at the wallet's implementation before and after.
  - Hold every other wallet with the same signers or the same signing page, and move what is left here by a path of your own.
false_positives:
  - Calls that the node does not tell (`traces = false`) of a contract that the wallet's owners set up to pay on its own.
  - A validator that pays penalties from the wallet it stakes with.
  - A token that takes a fee of every payment, or whose balances shrink by design; the inventory's assets say which tokens are compared.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1657]
parameters:
  rounding:
    type: integer
    default: 2
    meaning: base units by which balances of a token may differ from its log; tokens that count in shares round
*/
SELECT
  event_id,
  -- A token that takes fees hides nothing that happens to another asset.
  wallet || ' ' || coalesce(asset, '') AS entity,
  wallet,
  chain,
  asset,
  amount,
  detail_text(detail, 'before') AS balance_before,
  detail_text(detail, 'after') AS balance_after,
  detail_int(detail, 'block') AS block
FROM (
  SELECT
    *,
    -- What a multisig's own transactions give away within calls has other rules; without traces it is told by no transfer.
    count(*) FILTER (WHERE kind IN ('chain.tx', 'chain.module_tx') AND outcome = 'success') OVER (
      PARTITION BY wallet, chain, detail_text(detail, 'block_hash') ORDER BY time
      RANGE BETWEEN INTERVAL '10 minutes' PRECEDING AND CURRENT ROW
    ) AS executed
  FROM events
  WHERE kind IN ('chain.balance', 'chain.tx', 'chain.module_tx') AND wallet IS NOT NULL
)
WHERE kind = 'chain.balance' AND detail_text(detail, 'direction') = 'out'
  -- Outputs of Bitcoin say all that moves, whatever the wallet did in the block.
  AND (executed = 0 OR chain IN ('bitcoin', 'bitcoin-testnet4', 'bitcoin-signet', 'bitcoin-regtest'))
  AND (detail_text(detail, 'token') IS NULL OR amount > $rounding)
