/*
version: 3
title: "{what} of wallet {wallet} was {step} without an allow of the policy decision point"
severity: critical
entity: the signing request, or the transaction when none is named
proof: corroborated
needs: [signer, decision_point]
uses: [approvals]
without_history: >-
  A wallet whose decision point is neither declared nor has ever decided is not judged; coverage shows it as blind.
response: [request, wallet]
suppress_for: 1h
meaning: >-
  Every signature has to pass the policy decision point first, and where the policy is asked at each approval, every
  approval too. Here one stands in the record and no allow for the same request and wallet was logged before it, nor
  afterwards while the decision log could still be on its way. Somebody went around the policy, or the decision log has
  lost records. A signature that names no request, where the signer otherwise names them, is the same: whoever asks the
  signer itself asks no policy.
runbook:
  - "See what was decided on this request: SELECT time, event_time, kind, actor, outcome, reason, late FROM events WHERE request = '<request>' ORDER BY time"
  - "Check that the decision log was heard at all: SELECT source, max(time), max(event_time) FROM events WHERE kind = 'decision' GROUP BY source. If it was not, look at the loss counters of the policy decision point and at source/silent."
  - Ask the approver, by voice, through which path the approval was made. A path that does not ask the policy decision point is closed first and discussed afterwards.
  - A request that was never allowed at all, while its signatures are valid, may have been signed under another request's cover. Compare nonce and signatures with other requests of the wallet.
  - If emergency access was used, attach the emergency case to the finding.
false_positives:
  - The decision log is later than `decision_delay` though the decision point said nothing bad about itself; while it is silent or unwell, `signing/signature_undecided` tells of the approval instead.
  - The policy's input carries the request or wallet under another name than the feed is configured for.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1078, T1556]
parameters: {}
*/
SELECT
  event_id,
  coalesce(request, tx, event_id) AS entity,
  actor,
  session,
  wallet,
  request,
  tx,
  coalesce('Request ' || request, 'Transaction ' || tx, 'A signature') AS what,
  amount,
  to_address,
  CASE WHEN kind = 'signing.signed' THEN 'signed' ELSE 'approved by ' || coalesce(actor, 'somebody') END AS step,
  denials,
  decider
FROM approvals
-- A decision whose verdict could not be read is no denial, and not nothing either.
WHERE gated AND allows = 0 AND unknowns = 0 AND decider_state = 'heard'
