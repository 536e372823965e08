/*
version: 4
title: Source {entity} has said nothing since {last_kind}
severity: high
entity: the source
proof: corroborated
without_history: >-
  A source that never spoke is told by when keywatch began to expect it.
response: []
suppress_for: 1h
meaning: >-
  A source that the inventory expects to speak regularly has fallen silent for longer than its own heartbeat and the
  delay that it is allowed, or never spoke at all. Every rule that reads it is blind meanwhile, and absence of bad news
  from it means nothing. Attackers switch the camera off first.
runbook:
  - "See when it last spoke and how often it usually does: SELECT kind, count(*), max(time), max(event_time) FROM events WHERE source = '<source>' GROUP BY kind"
  - Ask the source itself over another path whether it runs, and whether its credential for keywatch is still accepted.
  - Look for changes just before the silence, on the source's host, in its logging configuration and on the network between.
  - While it is silent, let a person confirm what the source would have confirmed. For a policy decision point, stop signing.
  - When it is back, check that the records of the gap arrived (marked late), and run the rules over the gap again.
false_positives:
  - Planned maintenance that nobody announced; where the source itself said `source.status` down before, an hour from then on
    more is waited for it, whatever else it says while it goes down. The announcement is over when it says another
    `source.status`, or still speaks five minutes later. A silence is told once, whatever happens meanwhile.
  - A heartbeat in the inventory that is shorter than the source's real rhythm.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1562.006, T1562.008]
parameters:
  heartbeat_max_seconds:
    type: integer
    default: 86400
    meaning: sources whose declared heartbeat is longer are left alone; a day at most, as far as a rule may look ahead
  announced_seconds:
    type: integer
    default: 3600
    meaning: seconds from its announcement on, beyond its heartbeat, for which a source may be silent that said it goes down
  well_again_seconds:
    type: integer
    default: 300
    meaning: seconds after its announcement from which on a source that speaks is well again, and is waited for as before
*/
SELECT
  event_id,
  source AS entity,
  kind AS last_kind,
  feed,
  trust_group,
  heartbeat_seconds
FROM (
  SELECT
    *,
    -- keywatch's own `source.expected` starts the clock of a source that never spoke, but is no word of the source.
    min(time) FILTER (WHERE kind <> 'source.expected') OVER (
      PARTITION BY source ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '1 day' FOLLOWING
    ) AS heard_at,
    lag(heartbeat_seconds) OVER (PARTITION BY source ORDER BY time) AS heartbeat_before
  FROM (
    SELECT
      *,
      -- What goes down speaks for some seconds more: heartbeats that were under way, and those of a part that stops last.
      greatest(
        CAST(time AS BIGINT),
        CASE
          WHEN last_status = 'down'
            AND CAST(time AS BIGINT) <= CAST(announced_at AS BIGINT) + $well_again_seconds * 1000000000
            THEN CAST(announced_at AS BIGINT) + $announced_seconds * 1000000000
          ELSE CAST(time AS BIGINT)
        END
      ) AS waited_from
    FROM (
      SELECT
        e.*,
        s.feed,
        s.trust_group,
        s.heartbeat_seconds,
        -- What was said in time may still be on its way for as long as the source may be late.
        s.heartbeat_seconds + coalesce(s.max_delay_seconds, 0) AS patience_seconds,
        last_value(CASE WHEN e.kind = 'source.status' THEN e.outcome END) IGNORE NULLS OVER said AS last_status,
        max(CASE WHEN e.kind = 'source.status' AND e.outcome = 'down' THEN e.time END) OVER said AS announced_at
      FROM events AS e
      LEFT JOIN sources AS s ON s.system = e.system AND s.source = e.source
      -- That a node answers is no word of whoever reads the chain.
      WHERE e.kind <> 'chain.head'
      WINDOW said AS (PARTITION BY e.source ORDER BY e.time)
    )
  )
)
WHERE
  heartbeat_seconds BETWEEN 1 AND $heartbeat_max_seconds
  -- A source that was watched when it was last heard of is told by that, however often the inventory comes again.
  AND (kind <> 'source.expected' OR (heartbeat_before BETWEEN 1 AND $heartbeat_max_seconds) IS NOT TRUE)
  AND (heard_at IS NULL OR heard_at > to_timestamp_nanos(waited_from + patience_seconds * 1000000000))
