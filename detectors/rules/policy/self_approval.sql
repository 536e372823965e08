/*
version: 1
title: The policy allowed request {request}, which its initiator approved
severity: high
entity: the request, or the session or decision when no request is known
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  The person who asked for the movement is among those whose approvals let it pass, and without that one too few remain.
  One person, or one stolen session, was enough.
runbook:
  - "Read who asked and who approved: SELECT time, actor, session, request, detail FROM events WHERE decision = '<decision>'"
  - Hold the request and get an approval from another person, by voice.
  - "See whether the same person did it before: SELECT time, request, amount_usd FROM events WHERE actor = '<actor>' AND kind = 'decision' AND outcome = 'allow' ORDER BY time"
  - Leave the initiator out of the count in the policy, in lower case, and add this input as a test.
false_positives:
  - A client that writes the initiator into the approvals for an amount that needs none.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1078, T1556]
parameters:
  approvals_needed:
    type: integer
    default: 2
    meaning: distinct approvers, the initiator left out, that the policy asks for above its limit
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
  approvers_distinct
FROM (
  SELECT *, coalesce(detail_int(detail, 'approvers_distinct'), 0) AS approvers_distinct
  FROM events
  WHERE kind = 'decision' AND outcome = 'allow' AND detail_bool(detail, 'self_approved')
)
-- The initiator is one of the distinct approvers; with enough others the own approval changes nothing.
WHERE approvers_distinct <= $approvals_needed
