/*
version: 1
title: Request {request} of wallet {wallet} was approved by {actor} without an allow of the policy decision point
severity: critical
entity: the signing request
proof: corroborated
response: [request, wallet]
suppress_for: 1h
meaning: >-
  Every approval has to pass the policy decision point first. Here a signer's approval stands in the record and no allow
  for the same request and wallet was logged shortly before it, nor afterwards while the decision log could still be on
  its way. Somebody approved around the policy, or the decision log has lost records.
runbook:
  - "See what was decided on this request: SELECT time, event_time, kind, actor, outcome, reason, late FROM events WHERE request = '<request>' ORDER BY time"
  - "Check that the decision log was heard at all: SELECT source, max(time), max(event_time) FROM events WHERE kind = 'decision' GROUP BY source. If it was not, look at the loss counters of the policy decision point and at source/silent."
  - Ask the approver, by voice, through which path the approval was made. A path that does not ask the policy decision point is closed first and discussed afterwards.
  - A request that was never allowed at all, while its signatures are valid, may have been signed under another request's cover. Compare nonce and signatures with other requests of the wallet.
  - If emergency access was used, attach the emergency case to the finding.
false_positives:
  - The decision log is later than `decision_delay`, for example after an outage; the decisions then arrive marked late.
  - The policy's input carries the request or wallet under another name than the feed is configured for.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1078, T1556]
parameters:
  allow_reach:
    type: duration
    default: 2 hours
    meaning: how long before an approval its allow may have been recorded
  decision_delay:
    type: duration
    default: 10 minutes
    meaning: how long after an approval its allow may still arrive; the longest upload delay of the decision log
*/
SELECT
  event_id,
  request AS entity,
  actor,
  session,
  wallet,
  request,
  amount,
  to_address,
  denials
FROM (
  SELECT
    *,
    -- Log time is the time of arrival, so an allow that was given before the approval may stand behind it.
    count(*) FILTER (WHERE kind = 'decision' AND outcome = 'allow') OVER around AS allows,
    count(*) FILTER (WHERE kind = 'decision' AND outcome <> 'allow') OVER around AS denials,
    -- A system without a decision point has no allow to miss.
    count(*) FILTER (WHERE kind = 'decision') OVER (
      ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS decisions_ever
  FROM events
  WHERE kind IN ('decision', 'signing.approved') AND request IS NOT NULL AND wallet IS NOT NULL
  WINDOW around AS (
    PARTITION BY wallet, request ORDER BY time
    RANGE BETWEEN $allow_reach PRECEDING AND $decision_delay FOLLOWING
  )
)
WHERE kind = 'signing.approved' AND allows = 0 AND decisions_ever > 0
