/*
version: 1
title: Confirmation filed for {signer_claimed} does not fit request {request} of wallet {wallet}
severity: critical
entity: the signing request
proof: itself
response: [session, request, wallet]
suppress_for: 1h
meaning: >-
  The signature that stands under this request does not recover to the owner it is filed for when it is checked against
  the request's own hash. Whoever signed has signed something else than what the service shows: the screen that was
  approved and the bytes that were signed differ. Nobody needs to be believed for this; the signature can be checked
  again by anyone.
runbook:
  - Stop the other signers by voice, on numbers you already have. Nobody confirms anything for this wallet until step 6.
  - "Collect what was confirmed so far: SELECT time, actor, outcome, reason, detail FROM events WHERE wallet = '<wallet>' AND kind = 'signing.approved' AND request = '<request>' ORDER BY time"
  - Look for the request that the signatures do fit. It has the same nonce and another hash; it may not be filed anywhere yet. Recover each signature over candidate hashes with operation 1 first.
  - Compare the signing page that the signer used with a build you trust (hashes of its scripts), on a machine that was not used for signing.
  - If the threshold is reached or may be reached elsewhere, move what can be moved by a path that does not use these signers' machines, or call the token issuers to freeze.
  - Let the owners sign a harmless replacement with the same nonce from clean hardware, so that the collected signatures lose their use. Only then lift the quarantine.
false_positives:
  - The service filed a confirmation under the wrong request or owner. That is a fault of the service and still means that what it shows cannot be relied on.
  - Contract signatures and on-chain approvals cannot be recovered; they carry the outcome `unverifiable` and do not match here.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1565.002, T1195.002]
parameters:
  session_reach:
    type: duration
    default: 1 hour
    meaning: how long before the confirmation the decision that let it through may lie
*/
SELECT
  event_id,
  request AS entity,
  actor,
  allowed_session AS session,
  wallet,
  request,
  amount,
  to_address,
  evidence_decision,
  detail_text(detail, 'signer_claimed') AS signer_claimed,
  detail_text(detail, 'signer_recovered') AS signer_recovered,
  detail_text(detail, 'hash_filed') AS hash_filed,
  detail_text(detail, 'hash_recomputed') AS hash_recomputed,
  detail_int(detail, 'nonce') AS nonce
FROM (
  SELECT
    *,
    -- A confirmation names an owner's key, not a session. The session is the one that the policy decision point let
    -- through to this request most recently; with none in reach the request and the wallet are still held.
    last_value(CASE WHEN let_through THEN session END) IGNORE NULLS OVER before AS allowed_session,
    last_value(CASE WHEN let_through THEN event_id END) IGNORE NULLS OVER before AS evidence_decision
  FROM (
    SELECT *, kind = 'decision' AND outcome = 'allow' AND session IS NOT NULL AS let_through
    FROM events
    WHERE kind IN ('decision', 'signing.approved') AND request IS NOT NULL
  )
  WINDOW before AS (
    PARTITION BY request ORDER BY time RANGE BETWEEN $session_reach PRECEDING AND CURRENT ROW
  )
)
WHERE kind = 'signing.approved' AND outcome = 'mismatch'
