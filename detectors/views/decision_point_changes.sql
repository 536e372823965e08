/*
meaning: >-
  Looks at replicas of the decision point that found a part of them changed, beside what pipelines and people announced around
  that time.
columns:
  part: policies, data or configuration
  sha256: the hash of the part now
  sha256_before: the hash at the look before
  names: which policies changed, to stand behind a sentence; empty where that is not known
  announcements: >-
    deployments and changes that succeeded within `lead` before or `delay` after and name the decision point, its policies or
    its bundle
  announced_here: those of them whose target is this replica
  contents_before: >-
    different contents that the part had changed to unannounced between thirty days and twelve hours before; what is released
    is no custom of changing it otherwise
  is_still: >-
    the part was looked at a week ago or earlier, and did not change unannounced between thirty days and twelve hours before
parameters:
  lead:
    type: duration
    default: 1 hour
    meaning: how long before a change it may have been announced
  delay:
    type: duration
    default: 15 minutes
    meaning: how long after a change its announcement may arrive
  names:
    type: text
    default: opa|pdp|rego|bundle|bundles
    meaning: >-
      words, with `|` between them, of which the target or the repository of an announcement has to hold one, in small
      letters; the source of the replica's `pdp.state` as a target does too, and for a deployment `policy` and `policies`
  parts:
    type: text_list
    default: [policies, data, config]
    meaning: which parts are asked for an announcement
*/
SELECT
  *,
  CASE WHEN changed_policies IS NULL THEN '' ELSE ': ' || changed_policies END AS names,
  contents_before = 0 AND least(looked_at_since, TIMESTAMP '2200-01-01') + INTERVAL '7 days' <= time AS is_still
FROM (
  SELECT
    *,
    count(DISTINCT CASE WHEN announcements = 0 AND announced_here = 0 THEN sha256 END) OVER (
      PARTITION BY part ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND INTERVAL '12 hours' PRECEDING
    ) AS contents_before
  FROM (
    SELECT
      *,
      count(*) FILTER (WHERE kind <> 'pdp.state' AND outcome = 'success' AND is_named) OVER (
        PARTITION BY system ORDER BY time RANGE BETWEEN $lead PRECEDING AND $delay FOLLOWING
      ) AS announcements,
      count(*) FILTER (WHERE kind <> 'pdp.state' AND outcome = 'success') OVER (
        PARTITION BY place ORDER BY time RANGE BETWEEN $lead PRECEDING AND $delay FOLLOWING
      ) AS announced_here,
      min(CASE WHEN kind = 'pdp.state' THEN time END) OVER (PARTITION BY part ORDER BY time) AS looked_at_since
    FROM (
      SELECT
        *,
        CASE WHEN kind = 'pdp.state' THEN lower(source) ELSE lower(detail_text(detail, 'target')) END AS place,
        regexp_like(said, '[^a-z](' || $names || ')[^a-z]')
          OR (kind = 'control.deploy' AND regexp_like(said, '[^a-z](policy|policies)[^a-z]')) AS is_named,
        coalesce(detail_text(detail, 'part'), 'something') AS part,
        detail_text(detail, 'sha256') AS sha256,
        detail_text(detail, 'before') AS sha256_before,
        detail_text(detail, 'policies') AS changed_policies
      FROM (
        SELECT
          *,
          ' ' || lower(concat(detail_text(detail, 'target'), ' ', detail_text(detail, 'repository'))) || ' ' AS said
        FROM events
        WHERE kind IN ('pdp.state', 'control.deploy', 'control.policy')
      )
    )
  )
  WHERE kind = 'pdp.state' AND outcome = 'changed'
)
WHERE part IN $parts
