/*
version: 2
title: "{actor} was allowed to act on {request} from {device} while its check {failed_check} failed"
severity: medium
entity: the session
proof: corroborated
needs: [session.posture, decision_point]
without_history: >-
  Quiet until a check of the device or session failed within `posture_reach`.
response: []
suppress_for: 1d
meaning: >-
  The device's last word about itself was that it is not in order, and the policy decision point allowed an act on a
  signing request from it all the same. Either the policy does not ask for the posture, or it looks at an old one. Reports
  overtake each other: a failure that is dated before a success of the same check, and comes within `disorder` after it, is an
  old report and is not held against a decision. One that comes later counts whatever its date: whoever sets the device's clock
  back would be unseen else. A success that is dated before a failure which had come excuses nothing, however late it comes.
runbook:
  - "See the device's words: SELECT time, source, outcome, reason, detail FROM events WHERE device = '<device>' AND kind = 'session.posture' ORDER BY time DESC"
  - Ask the person whether an update was running. If not, end the session and hold the request.
  - Look into the policy why it allowed; it should ask for the posture at each decision.
false_positives:
  - An update that fails a check for minutes, under a policy that tolerates it.
ccss: ["1.05.2.1", "2.02.3.2"]
attack: [T1562.001]
parameters:
  posture_reach:
    type: duration
    default: 12 hours
    meaning: how old a posture may be to be held against a decision
  disorder:
    type: duration
    default: 1 hour
    meaning: how long a failure may arrive after a newer success of the same check
*/
SELECT
  event_id,
  coalesce(session, subject) AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  coalesce(failed_check, 'of the device as a whole') AS failed_check,
  evidence_posture
FROM (
  SELECT
    *,
    last_value(CASE WHEN fails THEN check_name END) IGNORE NULLS OVER before AS failed_check,
    last_value(CASE WHEN fails THEN event_id END) IGNORE NULLS OVER before AS evidence_posture,
    count(*) FILTER (WHERE fails) OVER before - count(*) FILTER (WHERE recovers) OVER before AS open_failures
  FROM (
    SELECT
      *,
      (word = 'not_compliant' AND (word_before IS DISTINCT FROM 'not_compliant')) IS TRUE AS fails,
      (word = 'compliant' AND word_before = 'not_compliant') IS TRUE AS recovers
    FROM (
      SELECT
        *,
        last_value(word) IGNORE NULLS OVER (
          PARTITION BY subject, check_name ORDER BY time
          RANGE BETWEEN $posture_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
        ) AS word_before
      FROM (
        SELECT
          *,
          CASE
            WHEN said = 'not_compliant' AND ((event_time < passed_at) IS NOT TRUE) THEN said
            WHEN said = 'compliant' AND ((event_time < failed_at) IS NOT TRUE) THEN said
          END AS word
        FROM (
          SELECT
            *,
            -- A success that is dated after it came makes no failure an old report: its clock is wrong.
            max(CASE WHEN said = 'compliant' AND event_time <= time THEN event_time END) OVER (
              PARTITION BY subject, check_name ORDER BY time
              RANGE BETWEEN $disorder PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
            ) AS passed_at,
            -- A failure is no newer than when it came, so that a clock that was ahead does not outlast its correction.
            max(CASE WHEN said = 'not_compliant' THEN least(event_time, time) END) OVER (
              PARTITION BY subject, check_name ORDER BY time
              RANGE BETWEEN $posture_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
            ) AS failed_at
          FROM (
            SELECT
              *,
              coalesce(device, session) AS subject,
              detail_text(detail, 'check') AS check_name,
              CASE WHEN kind = 'session.posture' AND outcome IN ('compliant', 'not_compliant') THEN outcome END AS said
            FROM events
            WHERE kind IN ('session.posture', 'decision') AND (device IS NOT NULL OR session IS NOT NULL)
          )
        )
      )
    )
  )
  WINDOW before AS (
    PARTITION BY subject ORDER BY time
    RANGE BETWEEN $posture_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
  )
)
WHERE kind = 'decision' AND outcome = 'allow' AND request IS NOT NULL AND open_failures > 0
