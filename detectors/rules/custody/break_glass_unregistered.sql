/*
version: 1
title: "Emergency access was opened by {actor} with {second_person}, of whom {unregistered} is not in the register of people"
severity: critical
entity: the person
proof: corroborated
without_history: >-
  A system of which no register of people was ever told is not judged.
response: []
suppress_for: 1h
meaning: >-
  Emergency access goes around every other control, so it is for people who are known, checked and still there. One of
  the two who opened it never was in the register of people who are trusted with keys, or has left. An account of somebody
  who left is what a thief looks for first.
runbook:
  - "See every opening and closing: SELECT time, source, actor, outcome, reason, detail FROM events WHERE kind = 'custody.break_glass' ORDER BY time DESC"
  - "See what the register says of the person: SELECT time, outcome, detail FROM events WHERE kind = 'custody.person' AND actor = '<unregistered>' ORDER BY time"
  - Close the access, and hold what was signed under it.
  - Call both people over numbers that you know. Lock the account of whoever left, everywhere.
false_positives:
  - A register that is written after the fact, or that names people otherwise than the emergency procedure does.
  - A register of which only a part was imported.
ccss: ["1.04.1.1", "1.04.3.1", "2.02.3.2"]
attack: [T1078, T1548]
parameters: {}
*/
SELECT
  event_id,
  coalesce(actor, event_id) AS entity,
  actor,
  coalesce(second_person, 'nobody') AS second_person,
  CASE WHEN (state = 'active') IS NOT TRUE THEN coalesce(actor, 'nobody named') ELSE second_person END AS unregistered,
  coalesce(reason, 'no reason given') AS why
FROM (
  SELECT
    *,
    count(*) FILTER (WHERE kind = 'custody.person') OVER (
      ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS registered,
    last_value(registered_as) IGNORE NULLS OVER (
      PARTITION BY person ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS state,
    last_value(registered_as) IGNORE NULLS OVER (
      PARTITION BY partner ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS partner_state
  FROM (
    SELECT
      *,
      lower(trim(actor)) AS person,
      CASE WHEN kind = 'custody.person' THEN lower(trim(actor)) ELSE lower(trim(second_person)) END AS partner,
      CASE WHEN kind = 'custody.person' THEN outcome END AS registered_as
    FROM (
      SELECT
        *,
        detail_text(detail, 'with') AS second_person
      FROM events
      WHERE kind = 'custody.break_glass' OR (kind = 'custody.person' AND actor IS NOT NULL)
    )
  )
)
WHERE
  kind = 'custody.break_glass'
  AND outcome = 'open'
  AND registered > 0
  -- Whoever names nobody else is told by `custody/break_glass_alone`.
  AND (
    (state = 'active') IS NOT TRUE
    OR (second_person IS NOT NULL AND (partner_state = 'active') IS NOT TRUE)
  )
