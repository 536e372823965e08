/*
version: 2
title: "Wallet {wallet} lets {spender} take any amount of {asset}"
severity: high
entity: the wallet and the spender
proof: corroborated
needs: [signer]
without_history: >-
  Judged from the first request on: an allowance without a limit is a standing order to pay everything, whoever gets it.
  History only excuses a spender to whom the wallet gave one before with success.
response: [request]
suppress_for: 1h
meaning: >-
  The request gives another address an allowance of (nearly) everything there can be of a token. The spender may take the
  wallet's tokens at any later time, without a signature of the owners and without any trace before it happens. It may also have
  been given by a permit, which the wallet signs off the chain and anybody sends, of a token that is declared or well known, or
  through Permit2.
runbook:
  - Stop the signers of this request, by voice, until somebody has named the spender. If it is executed, go to step 3.
  - "See who asked and who signed: SELECT time, kind, actor, outcome, detail FROM events WHERE request = '<request>' ORDER BY time"
  - Look the spender up on chain. Anything but the audited contract of a service that the business uses is an attack until its author explains it.
  - Executed and unknown. Set the allowance to zero now, before anything else; then move the tokens.
  - Known. Declare it in `libraries`, by two persons, and rather give it the amount that is needed.
false_positives:
  - The first use of an exchange, bridge or staking contract that asks for an unlimited allowance.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1657]
parameters:
  shown_reach:
    type: duration
    default: 30 days
    meaning: how long the later stages of a request already found stay quiet
*/
SELECT
  event_id,
  e.wallet || ' ' || spender AS entity,
  e.actor,
  e.session,
  e.wallet,
  e.request,
  e.tx,
  e.amount,
  e.to_address,
  -- A transaction has the chain's own asset, of which nobody may take any: it is the token that was called.
  coalesce(allowing, e.asset) AS asset,
  spender
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE (kind = 'chain.tx' AND outcome = 'success') OR (kind = 'chain.approval' AND outcome = 'granted')) OVER (
      PARTITION BY wallet, spender ORDER BY time
      RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS allowed_before,
    count(*) OVER (
      PARTITION BY wallet, subject, spender ORDER BY time
      RANGE BETWEEN $shown_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS shown_before,
    -- A contract's own word on the call that a row of the same block tells already.
    count(*) FILTER (WHERE kind IN ('chain.tx', 'chain.module_tx')) OVER (
      PARTITION BY wallet, tx, spender ORDER BY time RANGE BETWEEN $shown_reach PRECEDING AND CURRENT ROW
    ) AS called
  FROM (
    SELECT d.*
    FROM (
      SELECT
        *,
        detail_text(detail, 'unlimited_spender') AS spender,
        coalesce(request, tx) AS subject,
        detail_text(detail, 'token') AS token,
        CASE
          WHEN kind IN ('chain.tx', 'chain.module_tx')
            AND detail_text(detail, 'call.name') IN ('approve', 'increaseAllowance', 'setApprovalForAll')
            THEN detail_text(detail, 'to')
        END AS allowing,
        detail_text(detail, 'through') AS through
      FROM events
      WHERE kind IN ('signing.requested', 'signing.signed', 'chain.tx', 'chain.module_tx', 'chain.approval') AND wallet IS NOT NULL
    ) AS d
    LEFT JOIN assets AS a ON a.system = d.system AND a.chain = d.chain AND a.asset = d.token
    WHERE spender IS NOT NULL
      -- Anybody can make a contract that says so of any wallet: it has to be a token that is declared or well known, or Permit2.
      AND (d.kind <> 'chain.approval' OR through IS NOT NULL OR d.asset <> token OR a.asset IS NOT NULL)
  )
) AS e
LEFT JOIN libraries AS l ON l.system = e.system AND l.address = e.spender
LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.spender
WHERE l.address IS NULL
  AND own.wallet IS NULL
  AND (e.outcome IS DISTINCT FROM 'failed')
  AND allowed_before = 0
  AND shown_before = 0
  AND (e.kind <> 'chain.approval' OR called = 0)
