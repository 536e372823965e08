/*
meaning: >-
  Decisions and signatures, and what keywatch itself asked of decision points meanwhile: its canaries and the probes of its
  revocations are decided, and logged, as everybody's questions are.
columns:
  path: the path that was decided
  replica: the source, and which process of Open Policy Agent it was where that is told
  is_query_of_own: >-
    keywatch asked a replica what it holds, or for its revocations, which is logged there too and is no decision of anybody's
  canaries: canaries that this decision answered
  probings: >-
    revocations that were published or verified in the same five minutes of the clock as this row's source claims; keywatch
    asks its probes then
parameters: {}
*/
SELECT
  *,
  -- Canaries are asked at each replica, standby or not, and are known by the decision that answered them.
  count(*) FILTER (WHERE kind = 'pdp.canary' AND decision IS NOT NULL) OVER (
    PARTITION BY decision ORDER BY time
    RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND INTERVAL '5 minutes' FOLLOWING
  ) AS canaries,
  -- The times of probes are about those of the records of their revocation.
  count(*) FILTER (WHERE kind LIKE 'response.%') OVER (
    PARTITION BY slot ORDER BY time
    RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND INTERVAL '5 minutes' FOLLOWING
  ) AS probings
FROM (
  SELECT
    *,
    CAST(event_time AS BIGINT) / 300000000000 AS slot,
    detail_text(detail, 'path') AS path,
    coalesce(source || ' ' || detail_text(detail, 'labels.id'), source) AS replica,
    detail_text(detail, 'query') IS NOT NULL
      OR coalesce(detail_text(detail, 'path'), 'none') IN ('revocations', 'revocations/meta') AS is_query_of_own
  FROM events
  WHERE kind IN ('decision', 'signing.signed', 'pdp.canary', 'response.published', 'response.verified')
)
