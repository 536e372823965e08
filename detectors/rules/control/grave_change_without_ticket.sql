/*
version: 1
title: "{actor} did {act} on {target} without an open ticket: keys, logs or a way in"
severity: high
entity: the person and the act
needs: [custody.change]
uses: [changes]
proof: corroborated
without_history: >-
  Quiet until tickets of changes were heard in the system within thirty days.
response: []
suppress_for: 1h
meaning: >-
  Without a ticket that somebody else approved, a key that signs was changed, rotated, granted, exported or scheduled for
  deletion, a log was changed, or somebody opened a way into a machine, changed a second factor or the vault of keys, or
  became root. Whoever steals from custody has to do one of these; whoever works there does them by appointment.
runbook:
  - "See what else the actor did before and after: SELECT time, kind, outcome, ip, detail FROM events WHERE actor = '<actor>' ORDER BY time DESC LIMIT 100"
  - Ask the actor at once, over a channel that you know, which ticket it was. If there is none, or nobody answers, end their sessions and keys.
  - Undo it first and ask then where it can be undone. Cancel the deletion of a key, turn the log on, put the key's policy back, take the login key off the machine.
  - Hold signing of the wallets whose keys or machines it was about until it is plain who did it.
  - "See what was signed since: SELECT time, wallet, request, key, tx, outcome FROM events WHERE kind LIKE 'signing.%' ORDER BY time DESC LIMIT 100"
false_positives:
  - Rotation by a schedule or a service of the cloud whose name no ticket has. Give it a standing one.
  - Tickets that name people otherwise than the cloud does. Let the ticket carry the principal.
ccss: ["1.04.1.1", "1.05.8.1", "2.02.1.2", "2.02.3.2"]
attack: [T1098.004, T1562.008, T1578, T1485]
parameters: {}
*/
SELECT
  event_id,
  actor || ' ' || act AS entity,
  actor,
  session,
  ip,
  act,
  target
FROM changes
WHERE (ticket IS DISTINCT FROM 'open') AND opened_after = 0 AND tickets > 0 AND is_grave
