/*
version: 3
title: Two different requests, {request} and {other_request}, claim nonce {nonce} of wallet {wallet}
severity: high
entity: the wallet and the nonce
proof: corroborated
response: [wallet]
suppress_for: 1h
meaning: >-
  A multisig executes one transaction for each nonce. A second request with the same nonce is what is left to be seen
  when people sign one thing and another is executed with their signatures. A plain cancellation (nothing sent to the
  wallet itself) is left out, and so is the one request that somebody else then files in place of what was cancelled. So are
  requests that each pay a wallet of the system and do nothing else, nor pay anybody for the gas: whichever of them is executed, nothing leaves.
runbook:
  - "Put the two side by side: SELECT time, kind, request, actor, to_address, asset, amount, detail FROM events WHERE wallet = '<wallet>' AND request IN ('<request>', '<other_request>') ORDER BY time"
  - Ask the proposer of the later one, by voice, why there is a second. A replacement has a person who can say what was wrong with the first.
  - Look whether the later one has a proposer at all, and whether its operation or its call differs from the first.
  - Compare the signatures under both. The same bytes under both prove that what was signed is not what was shown.
  - Without an explanation, hold the wallet until the owners have confirmed one of the two by voice.
false_positives:
  - A request that was corrected by filing a replacement under the same nonce, without cancelling it first.
  - Two people who prepared two payments at once and got the same nonce.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1565.002]
parameters:
  reach:
    type: duration
    default: 30 days
    meaning: how far apart the two requests may lie
*/
SELECT
  event_id,
  wallet || ' ' || CAST(nonce AS VARCHAR) AS entity,
  actor,
  session,
  wallet,
  request,
  tx,
  amount,
  to_address,
  evidence_other,
  other_request,
  nonce
FROM (
  SELECT
    *,
    first_value(request) OVER nonce_so_far AS other_request,
    first_value(event_id) OVER nonce_so_far AS evidence_other,
    count(*) FILTER (WHERE NOT stays) OVER nonce_so_far AS leaving,
    -- Only the first record of the second request is told.
    count(*) OVER (
      PARTITION BY wallet, nonce, request ORDER BY time
      RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS shown_before
  FROM (
    SELECT
      *,
      max(CASE WHEN cancels AND outcome = 'verified' THEN time END) OVER nonce_before AS cancelled_at,
      last_value(CASE WHEN cancels AND outcome = 'verified' THEN actor END) IGNORE NULLS OVER nonce_before AS cancelled_by,
      max(CASE WHEN NOT cancels THEN time END) OVER nonce_before AS others_at
    FROM (
      SELECT
        e.*,
        detail_int(detail, 'nonce') AS nonce,
        -- The hash was computed again, so what it pays is what is signed under it.
        own.wallet IS NOT NULL
          AND (e.outcome = 'verified') IS TRUE
          AND (detail_int(detail, 'operation') = 0) IS TRUE
          AND coalesce(detail_text(detail, 'call.name') = 'transfer', detail_text(detail, 'selector') IS NULL)
          -- Whoever is paid for the gas may be paid any amount for it.
          AND detail_text(detail, 'gas_price') IS NULL AS stays,
        -- Owners cancel a request by signing an empty call to the wallet itself under its nonce.
        coalesce(
          coalesce(detail_text(detail, 'to'), e.to_address) = e.wallet
            AND detail_text(detail, 'call.name') IS NULL
            AND (e.amount > 0) IS NOT TRUE
            AND (detail_int(detail, 'operation') = 1) IS NOT TRUE,
          false
        ) AS cancels
      FROM events AS e
      LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
      WHERE kind IN ('signing.requested', 'signing.approved', 'signing.signed')
        AND e.wallet IS NOT NULL
        AND request IS NOT NULL
        AND detail_int(detail, 'nonce') IS NOT NULL
    )
    WINDOW nonce_before AS (
      PARTITION BY wallet, nonce ORDER BY time
      RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    )
  )
  WHERE NOT cancels
  WINDOW nonce_so_far AS (
    PARTITION BY wallet, nonce ORDER BY time RANGE BETWEEN $reach PRECEDING AND CURRENT ROW
  )
)
WHERE request <> other_request
  AND shown_before = 0
  AND leaving > 0
  -- A cancelled nonce is free for one replacement. Who holds one key must not excuse their own request: somebody else has
  -- to have cancelled the first.
  AND (cancelled_at > others_at AND cancelled_by <> actor) IS NOT TRUE
