/*
version: 2
title: The code of wallet {wallet} was replaced by {implementation_now}
severity: critical
entity: the wallet
proof: corroborated
response: [wallet]
suppress_for: 1h
meaning: >-
  A multisig wallet is a small proxy that runs the code at an address it keeps in storage. That address has changed to
  one that the inventory does not approve. From now on the wallet does what the new code says; owners and threshold may
  mean nothing any more. No event of the contract announces it when the slot is written directly, so it is read from
  state. The same where a contract that is no proxy was deleted, or made anew with other code under its address.
runbook:
  - "Find the transaction that did it: SELECT time, kind, tx, actor, to_address, detail FROM events WHERE wallet = '<wallet>' AND kind IN ('chain.tx', 'chain.transfer', 'chain.contract') ORDER BY time DESC"
  - Assume that everything in this wallet can leave now. If the old signers can still act at all, race it; use a private transaction path.
  - Call the issuers and protocols of the tokens held (withdrawal delays and freezes) and the large exchanges with the new contract's address and its deployer's.
  - Hold every other wallet with the same signers or the same signing page.
  - A planned upgrade is closed after reading the slot from a second node and entering the new implementation in the inventory; next time it is entered first.
false_positives:
  - A planned upgrade whose new implementation was not entered in the inventory before.
  - The inventory names no implementation for this wallet; then every change matches.
ccss: ["2.02.3.2", "2.02.4.1"]
attack: [T1565.001, T1657]
parameters: {}
*/
SELECT
  event_id,
  e.wallet AS entity,
  e.actor,
  e.wallet,
  e.request,
  e.tx,
  detail_text(detail, 'slot') AS slot,
  detail_text(detail, 'before') AS implementation_before,
  detail_text(detail, 'after') AS implementation_now,
  w.implementation AS implementation_approved
FROM events AS e
LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet
WHERE e.kind = 'chain.contract'
  AND (
    detail_text(detail, 'change') = 'implementation'
    -- Code that was there became other code, or none: no proxy, and a contract that was deleted and made anew. Where there
    -- was none, nothing is replaced: these are the hashes of no account and of no code.
    OR (
      detail_text(detail, 'change') = 'code'
      AND detail_text(detail, 'before') NOT IN (
        '0x0000000000000000000000000000000000000000000000000000000000000000',
        '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
      )
    )
  )
  -- Storage words are padded to 32 bytes, the inventory holds addresses: the last 40 digits are what counts.
  AND (lower(right(detail_text(detail, 'after'), 40)) IS DISTINCT FROM lower(right(detail_text(detail, 'before'), 40)))
  AND (lower(right(detail_text(detail, 'after'), 40)) IS DISTINCT FROM lower(right(w.implementation, 40)))
