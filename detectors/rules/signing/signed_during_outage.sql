/*
version: 3
title: "Wallet {wallet} is signed for while its decision point {decider} decides nothing: {signatures} signatures in a row"
severity: high
entity: the wallet
proof: corroborated
needs: [signer, decision_point]
uses: [own_questions]
without_history: >-
  A wallet for which the inventory declares no decision point is not judged.
response: [wallet]
suppress_for: 1d
meaning: >-
  The decision point that every signature of this wallet needs has logged no decision for a while, neither on these
  requests nor on any other, and signatures go on. Either signers do without it during an outage, which fails open, or
  somebody stopped it, or its log, first. Each signature is also told by itself where the decision point was heard
  otherwise; this finding says that it is no single request.
runbook:
  - "See when it last decided: SELECT kind, outcome, reason, max(time) FROM events WHERE source = '<decider>' GROUP BY kind, outcome, reason"
  - "See what was signed meanwhile: SELECT time, request, tx, to_address, amount FROM events WHERE wallet = '<wallet>' AND kind = 'signing.signed' ORDER BY time DESC LIMIT 50"
  - Stop signing for the wallet until the decision point answers, and have people confirm what is on its way.
  - Ask the decision point itself for its log of that time. Decisions that were made and not sent point at the log or the network, none at all at the enforcement point.
  - Find out which setting lets the signer go on without a decision, and close it.
false_positives:
  - A decision log that is uploaded more rarely than `decision_delay` while its source declares a shorter delay.
  - Requests that were decided longer ago than `allow_reach`.
ccss: ["1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1556, T1562.006]
parameters:
  silence:
    type: duration
    default: 1 hour
    meaning: how long the decision point has to have decided nothing
  decision_delay:
    type: duration
    default: 10 minutes
    meaning: how long after a signature a decision may still arrive; the longest upload delay of the decision log
  allow_reach:
    type: duration
    default: 24 hours
    meaning: how long before a signature its request may have been decided
  signatures_min:
    type: integer
    default: 2
    meaning: signatures of the wallet within `silence` from which on it is told
*/
SELECT
  event_id,
  wallet AS entity,
  actor,
  session,
  wallet,
  request,
  tx,
  amount,
  to_address,
  decider,
  signatures
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind = 'decision' AND canaries = 0 AND probings = 0) OVER (
      PARTITION BY decider ORDER BY time RANGE BETWEEN $silence PRECEDING AND $decision_delay FOLLOWING
    ) AS decisions,
    count(*) FILTER (WHERE kind = 'decision' AND canaries = 0) OVER (
      PARTITION BY wallet, request ORDER BY time RANGE BETWEEN $allow_reach PRECEDING AND $decision_delay FOLLOWING
    ) AS decided,
    count(*) FILTER (WHERE kind = 'signing.signed') OVER (
      PARTITION BY wallet ORDER BY time RANGE BETWEEN $silence PRECEDING AND CURRENT ROW
    ) AS signatures
  FROM (
    SELECT
      d.*,
      s.max_delay_seconds AS max_delay_seconds
    FROM (
      SELECT
        q.*,
        CASE WHEN q.kind = 'decision' THEN q.source ELSE w.decision_point END AS decider
      FROM (
        SELECT *
        FROM own_questions
        WHERE (kind = 'decision' AND NOT is_query_of_own)
          OR (kind = 'signing.signed' AND wallet IS NOT NULL AND request IS NOT NULL AND (outcome IS DISTINCT FROM 'failed'))
      ) AS q
      LEFT JOIN wallets AS w ON w.system = q.system AND w.wallet = q.wallet
    ) AS d
    LEFT JOIN sources AS s ON s.system = d.system AND s.source = d.decider
  )
)
WHERE
  kind = 'signing.signed'
  AND decider <> ''
  AND decisions = 0
  AND decided = 0
  AND signatures >= $signatures_min
  -- A decision point that is declared to be later than is waited for has not gone silent yet.
  AND CAST(time AS BIGINT) + 1000000000 * least(coalesce(max_delay_seconds, 0), 1000000)
    <= CAST(least(time, TIMESTAMP '2200-01-01') + $decision_delay AS BIGINT)
