/*
version: 1
title: Source {entity} has said nothing since {last_kind}
severity: high
entity: the source
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  A source that the inventory expects to speak regularly has fallen silent, or never spoke at all. Every rule that reads
  it is blind meanwhile, and absence of bad news from it means nothing. Attackers switch the camera off first.
runbook:
  - "See when it last spoke and how often it usually does: SELECT kind, count(*), max(time), max(event_time) FROM events WHERE source = '<source>' GROUP BY kind"
  - Ask the source itself over another path whether it runs, and whether its credential for keywatch is still accepted.
  - Look for changes just before the silence, on the source's host, in its logging configuration and on the network between.
  - While it is silent, let a person confirm what the source would have confirmed. For a policy decision point, stop signing.
  - When it is back, check that the records of the gap arrived (marked late), and run the rules over the gap again.
false_positives:
  - Planned maintenance.
  - A heartbeat in the inventory that is shorter than the source's real rhythm.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1562.006, T1562.008]
parameters:
  silence:
    type: duration
    default: 15 minutes
    meaning: silence after which a source is told to be silent
  heartbeat_max_seconds:
    type: integer
    default: 900
    meaning: sources whose declared heartbeat is longer are left alone; keep it equal to `silence`
*/
SELECT
  event_id,
  e.source AS entity,
  e.kind AS last_kind,
  s.feed AS feed,
  s.trust_group AS trust_group,
  s.heartbeat_seconds AS heartbeat_seconds
FROM (
  SELECT
    *,
    -- keywatch's own `source.expected` starts the clock of a source that never spoke, but is no word of the source.
    count(*) FILTER (WHERE kind <> 'source.expected') OVER (
      PARTITION BY source ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $silence FOLLOWING
    ) AS heard_after
  FROM events
) AS e
INNER JOIN sources AS s ON s.system = e.system AND s.source = e.source
WHERE s.heartbeat_seconds BETWEEN 1 AND $heartbeat_max_seconds AND heard_after = 0
