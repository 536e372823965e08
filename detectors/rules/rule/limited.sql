/*
version: 1
title: "{flooding_source} floods rule {entity}: its windows let {count} {what} go"
severity: high
entity: the rule
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  A rule's windows reached the most that they may remember of this system, and the source that had most of it there lost
  its oldest part. Other sources lost nothing. What the flooding source did in that time may be counted too low. A flood
  that hides something looks like this, and so does a source that is broken.
runbook:
  - "Look at what the source sent: SELECT kind, count(*) FROM events WHERE source = '<source>' AND time BETWEEN '<from_time>' AND '<to_time>' GROUP BY kind"
  - Find out whether the source is broken or somebody writes under its name; rotate its credential if so.
  - Run the rule over that time with `keywatch backtest`, with higher limits, to see what it missed.
  - If the traffic is honest, raise `rules.limits` in the configuration.
false_positives:
  - Honest growth of traffic beyond what the limits were set for.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1562.006, T1499]
parameters: {}
*/
SELECT
  event_id,
  detail_text(detail, 'rule') AS entity,
  detail_text(detail, 'flooding_source') AS flooding_source,
  detail_text(detail, 'what') AS what,
  detail_int(detail, 'count') AS count,
  detail_text(detail, 'from_time') AS from_time,
  detail_text(detail, 'to_time') AS to_time
FROM events
WHERE kind = 'rule.limited'
