/*
meaning: >-
  Changes of policies, keys, identities, networks, logs and allow-lists that succeeded, beside the tickets of who made
  them.
columns:
  act: what was done, in the source's word
  target: what it was done to
  is_grave: >-
    a key that is there was changed, rotated, granted, exported or scheduled for deletion, or its policy was; a log was
    changed otherwise than by beginning it; or somebody got a way into a machine, changed a second factor or the vault of keys, or became root.
    What the source does not name is not known to be any of these
  ticket: the last outcome of a ticket of the actor within `life`, null where there was none
  opened_after: tickets of the actor that were opened within `delay` after the change
  tickets: tickets of anybody in the system within thirty days
  is_asked_of_actor: >-
    changes of this kind are made by this actor on tickets: at least half of those between thirty days and a day before were,
    or there were fewer than five of them
parameters:
  life:
    type: duration
    default: 3 days
    meaning: how long a ticket that nobody closed allows changes
  delay:
    type: duration
    default: 15 minutes
    meaning: how long after a change its ticket may still arrive
*/
SELECT
  *,
  alike_before < 5 OR on_tickets_before * 2 >= alike_before AS is_asked_of_actor,
  CASE
    WHEN detail_text(detail, 'act') IS NULL THEN false
    WHEN kind = 'control.key' THEN word NOT IN (
        'createkey', 'createalias', 'getpublickey', 'enablekey', 'enablekeyrotation', 'cancelkeydeletion', 'create', 'createcryptokey'
      )
      AND word NOT LIKE '%.createcryptokey'
      AND word NOT LIKE '%createimportjob'
    WHEN kind = 'control.logging' THEN word LIKE '%exclusion%' OR NOT regexp_like(word, 'create|start|enable|[.]activate$')
    ELSE regexp_like(word, 'sshpublickey|serialconsole|runcommand|begingetaccess|regeneratekey')
      OR regexp_like(word, '(setmetadata|setcommoninstancemetadata|mfadevice|2stepverification)$')
      OR regexp_like(word, '^(vault|microsoft[.]keyvault/|assumeroot$|leaveorganization$)')
  END AS is_grave
FROM (
  SELECT
    *,
    coalesce(detail_text(detail, 'act'), kind) AS act,
    lower(coalesce(detail_text(detail, 'act'), kind)) AS word,
    coalesce(detail_text(detail, 'target'), 'something') AS target,
    count(*) FILTER (WHERE outcome = 'success') OVER alike AS alike_before,
    -- A ticket that is told late was there.
    count(*) FILTER (WHERE outcome = 'success' AND (ticket = 'open' OR opened_after > 0)) OVER alike AS on_tickets_before
  FROM (
    SELECT
      *,
      last_value(CASE WHEN kind = 'custody.change' THEN outcome END) IGNORE NULLS OVER (
        PARTITION BY actor ORDER BY time RANGE BETWEEN $life PRECEDING AND CURRENT ROW
      ) AS ticket,
      -- A ticket that is closed right after the change still allowed it.
      count(*) FILTER (WHERE kind = 'custody.change' AND outcome = 'open') OVER (
        PARTITION BY actor ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND $delay FOLLOWING
      ) AS opened_after,
      count(*) FILTER (WHERE kind = 'custody.change') OVER (
        PARTITION BY system ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW
      ) AS tickets
    FROM events
    WHERE kind IN (
        'custody.change', 'control.policy', 'control.key', 'control.iam', 'control.network', 'control.logging',
        'control.destination'
      )
      AND actor IS NOT NULL
  )
  -- What somebody did within a day teaches nothing: the first hours of a theft would make the rest of it the custom.
  WINDOW alike AS (
    PARTITION BY actor, kind ORDER BY time RANGE BETWEEN INTERVAL '30 days' PRECEDING AND INTERVAL '1 day' PRECEDING
  )
)
WHERE kind <> 'custody.change' AND outcome = 'success'
