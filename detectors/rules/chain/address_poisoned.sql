/*
version: 1
title: "The history of wallet {wallet} has {look_alike}, which looks like {imitated}, {imitated_is}: {how}"
severity: low
entity: the wallet
proof: corroborated
needs: [node]
uses: [resemblances]
without_history: >-
  Addresses are held against those of the inventory from the first transfer on, and against those with which the wallet dealt as
  soon as it did.
response: []
suppress_for: 7d
meaning: >-
  Somebody had an address that looks like another one written into the wallet's history: by dust that came from it, by a
  transfer of nothing that anybody can ask an honest token for, or by a token that says what it likes. It waits for somebody
  who takes an address from a list of past transfers instead of the record. Nothing is lost yet, and nobody of yours did
  anything. Such transfers form no habit, and the address is no known destination for them. Where the wallet is asked to pay
  it, `chain/destination_lookalike` tells.
runbook:
  - "See all of them: SELECT time, tx, from_address, to_address, asset, amount, detail FROM events WHERE kind = 'chain.transfer' AND wallet = '<wallet>' AND '<look_alike>' IN (from_address, to_address) ORDER BY time"
  - Tell those who prepare payments, with both addresses written out. Take addresses from the approved list, never from a wallet's or explorer's history.
  - Look for requests that name the look-alike. SELECT time, source, kind, actor, request FROM events WHERE to_address = '<look_alike>' AND kind NOT LIKE 'chain.%'
  - Send nothing back, and enter the look-alike nowhere as a destination.
false_positives:
  - A customer's address that happens to have the ends of another one. Among a hundred thousand counterparties of a wallet one
    such pair is to be expected.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1036, T1656]
parameters: {}
*/
SELECT
  event_id,
  wallet AS entity,
  wallet,
  tx,
  chain,
  asset,
  direction,
  counterparty AS look_alike,
  imitated,
  imitated_is,
  imitated_label,
  CASE
    WHEN NOT is_known THEN 'a token that nobody declared says that it moved'
    WHEN amount = 0 THEN 'nothing moved'
    ELSE 'it sent something'
  END AS how
FROM resemblances
-- Whoever plants one plants many; the first of a day is told.
WHERE is_hollow AND NOT told_today
