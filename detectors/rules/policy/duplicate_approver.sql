/*
version: 1
title: The policy allowed request {request} on {approvals} approvals by {approvers_distinct} distinct approvers
severity: high
entity: the request, or the session or decision when no request is known
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  The input listed enough approvals, but they come from fewer people: the same approver twice (perhaps in other letters),
  an approver without a name, or a rejection counted as an approval. The four-eyes principle was kept on paper only.
runbook:
  - "Read who is listed: SELECT time, actor, session, request, detail FROM events WHERE decision = '<decision>'"
  - Hold the request and get the missing approval from a second person, by voice.
  - Ask the approver that is listed twice whether both are theirs. If not, their session is in somebody else's hands; end it.
  - Count distinct names with an affirmative approval in the policy, in lower case, and add this input as a test.
false_positives:
  - A client that lists one approval twice for an amount that needs none.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1078, T1556]
parameters:
  approvals_needed:
    type: integer
    default: 2
    meaning: distinct approvers that the policy asks for above its limit
*/
SELECT
  event_id,
  coalesce(request, session, decision, event_id) AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  to_address,
  decision,
  approvals,
  approvers_distinct
FROM (
  SELECT
    *,
    detail_int(detail, 'approvals') AS approvals,
    detail_int(detail, 'approvers_distinct') AS approvers_distinct
  FROM events
  WHERE kind = 'decision' AND outcome = 'allow'
)
-- A third, unneeded approval that was a rejection does no harm; a list that only looks long enough does.
WHERE approvals >= $approvals_needed AND approvers_distinct < $approvals_needed
