/*
version: 2
title: Request {request} was carried out otherwise than it was {altered_against}
severity: critical
entity: the signing request
proof: corroborated
response: [request, wallet]
suppress_for: 1h
meaning: >-
  Destination or amount of what was signed or broadcast differ from what the business asked for or from what people
  approved under the same request. Between approval and signature somebody has put in another transaction. The
  signatures may all be valid.
runbook:
  - "Put the stages side by side: SELECT time, source, kind, actor, to_address, asset, amount, tx FROM events WHERE request = '<request>' ORDER BY time"
  - If the transaction is not confirmed yet, replace it with a higher fee to a destination of your own (where the chain allows it), with keys on clean machines. Minutes count.
  - Stop the signing system; every request that it holds may be altered in the same way.
  - Trace the destination and call the exchanges and issuers on its way to freeze.
  - Find the last place where the request was still right. Between it and the next one stands the attacker; take that host and the sessions of its operators out of service.
false_positives:
  - A request that was corrected after approval without being approved again.
  - A platform that takes the fee out of the requested amount, or reports the amount with the fee.
  - A batch transaction of several requests that is recorded under one of them only.
ccss: ["1.05.8.1", "2.02.3.2", "2.02.4.1"]
attack: [T1565.002, T1657]
parameters:
  reach:
    type: duration
    default: 30 days
    meaning: how far apart request, approval, signature and transaction may lie
*/
SELECT
  event_id,
  subject AS entity,
  actor,
  session,
  wallet,
  subject AS request,
  tx,
  amount,
  to_address,
  evidence_asked,
  evidence_approved,
  CASE WHEN differs_from_approved THEN 'approved' ELSE 'asked for' END AS altered_against,
  asked_to,
  asked_amount,
  approved_to,
  approved_amount
FROM (
  SELECT
    *,
    -- Amounts are compared within one asset only: sources name tokens by symbol or by contract.
    coalesce(to_address <> asked_to, false)
      OR coalesce(amount <> asked_amount AND asset = asked_asset, false) AS differs_from_asked,
    coalesce(to_address <> approved_to, false)
      OR coalesce(amount <> approved_amount AND asset = approved_asset, false) AS differs_from_approved
  FROM (
    SELECT
      *,
      -- The last word of the business and the last word of the approvers, each for itself: a later request does not
      -- excuse a transaction that nobody approved, nor an approval one that nobody asked for.
      last_value(CASE WHEN asks THEN to_address END) IGNORE NULLS OVER request_so_far AS asked_to,
      last_value(CASE WHEN asks THEN amount END) IGNORE NULLS OVER request_so_far AS asked_amount,
      last_value(CASE WHEN asks THEN asset END) IGNORE NULLS OVER request_so_far AS asked_asset,
      last_value(CASE WHEN asks THEN event_id END) IGNORE NULLS OVER request_so_far AS evidence_asked,
      last_value(CASE WHEN approves THEN to_address END) IGNORE NULLS OVER request_so_far AS approved_to,
      last_value(CASE WHEN approves THEN amount END) IGNORE NULLS OVER request_so_far AS approved_amount,
      last_value(CASE WHEN approves THEN asset END) IGNORE NULLS OVER request_so_far AS approved_asset,
      last_value(CASE WHEN approves THEN event_id END) IGNORE NULLS OVER request_so_far AS evidence_approved
    FROM (
      SELECT
        e.*,
        -- A call of another wallet of the system, a vault, that carries no value says nothing of where value goes; what
        -- leaves the vault does. A call of the wallet itself changes who controls it.
        own.wallet <> e.wallet
          AND kind = 'chain.tx'
          AND (e.amount > 0) IS NOT TRUE
          AND (detail_int(detail, 'operation') IS DISTINCT FROM 1) AS calls_vault,
        kind IN ('custody.request', 'signing.requested') AS asks,
        kind = 'signing.approved' AS approves,
        -- A node knows no requests; the signer's record says which request a transaction belongs to.
        coalesce(request, last_value(CASE WHEN kind = 'signing.signed' THEN request END) IGNORE NULLS OVER tx_so_far)
          AS subject
      FROM events AS e
      LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
      WHERE kind IN ('custody.request', 'signing.requested', 'signing.approved', 'signing.signed', 'chain.tx')
        AND (request IS NOT NULL OR tx IS NOT NULL)
      WINDOW tx_so_far AS (PARTITION BY tx ORDER BY time RANGE BETWEEN $reach PRECEDING AND CURRENT ROW)
    )
    WINDOW request_so_far AS (PARTITION BY subject ORDER BY time RANGE BETWEEN $reach PRECEDING AND CURRENT ROW)
  )
)
WHERE kind IN ('signing.signed', 'chain.tx')
  AND (outcome IS DISTINCT FROM 'failed')
  AND subject IS NOT NULL
  AND (calls_vault IS NOT TRUE)
  AND (differs_from_asked OR differs_from_approved)
