/*
version: 2
title: "{what} of wallet {wallet} was {step} while no verdict of {decider} could be read"
severity: medium
entity: the wallet
proof: corroborated
needs: [signer, decision_point]
uses: [approvals]
without_history: >-
  A wallet whose decision point is neither declared nor has ever decided is not judged; coverage shows it as blind.
response: []
suppress_for: 1d
meaning: >-
  An approval or signature stands in the record without an allow; but the decision point was not heard at that time, said that
  it was unwell, or its answers carry no verdict where keywatch looks for one. So the missing allow proves nothing, and
  neither does it clear the approval. Signing should wait until the decision point is back.
runbook:
  - "See what was decided on this request: SELECT time, event_time, kind, actor, outcome, reason, late FROM events WHERE request = '<request>' ORDER BY time"
  - "See since when the decision point is not heard: SELECT kind, outcome, reason, max(time) FROM events WHERE source = '<decider>' GROUP BY kind, outcome, reason"
  - Answers without a verdict. Say in the inventory (`sources.verdicts`) where in this policy's result the verdict stands.
  - Compare with the decision point's own log for the missing time, and ask each approver, by voice, whether the policy was asked.
false_positives:
  - A restart of the decision point that lost its last decisions.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1562.006]
parameters: {}
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  session,
  wallet,
  request,
  tx,
  coalesce('Request ' || request, 'Transaction ' || tx, 'A signature') AS what,
  amount,
  to_address,
  CASE WHEN kind = 'signing.signed' THEN 'signed' ELSE 'approved by ' || coalesce(actor, 'somebody') END AS step,
  unknowns,
  decider,
  decider_state
FROM approvals
WHERE gated
  AND allows = 0
  AND (decider_state IN ('silent', 'unwell', 'slow') OR (unknowns > 0 AND decider_state = 'heard'))
