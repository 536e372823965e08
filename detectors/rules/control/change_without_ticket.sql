/*
version: 2
title: "{actor} did {act} on {target} without an open ticket"
severity: medium
entity: the person
needs: [custody.change]
proof: corroborated
without_history: >-
  Quiet until tickets of changes were heard in the system within thirty days.
response: []
suppress_for: 4h
meaning: >-
  Policies, keys, identities, networks and logs of the custody environment are changed on a ticket that somebody else
  approved. This change was made by somebody who had none open: past the procedure, or with somebody's stolen rights.
runbook:
  - "See what else the actor changed: SELECT time, kind, outcome, ip, detail FROM events WHERE actor = '<actor>' AND kind LIKE 'control.%' ORDER BY time DESC"
  - Ask the actor over a channel that you know which ticket it was.
  - If there is none, undo the change and end the actor's sessions until it is plain who made it.
false_positives:
  - Tickets that name people otherwise than the cloud does. Let the ticket carry the principal.
  - Automation whose changes no ticket names; give it a standing one.
ccss: ["1.04.1.1", "1.04.2.1", "2.02.3.2"]
attack: [T1098, T1078]
parameters:
  life:
    type: duration
    default: 3 days
    meaning: how long a ticket that nobody closed allows changes
  delay:
    type: duration
    default: 15 minutes
    meaning: how long after a change its ticket may still arrive
*/
SELECT
  event_id,
  actor AS entity,
  actor,
  session,
  ip,
  coalesce(detail_text(detail, 'act'), kind) AS act,
  coalesce(detail_text(detail, 'target'), 'something') AS target
FROM (
  SELECT
    *,
    last_value(CASE WHEN kind = 'custody.change' THEN outcome END) IGNORE NULLS OVER (
      PARTITION BY actor ORDER BY time RANGE BETWEEN $life PRECEDING AND CURRENT ROW
    ) AS ticket,
    -- A ticket that is closed right after the change still allowed it.
    count(*) FILTER (WHERE kind = 'custody.change' AND outcome = 'open') OVER (
      PARTITION BY actor ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $delay FOLLOWING
    ) AS opened_after,
    count(*) FILTER (WHERE kind = 'custody.change') OVER (
      PARTITION BY system ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW
    ) AS tickets
  FROM events
  WHERE kind IN (
      'custody.change', 'control.policy', 'control.key', 'control.iam', 'control.network', 'control.logging', 'control.destination'
    )
    AND actor IS NOT NULL
)
WHERE kind <> 'custody.change' AND outcome = 'success' AND (ticket IS DISTINCT FROM 'open') AND opened_after = 0 AND tickets > 0
