/*
version: 2
title: The policy allowed request {request} although {fault}
severity: high
entity: the session, or the request or decision when no session is known
needs: [decision_point]
proof: corroborated
response: [session]
suppress_for: 1h
meaning: >-
  Policy languages order values of different types, so that null is below every number and a text above it. An input
  whose amount is no positive number, whose risk is no number or whose approvals are no list passes comparisons that it
  was meant to fail. Whoever sends such an input either has a broken client or tries how far the policy carries.
runbook:
  - "Read the input as it was logged: SELECT time, source, actor, session, request, amount_usd, detail FROM events WHERE decision = '<decision>'"
  - "See what else this session sent: SELECT time, outcome, request, detail FROM events WHERE session = '<session>' AND kind = 'decision' ORDER BY time"
  - Hold the request until its amount, destination and approvals are confirmed by people.
  - Add a type check to the policy before the comparison, with a test that holds exactly this input, and roll it out on every replica.
  - Look back over the log for other allows of the same shape; this rule run as a backtest lists them.
false_positives:
  - A decision that names a wallet or request but is about something else than signing, and so has no amount. Give such queries their own input fields.
  - Masked fields count as present; an input cut down before logging without naming the fields as masked or erased does not.
ccss: ["1.05.8.1", "2.02.3.2"]
attack: [T1190, T1556]
parameters: {}
*/
SELECT
  event_id,
  coalesce(session, request, decision, event_id) AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  to_address,
  decision,
  fault,
  amount_type,
  risk_type,
  approvals_type
FROM (
  SELECT
    *,
    -- `masked` means that the field was there and was hidden on purpose. Approvals may be absent: small amounts need none.
    CASE
      WHEN amount_type NOT IN ('number', 'masked') THEN 'its amount is ' || amount_type
      WHEN amount_type = 'number' AND NOT detail_bool(detail, 'amount_positive') THEN 'its amount is not above zero'
      WHEN risk_type NOT IN ('number', 'masked') THEN 'its destination risk is ' || risk_type
      WHEN approvals_type NOT IN ('array', 'absent', 'masked') THEN 'its approvals are ' || approvals_type
    END AS fault
  FROM (
    SELECT
      *,
      detail_text(detail, 'amount_type') AS amount_type,
      detail_text(detail, 'risk_type') AS risk_type,
      detail_text(detail, 'approvals_type') AS approvals_type
    FROM events
    WHERE kind = 'decision' AND outcome = 'allow' AND (request IS NOT NULL OR wallet IS NOT NULL)
  )
  -- Other decisions (may this person log in, or look at this wallet?) have nothing of it and need none.
  WHERE request IS NOT NULL OR amount_type <> 'absent' OR risk_type <> 'absent' OR approvals_type <> 'absent'
)
WHERE fault IS NOT NULL
