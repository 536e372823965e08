/*
version: 2
title: Wallet {wallet} hands control to the foreign contract {target}
severity: critical
entity: the signing request, or the transaction when no request is known
proof: corroborated
needs: [signer]
without_history: >-
  Judged from the first request on: handing control to code that is neither declared nor a batch contract of the multisig
  itself is foreign by itself. History only excuses a contract to which the wallet already delegated with success.
response: [request, wallet]
suppress_for: 1h
meaning: >-
  Operation 1 (delegatecall) runs another contract's code as if it were the wallet itself. It can change owners,
  threshold and implementation whatever the call is named; a function called `transfer` may well overwrite the wallet's
  code. This contract is neither one of the multisig's own batch contracts nor declared in `libraries`, and the wallet has
  not delegated to it before. A delegatecall that is hidden within a batch counts like one in the open.
runbook:
  - Stop the signers of this request, by voice. If it is executed already, go to step 4.
  - "See who asked and who signed: SELECT time, kind, actor, outcome, detail FROM events WHERE request = '<request>' ORDER BY time"
  - Read the code at the target. Anything but a published batch contract of the wallet's maker is an attack until its author explains it. Look at its age and at who deployed it.
  - Executed already. Read the wallet's implementation slot, owners, threshold, modules and guard at the block before and after, and compare them with the inventory.
  - If one of them changed, move remaining assets on other wallets with the same signers, and ask token issuers and exchanges to freeze, within minutes.
  - A legitimate first batch, for example through a batch contract, is closed with the name of the person who confirmed it and the target's address.
false_positives:
  - The first use of a library that was not declared. It matches once for each target; declare it in `libraries`, by two persons.
  - A planned upgrade of the wallet by delegatecall.
ccss: ["1.05.8.1", "2.02.3.2", "2.02.4.1"]
attack: [T1565.002, T1657]
parameters:
  shown_reach:
    type: duration
    default: 30 days
    meaning: how long the later stages of a request already found stay quiet
*/
SELECT
  event_id,
  subject AS entity,
  e.actor,
  e.session,
  e.wallet,
  e.request,
  e.tx,
  e.amount,
  e.to_address,
  target,
  detail_text(e.detail, 'call.name') AS call_name,
  detail_int(e.detail, 'nonce') AS nonce,
  executed_before
FROM (
  SELECT
    *,
    -- Only what succeeded on chain teaches: proposals and failed attempts cost an attacker nothing.
    count(*) FILTER (WHERE executed) OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS executed_before,
    -- By target, so that a wallet that batches every day is no place to hide in.
    count(*) FILTER (WHERE executed AND delegates) OVER (
      PARTITION BY wallet, target ORDER BY time
      RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS delegated_before,
    -- Asked, signed and mined are three records of one act; the first of them is told.
    count(*) FILTER (WHERE delegates) OVER (
      PARTITION BY wallet, subject ORDER BY time
      RANGE BETWEEN $shown_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS shown_before
  FROM (
    SELECT
      *,
      -- `to_address` is the recipient of value; the code that runs is at the address called, or within the batch.
      CASE WHEN inner_target IS NULL THEN called ELSE inner_target END AS target,
      inner_target IS NOT NULL OR (operation = 1 AND (is_multisend(called) IS NOT TRUE)) AS delegates
    FROM (
      SELECT
        *,
        detail_int(detail, 'operation') AS operation,
        coalesce(detail_text(detail, 'to'), to_address) AS called,
        detail_text(detail, 'inner_delegate_to') AS inner_target,
        coalesce(request, tx) AS subject,
        kind IN ('chain.tx', 'chain.module_tx') AND outcome = 'success' AS executed
      FROM events
      WHERE kind IN ('signing.requested', 'signing.signed', 'chain.tx', 'chain.module_tx') AND wallet IS NOT NULL
    )
  )
) AS e
LEFT JOIN libraries AS l ON l.system = e.system AND l.address = e.target
WHERE delegates
  AND l.address IS NULL
  AND subject IS NOT NULL
  AND delegated_before = 0
  AND shown_before = 0
