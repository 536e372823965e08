/*
version: 1
title: Wallet {wallet} hands control to contract {target}, to which it never delegated before
severity: critical
entity: the signing request, or the transaction when no request is known
proof: corroborated
response: [request, wallet]
suppress_for: 1h
meaning: >-
  Operation 1 (delegatecall) runs another contract's code as if it were the wallet itself. It can change owners,
  threshold and implementation whatever the call is named; a function called `transfer` may well overwrite the wallet's
  code. This wallet has a history of executed transactions and none of them delegated to this contract.
runbook:
  - Stop the signers of this request, by voice. If it is executed already, go to step 4.
  - "See who asked and who signed: SELECT time, kind, actor, outcome, detail FROM events WHERE request = '<request>' ORDER BY time"
  - Read the code at the target. Anything but a published batch contract of the wallet's maker is an attack until its author explains it. Look at its age and at who deployed it.
  - Executed already. Read the wallet's implementation slot, owners, threshold, modules and guard at the block before and after, and compare them with the inventory.
  - If one of them changed, move remaining assets on other wallets with the same signers, and ask token issuers and exchanges to freeze, within minutes.
  - A legitimate first batch, for example through a batch contract, is closed with the name of the person who confirmed it and the target's address.
false_positives:
  - The first use of a batch contract (MultiSend and the like) by this wallet, or a new version of it. It matches once for each target.
  - A planned upgrade of the wallet by delegatecall.
ccss: ["1.05.8.1", "2.02.3.2", "2.02.4.1"]
attack: [T1565.002, T1657]
parameters:
  history_minimum:
    type: integer
    default: 3
    meaning: executed transactions of the wallet below which nothing counts as unusual
  shown_reach:
    type: duration
    default: 30 days
    meaning: how long the later stages of a request already found stay quiet
*/
SELECT
  event_id,
  subject AS entity,
  actor,
  session,
  wallet,
  request,
  tx,
  amount,
  to_address,
  target,
  detail_text(detail, 'call.name') AS call_name,
  detail_int(detail, 'nonce') AS nonce,
  executed_before
FROM (
  SELECT
    *,
    -- Only what succeeded on chain teaches: proposals and failed attempts cost an attacker nothing.
    count(*) FILTER (WHERE executed) OVER wallet_before AS executed_before,
    -- By target, so that a wallet that batches every day is no place to hide in.
    count(*) FILTER (WHERE executed AND operation = 1) OVER target_before AS delegated_before,
    -- Asked, signed and mined are three records of one act; the first of them is told.
    count(*) FILTER (WHERE operation = 1) OVER (
      PARTITION BY wallet, subject ORDER BY time
      RANGE BETWEEN $shown_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS shown_before
  FROM (
    SELECT
      *,
      detail_int(detail, 'operation') AS operation,
      -- `to_address` is the recipient of value; the code that runs is at the address called.
      coalesce(detail_text(detail, 'to'), to_address) AS target,
      coalesce(request, tx) AS subject,
      kind = 'chain.tx' AND outcome = 'success' AS executed
    FROM events
    WHERE kind IN ('signing.requested', 'signing.signed', 'chain.tx') AND wallet IS NOT NULL
  )
  WINDOW
    wallet_before AS (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ),
    target_before AS (
      PARTITION BY wallet, target ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    )
)
WHERE operation = 1
  AND subject IS NOT NULL
  AND executed_before >= $history_minimum
  AND delegated_before = 0
  AND shown_before = 0
