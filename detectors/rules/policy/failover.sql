/*
version: 2
title: "Decisions on {path} are made by {replica} alone, which made none before: {replica_before} went quiet"
severity: low
entity: the path that is decided
needs: [decision_point]
uses: [own_questions]
proof: corroborated
without_history: >-
  Quiet until `decisions_minimum` decisions on the path were made within `reach` before the change.
response: []
suppress_for: 1d
meaning: >-
  Another replica of the decision point has taken over, and the one before decides nothing any more. A failover is what a
  standby is for, and it is also how somebody who runs a replica of his own comes to decide. A standby that nobody looks
  after may hold an old policy or an old list of revocations.
runbook:
  - "See who decided when: SELECT source, detail_text(detail, 'labels.id') AS replica, detail_text(detail, 'policy_revision') AS revision, min(time), max(time), count(*) FROM events WHERE kind = 'decision' GROUP BY 1, 2, 3 ORDER BY 5 DESC LIMIT 20"
  - Look whether the replica that decides now is one of yours, runs where it should and is named in the configuration of keywatch; one that is not gets no revocations.
  - Compare its policy revision, and what it holds (`pdp.state`), with those of the one before.
  - Find out why the other stopped.
false_positives:
  - A restart or a release. A process of Open Policy Agent has another id after each start.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1499, T1556]
parameters:
  reach:
    type: duration
    default: 6 hours
    meaning: how far back the replicas that decided before are looked for
  recent:
    type: duration
    default: 10 minutes
    meaning: how long the new one must have been alone
  decisions_minimum:
    type: integer
    default: 30
    meaning: decisions on the path before the change below which there is nothing to take over
  recent_minimum:
    type: integer
    default: 3
    meaning: decisions of the new one within `recent`
*/
SELECT
  event_id,
  path AS entity,
  source,
  path,
  replica,
  replica_before,
  decisions_before
FROM (
  SELECT
    *,
    count(*) OVER lately AS decisions_lately,
    count(*) OVER (
      PARTITION BY path, replica ORDER BY time RANGE BETWEEN $recent PRECEDING AND CURRENT ROW
    ) AS own_lately,
    count(*) OVER earlier AS decisions_before,
    max(replica) OVER earlier AS replica_before,
    count(*) OVER (
      PARTITION BY path, replica ORDER BY time RANGE BETWEEN $reach PRECEDING AND $recent PRECEDING
    ) AS own_before
  FROM own_questions
  -- keywatch itself asks for the revocations of each replica, standby or not.
  WHERE kind = 'decision'
    AND canaries = 0
    AND probings = 0
    AND path IS NOT NULL
    AND path <> 'revocations'
    AND path NOT LIKE 'revocations/%'
  WINDOW
    lately AS (PARTITION BY path ORDER BY time RANGE BETWEEN $recent PRECEDING AND CURRENT ROW),
    earlier AS (PARTITION BY path ORDER BY time RANGE BETWEEN $reach PRECEDING AND $recent PRECEDING)
)
WHERE
  own_before = 0
  AND own_lately = decisions_lately
  AND own_lately >= $recent_minimum
  AND decisions_before >= $decisions_minimum
