/*
meaning: >-
  Uses of a session at another place than the use before it, where the person has no habit of that place, with what
  speaks for and against it. Uses are taken in the order in which their sources date them: a record that arrives late
  says nothing of a journey.
columns:
  network: the autonomous system, or else the country
  country_moved: the country is another than at the use before, and was not used by this session in the last day
  network_moved: the same of the autonomous system, within `network_reach`
  device_moved: the device is another than at the use before
  quick: less than `network_reach` lies between the two uses
  impossible: >-
    nobody travels from the one country to the other in that time: on the ground at `ground_kmh`, or by air at
    `flight_kmh` with three hours on airports
  factor_passed: a second factor was passed in this session since the use before
parameters:
  country_reach:
    type: duration
    default: 24 hours
    meaning: how long a session remembers where it was
  network_reach:
    type: duration
    default: 1 hour
    meaning: within this time one session shall stay in one autonomous system
  habit_reach:
    type: duration
    default: 60 days
    meaning: how long a person's use of a network is remembered
  habit_age:
    type: duration
    default: 16 hours
    meaning: how old a use must be to count as one of another day
  ground_kmh:
    type: integer
    default: 300
    meaning: kilometres an hour that nobody exceeds on the ground
  flight_kmh:
    type: integer
    default: 900
    meaning: kilometres an hour that nobody exceeds in the air
*/
SELECT
  *,
  coalesce(country <> country_before AND country_known = 0, false) AS country_moved,
  coalesce(asn <> asn_before AND asn_known = 0 AND quick, false) AS network_moved,
  coalesce(device <> device_before, false) AS device_moved,
  coalesce(
    (CAST(event_time AS BIGINT) - CAST(dated_before AS BIGINT)) / 1000000000 < least(
      3600 * least_km(country, country_before) / $ground_kmh,
      3600 * least_km(country, country_before) / $flight_kmh + 10800
    ),
    false
  ) AS impossible,
  coalesce(factor_at > used_at, false) AS factor_passed
FROM (
  SELECT
    *,
    CAST(event_time AS BIGINT) - CAST(dated_before AS BIGINT) <= CAST(quick_until AS BIGINT) - CAST(time AS BIGINT)
      AS quick
  FROM (
    SELECT
      *,
      least(time, TIMESTAMP '2200-01-01') + $network_reach AS quick_until,
      -- An attempt that was refused does not make its place known.
      last_value(CASE WHEN accepted THEN country END) IGNORE NULLS OVER before AS country_before,
      last_value(CASE WHEN accepted THEN asn END) IGNORE NULLS OVER before AS asn_before,
      last_value(CASE WHEN accepted THEN ip END) IGNORE NULLS OVER before AS ip_before,
      last_value(CASE WHEN accepted THEN device END) IGNORE NULLS OVER before AS device_before,
      last_value(CASE WHEN accepted THEN event_time END) IGNORE NULLS OVER before AS dated_before,
      last_value(CASE WHEN accepted THEN event_id END) IGNORE NULLS OVER before AS evidence_before,
      last_value(CASE WHEN accepted THEN time END) IGNORE NULLS OVER before AS used_at,
      last_value(CASE WHEN kind = 'session.mfa' AND outcome = 'success' THEN time END) IGNORE NULLS OVER before
        AS factor_at,
      -- Told once for each new place, not at every turn while two users alternate.
      count(*) FILTER (WHERE accepted) OVER (
        PARTITION BY session, country ORDER BY time
        RANGE BETWEEN $country_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ) AS country_known,
      count(*) FILTER (WHERE accepted) OVER (
        PARTITION BY session, asn ORDER BY time
        RANGE BETWEEN $country_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
      ) AS asn_known,
      -- A habit is seen on another day and in another session: a stolen session must not teach where it is used.
      count(*) FILTER (WHERE accepted) OVER (
        PARTITION BY actor, network ORDER BY time RANGE BETWEEN $habit_reach PRECEDING AND $habit_age PRECEDING
      ) AS here_by_person,
      count(*) FILTER (WHERE accepted) OVER (
        PARTITION BY session, actor, network ORDER BY time RANGE BETWEEN $habit_reach PRECEDING AND $habit_age PRECEDING
      ) AS here_by_session
    FROM (
      SELECT
        *,
        coalesce('AS' || CAST(asn AS VARCHAR), country) AS network,
        kind <> 'session.mfa'
          AND (outcome IS NULL OR outcome NOT IN ('failure', 'deny', 'undefined', 'error', 'unknown')) AS accepted
      FROM events
      WHERE session IS NOT NULL
        AND (
          kind = 'session.mfa'
          OR (
            kind IN ('session.started', 'session.presented', 'session.network', 'decision')
            AND (country IS NOT NULL OR asn IS NOT NULL)
          )
        )
    )
    WINDOW before AS (
      PARTITION BY session ORDER BY time
      RANGE BETWEEN $country_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    )
  )
)
WHERE kind <> 'session.mfa'
  AND event_time >= dated_before
  AND (actor IS NULL OR here_by_person <= here_by_session)
