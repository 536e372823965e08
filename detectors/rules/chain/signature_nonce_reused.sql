/*
version: 2
title: "Two signatures of wallet {wallet} share one secret nonce: its key can be computed by anybody"
severity: critical
entity: the wallet
proof: corroborated
response: [wallet]
suppress_for: 1d
meaning: >-
  An ECDSA signature hides the key behind a random number that is used once. Two signatures that were made with the same
  one have the same r, and whoever sees both on the chain solves two equations for the key. Programs look for such pairs
  and empty what they find within a block. It comes of a broken random number generator, of a virtual machine that was
  restored or copied while it signed, or of a fault in a signing protocol, and then other keys of that signer are in danger too.
  Of a multisig wallet it is the key of the owner whom the detail of both names (`signer`).
runbook:
  - Move everything that this key alone can move, now, with a fee that is not outbid; then everything else that the same signer signs for.
  - "See both signatures: SELECT time, kind, tx, wallet, detail FROM events WHERE event_id IN ('<anchor>', '<evidence_earlier>')"
  - Stop the signer that made them. Do not restart it from an image or a snapshot; its random numbers may come again.
  - Ask its maker which versions and which machines are affected, and whether nonces are derived from the message (RFC 6979).
  - Let the key never sign again, and take it out of every multisig that it is an owner of.
false_positives:
  - A key that nobody means to use any more, in a demonstration of exactly this.
ccss: ["1.01.2.1", "2.02.4.1"]
attack: [T1552, T1657]
parameters:
  reach:
    type: duration
    default: 7 days
    meaning: how far apart the two signatures may lie
*/
SELECT
  event_id,
  wallet AS entity,
  wallet,
  tx,
  chain,
  r,
  earlier_tx,
  earlier_wallet,
  evidence_earlier
FROM (
  SELECT
    *,
    first_value(s) OVER so_far AS earlier_s,
    first_value(tx) OVER so_far AS earlier_tx,
    first_value(wallet) OVER so_far AS earlier_wallet,
    first_value(event_id) OVER so_far AS evidence_earlier
  FROM (
    SELECT
      *,
      detail_text(detail, 'r') AS r,
      detail_text(detail, 's') AS s
    FROM events
    WHERE kind IN ('chain.tx', 'chain.signature')
      AND wallet IS NOT NULL
      AND detail_text(detail, 'r') IS NOT NULL
      AND detail_text(detail, 's') IS NOT NULL
  )
  -- The number gives every key away that signed with it, so wallets are not told apart.
  WINDOW so_far AS (PARTITION BY r ORDER BY time RANGE BETWEEN $reach PRECEDING AND CURRENT ROW)
)
-- The same signature, seen again in the pool or after a reorganisation, says nothing new.
WHERE s <> earlier_s
