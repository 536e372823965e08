/*
version: 1
title: "{aborted_runs} runs of threshold signing for {entity} were aborted within the hour"
severity: high
entity: the wallet, or the key or source where no wallet is named
needs: [signing.round]
proof: corroborated
response: []
suppress_for: 4h
meaning: >-
  Runs of a threshold protocol seldom fail. Attacks that draw a party's share out of it need many runs that fail in one
  round, a bit or a few bits each: the other parties see nothing but aborts. Several runs aborted in short order are such an
  attack until a fault is found.
runbook:
  - "See the aborts, and whom each node blames: SELECT time, source, reason, detail FROM events WHERE kind = 'signing.round' AND outcome = 'abort' ORDER BY time DESC LIMIT 100"
  - Stop signing with this key. A share of which bits are known cannot be mended by going on.
  - Look whether all nodes blame the same party, take that node from the network, and keep its memory and disk.
  - Refresh the shares (resharing) with parties that are known to be whole before the key signs again.
false_positives:
  - A network between the parties that fails, which blames nobody or everybody.
ccss: ["1.02.3.1", "1.05.2.2", "2.02.3.2"]
attack: [T1557, T1588.004]
parameters:
  aborts:
    type: integer
    default: 3
    meaning: aborted runs within an hour that are unusual
*/
SELECT
  event_id,
  subject AS entity,
  wallet,
  aborted_runs,
  reason AS cause,
  detail_text(detail, 'session') AS run
FROM (
  SELECT
    *,
    -- Every node tells of the same run, and each run counts once.
    count(DISTINCT CASE WHEN outcome = 'abort' THEN run END) OVER (
      PARTITION BY subject ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW
    ) AS aborted_runs
  FROM (
    SELECT *, coalesce(wallet, "key", source) AS subject, coalesce(detail_text(detail, 'session'), event_id) AS run
    FROM events
    WHERE kind = 'signing.round'
  )
)
WHERE outcome = 'abort' AND aborted_runs >= $aborts
