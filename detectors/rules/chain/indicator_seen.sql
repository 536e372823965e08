/*
version: 1
title: "{indicator} was seen in a {seen_in}, and is warned of: {label}"
severity: high
entity: the indicator
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
  - Dust that is sent to wallets from a warned address so that they look tainted.
ccss: ["2.02.3.2"]
attack: [T1078, T1657]
parameters: {}
*/
SELECT
  event_id,
  coalesce(of_destination, of_origin, of_ip, of_session, of_tx, of_device) AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  tx,
  amount,
  to_address,
  coalesce(of_destination, of_origin, of_ip, of_session, of_tx, of_device) AS indicator,
  CASE
    WHEN of_destination IS NOT NULL THEN destination_label
    WHEN of_origin IS NOT NULL THEN origin_label
    WHEN of_ip IS NOT NULL THEN ip_label
    WHEN of_session IS NOT NULL THEN session_label
    WHEN of_tx IS NOT NULL THEN tx_label
    ELSE device_label
  END AS label,
  kind AS seen_in
FROM (
  SELECT
    e.*,
    -- Expired, an indicator is none. Log time counts whole seconds here.
    CASE WHEN t.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < t.expires_at THEN t.indicator END AS of_destination,
    CASE WHEN f.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < f.expires_at THEN f.indicator END AS of_origin,
    CASE WHEN i.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < i.expires_at THEN i.indicator END AS of_ip,
    CASE WHEN s.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < s.expires_at THEN s.indicator END AS of_session,
    CASE WHEN x.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < x.expires_at THEN x.indicator END AS of_tx,
    CASE WHEN d.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < d.expires_at THEN d.indicator END AS of_device,
    t.label AS destination_label,
    f.label AS origin_label,
    i.label AS ip_label,
    s.label AS session_label,
    x.label AS tx_label,
    d.label AS device_label
  FROM (
    SELECT *
    FROM events
    WHERE kind IN (
      'chain.approval', 'chain.transfer', 'chain.tx', 'decision', 'session.mfa', 'session.presented', 'session.started',
      'signing.approved', 'signing.requested', 'signing.signed'
    )
  ) AS e
  LEFT JOIN indicators AS t ON t.system = e.system AND t.indicator = e.to_address
  LEFT JOIN indicators AS f ON f.system = e.system AND f.indicator = e.from_address
  LEFT JOIN indicators AS i ON i.system = e.system AND i.indicator = e.ip
  LEFT JOIN indicators AS s ON s.system = e.system AND s.indicator = e.session
  LEFT JOIN indicators AS x ON x.system = e.system AND x.indicator = e.tx
  LEFT JOIN indicators AS d ON d.system = e.system AND d.indicator = e.device
)
WHERE coalesce(of_destination, of_origin, of_ip, of_session, of_tx, of_device) IS NOT NULL
