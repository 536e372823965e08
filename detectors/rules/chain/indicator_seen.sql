/*
version: 2
title: "{indicator} was seen in a {seen_in}, and is warned of: {label}"
severity: high
entity: the indicator
uses: [warned]
proof: corroborated
without_history: >-
  Judged from the moment on from which the inventory names an indicator; what was before is looked for when it is imported.
response: [session]
suppress_for: 1d
meaning: >-
  An event names something that the inventory lists among `indicators`: an address that stolen money went to, an address
  on the internet that attacks came from, a session or transaction that somebody else warned of. Others have paid for the
  knowledge already.
runbook:
  - "See everything that names it: SELECT time, source, kind, actor, session, wallet, request, tx, outcome FROM events WHERE '<indicator>' IN (to_address, from_address, ip, session, tx, device) ORDER BY time"
  - Read where the warning comes from (`label` and `imported_by` in the inventory) and how sure its author is.
  - A destination. Hold what is not signed yet, and tell the analytics provider and the exchanges what already went there.
  - An address on the internet. End the sessions that came from it, and look at what they asked for.
  - Warned of in error. Take it out of the inventory, by two persons.
false_positives:
  - Addresses on the internet that many share (networks of phones, exits of VPNs), and lists that name whole services.
ccss: ["2.02.3.2"]
attack: [T1078, T1657]
parameters: {}
*/
SELECT
  event_id,
  indicator AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  tx,
  amount,
  to_address,
  indicator,
  warning AS label,
  kind AS seen_in
FROM warned
WHERE NOT is_received
