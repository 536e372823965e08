/*
version: 3
title: "Device {device} of session {session} is no longer compliant: {failed_check}"
severity: high
entity: the session
proof: corroborated
needs: [session.posture]
without_history: >-
  Quiet until the device was compliant once within `session_reach`: a device that never was is the policy's matter.
response: [session]
suppress_for: 1h
meaning: >-
  The device was in order when the session was let in and is not any more: disk encryption off, sensor stopped, an
  unknown program. Trust was given for a state that has ended, so it ends too. A failure that is dated before a success of the
  same check, and comes within `disorder` after it, is an old report that was overtaken, and is no news. One that comes later
  is told whatever its date: whoever sets the device's clock back would be unseen else.
runbook:
  - "See what the device reported: SELECT time, source, outcome, reason, detail FROM events WHERE device = '<device>' AND kind = 'session.posture' ORDER BY time DESC"
  - "See what the session did since: SELECT time, kind, wallet, request, outcome FROM events WHERE session = '<session>' ORDER BY time DESC"
  - End the session if that has not happened; the person signs on again once the device is in order.
  - Ask the person what was done on the device. A check that was switched off by nobody is an incident on that machine.
  - Hold requests that this session approved since the last compliant report until somebody else has looked at them.
false_positives:
  - An update that takes longer than `recovery`. What is allowed meanwhile is told by session/allowed_while_not_compliant.
  - A change of the compliance policy itself, which turns many devices at once.
ccss: ["1.05.2.1", "2.02.3.2"]
attack: [T1562.001]
parameters:
  recovery:
    type: duration
    default: 20 minutes
    meaning: how long an update or a restart may fail a check before it is told, with the delay of the report
  version_checks:
    type: text_list
    default: [os_version, os_patch, patch_level, agent_version, browser_version, signature_age]
    meaning: checks that fail because what is asked of devices has moved on, and not the device
  disorder:
    type: duration
    default: 1 hour
    meaning: how long a report may arrive after a newer one of the same check
  session_reach:
    type: duration
    default: 12 hours
    meaning: longest session; how long back its start and the compliant report may lie
*/
SELECT
  event_id,
  open_session AS entity,
  coalesce(actor, open_actor) AS actor,
  open_session AS session,
  device,
  coalesce(check_name, 'the device as a whole') AS failed_check,
  reason,
  evidence_session
FROM (
  SELECT
    *,
    -- A report that names its session is believed; otherwise it is the session last seen on the device, if still open.
    coalesce(session, CASE WHEN last_act NOT IN ('session.ended', 'session.revoked') THEN last_session END)
      AS open_session,
    CASE WHEN last_act NOT IN ('session.ended', 'session.revoked') THEN last_actor END AS open_actor
  FROM (
    SELECT
      *,
      last_value(CASE WHEN known THEN outcome END) IGNORE NULLS OVER whole_before AS before_whole,
      last_value(CASE WHEN known THEN outcome END) IGNORE NULLS OVER check_before AS before_check,
      -- An update or a restart fails a check for minutes.
      count(*) FILTER (WHERE known AND outcome = 'compliant') OVER (
        PARTITION BY subject, check_name ORDER BY time
        RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $recovery FOLLOWING
      ) AS recovered,
      last_value(CASE WHEN lives THEN session END) IGNORE NULLS OVER whole_before AS last_session,
      last_value(CASE WHEN lives THEN actor END) IGNORE NULLS OVER whole_before AS last_actor,
      last_value(CASE WHEN lives THEN kind END) IGNORE NULLS OVER whole_before AS last_act,
      last_value(CASE WHEN lives THEN event_id END) IGNORE NULLS OVER whole_before AS evidence_session
    FROM (
      SELECT
        *,
        -- Reports overtake each other. What is dated before a success that has just come says nothing of now.
        kind = 'session.posture' AND (outcome = 'compliant' OR (outcome = 'not_compliant' AND (event_time < passed_at) IS NOT TRUE))
          AS known,
        kind <> 'session.posture' AND session IS NOT NULL AND (outcome IS DISTINCT FROM 'failure') AS lives
      FROM (
        SELECT
          *,
          -- A success that is dated after it came excuses nothing: its clock is wrong.
          max(CASE WHEN kind = 'session.posture' AND outcome = 'compliant' AND event_time <= time THEN event_time END) OVER (
            PARTITION BY subject, check_name ORDER BY time
            RANGE BETWEEN $disorder PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
          ) AS passed_at
        FROM (
          SELECT *, coalesce(device, session) AS subject, detail_text(detail, 'check') AS check_name
          FROM events
          WHERE kind IN ('session.started', 'session.presented', 'session.ended', 'session.revoked', 'session.posture')
            AND (device IS NOT NULL OR session IS NOT NULL)
        )
      )
    )
    WINDOW
      whole_before AS (
        PARTITION BY subject ORDER BY time
        RANGE BETWEEN $session_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ),
      check_before AS (
        PARTITION BY subject, check_name ORDER BY time
        RANGE BETWEEN $session_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      )
  )
)
WHERE kind = 'session.posture'
  AND outcome = 'not_compliant'
  AND known
  AND open_session IS NOT NULL
  AND recovered = 0
  AND (check_name IS NULL OR check_name NOT IN $version_checks)
  -- Against the same check where it was reported before, else against the device's last word.
  AND coalesce(before_check, before_whole) = 'compliant'
