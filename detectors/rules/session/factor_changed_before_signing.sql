/*
version: 2
title: "{actor} was allowed to act on {request} soon after a change of their second factor"
severity: medium
entity: the person
proof: corroborated
needs: [session.mfa_changed, decision_point]
without_history: >-
  Judged from the first change on. A factor passed just before the change, or the person's usual network, speaks for it.
response: []
suppress_for: 1d
meaning: >-
  A thief who holds a live session, or has talked the help desk round, first enrols a factor of their own and then uses
  it. The change was not confirmed by a factor that the person already had, nor was it the owner switching a factor off and
  on again from a usual network. A signing decision within hours of such a change is worth one telephone call.
runbook:
  - "See the change and what followed: SELECT time, source, kind, session, ip, country, device, request, outcome, detail FROM events WHERE actor = '<actor>' ORDER BY time DESC"
  - Call the person on a known number. Did they change their factor, and did they ask for this request?
  - Not theirs. Remove the factor, end all sessions of the person, hold every request that they touched since.
  - Ask the help desk who made the change and on what proof of identity.
false_positives:
  - A new telephone or security key, followed by ordinary work. The identity provider and the policy must name the person alike, else the rule never matches.
ccss: ["1.05.1.1", "2.02.3.2"]
attack: [T1098.005, T1556.006]
parameters:
  confirmed_reach:
    type: duration
    default: 30 minutes
    meaning: how long before the change, in the same session, a passed factor confirms it
  near_reach:
    type: duration
    default: 10 minutes
    meaning: the same for a change whose session is not known
  toggle_reach:
    type: duration
    default: 12 hours
    meaning: within this time a removed factor that is enrolled again from a usual network is its owner's doing
  reach:
    type: duration
    default: 24 hours
    meaning: how long after a change of factor a decision counts as soon
*/
SELECT
  event_id,
  actor AS entity,
  actor,
  session,
  device,
  wallet,
  request,
  to_address,
  evidence_change
FROM (
  SELECT
    *,
    last_value(CASE WHEN doubtful THEN event_id END) IGNORE NULLS OVER (
      PARTITION BY actor ORDER BY time RANGE BETWEEN $reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS evidence_change
  FROM (
    SELECT
      *,
      kind = 'session.mfa_changed'
        AND NOT CASE WHEN session IS NULL THEN factors_near > 0 ELSE factors_in_session > 0 END
        AND NOT (network IS NOT NULL AND here_before > 0 AND (removes OR removed_before > 0)) AS doubtful
    FROM (
      SELECT
        *,
        count(*) FILTER (WHERE kind = 'session.mfa' AND outcome = 'success') OVER (
          PARTITION BY actor, session ORDER BY time RANGE BETWEEN $confirmed_reach PRECEDING AND CURRENT ROW
        ) AS factors_in_session,
        count(*) FILTER (WHERE kind = 'session.mfa' AND outcome = 'success') OVER (
          PARTITION BY actor ORDER BY time RANGE BETWEEN $near_reach PRECEDING AND CURRENT ROW
        ) AS factors_near,
        count(*) FILTER (WHERE removes) OVER (
          PARTITION BY actor ORDER BY time
          RANGE BETWEEN $toggle_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
        ) AS removed_before,
        count(*) FILTER (WHERE accepted) OVER (
          PARTITION BY actor, network ORDER BY time
          RANGE BETWEEN INTERVAL '60 days' PRECEDING AND INTERVAL '16 hours' PRECEDING
        ) AS here_before
      FROM (
        SELECT
          *,
          coalesce('AS' || CAST(asn AS VARCHAR), country) AS network,
          kind = 'session.mfa_changed' AND detail_text(detail, 'change') IN ('revoke', 'delete') AS removes,
          kind IN ('session.started', 'session.presented') AND (outcome IS DISTINCT FROM 'failure') AS accepted
        FROM events
        WHERE kind IN ('session.mfa_changed', 'session.mfa', 'session.started', 'session.presented', 'decision')
          AND actor IS NOT NULL
      )
    )
  )
)
WHERE kind = 'decision' AND outcome = 'allow' AND request IS NOT NULL AND evidence_change IS NOT NULL
