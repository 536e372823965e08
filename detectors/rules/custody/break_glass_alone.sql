/*
version: 1
title: "{actor} opened emergency access alone: {why}"
severity: high
entity: the person
proof: corroborated
response: []
suppress_for: 1h
meaning: >-
  Emergency access goes around every other control, and two named people open it together. Here one opened it alone, or
  named nobody else. Whoever holds one person's means could have done the same.
runbook:
  - "See every opening and closing: SELECT time, source, actor, outcome, reason, detail FROM events WHERE kind = 'custody.break_glass' ORDER BY time DESC"
  - Call the person, and the second person that the procedure asks for, over numbers that you know.
  - Close the access until both agree, and hold what was signed under it.
false_positives:
  - A procedure that names the second person afterwards; it should name both before.
ccss: ["1.04.1.1", "1.04.3.1", "2.02.3.2"]
attack: [T1078, T1548]
parameters: {}
*/
SELECT
  event_id,
  coalesce(actor, event_id) AS entity,
  actor,
  coalesce(reason, 'no reason given') AS why,
  coalesce(detail_text(detail, 'with'), 'nobody') AS second_person
FROM events
WHERE kind = 'custody.break_glass' AND outcome = 'open' AND detail_bool(detail, 'two_people') IS NOT TRUE
