/*
version: 4
title: "{actor} did {act} on {target} without an open ticket"
severity: medium
entity: the person
needs: [custody.change]
uses: [changes]
proof: corroborated
without_history: >-
  Quiet until tickets of changes were heard in the system within thirty days. Of each actor and kind of change the first five
  within thirty days, and all of the day of the fifth, are judged by themselves.
response: []
suppress_for: 4h
meaning: >-
  Policies, keys, identities, networks and logs of the custody environment are changed on a ticket that somebody else
  approved. This change was made by somebody who had none open: past the procedure, or with somebody's stolen rights. Changes of
  keys that are there, of logs and of ways into machines are told by `control/grave_change_without_ticket`. That a ticket is
  missing says something where tickets are the custom: who by the day before had made five such changes or more in
  thirty days, and not half of them on a ticket, is not told of any further one. The first five are told, and however many follow
  within a day.
runbook:
  - "See what else the actor changed: SELECT time, kind, outcome, ip, detail FROM events WHERE actor = '<actor>' AND kind LIKE 'control.%' ORDER BY time DESC"
  - Ask the actor over a channel that you know which ticket it was.
  - If there is none, undo the change and end the actor's sessions until it is plain who made it.
false_positives:
  - Tickets that name people otherwise than the cloud does. Let the ticket carry the principal.
  - Automation whose changes no ticket names, for its first five within thirty days and a day more. Give it a standing one,
    without which later ones are not told either.
ccss: ["1.04.1.1", "1.04.2.1", "2.02.3.2"]
attack: [T1098, T1078]
parameters: {}
*/
SELECT
  event_id,
  actor AS entity,
  actor,
  session,
  ip,
  act,
  target
FROM changes
WHERE (ticket IS DISTINCT FROM 'open') AND opened_after = 0 AND tickets > 0 AND NOT is_grave AND is_asked_of_actor
