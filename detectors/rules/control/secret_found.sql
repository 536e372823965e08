/*
version: 1
title: "A secret ({rule}) stands in {place}, and {standing}"
severity: medium
entity: the place of the secret
needs: [control.secret]
proof: corroborated
response: []
suppress_for: 1d
meaning: >-
  A scanner found a secret in a repository: one that it could sign on with, or one that was committed just now. Whoever can
  read the repository can use it, from anywhere and as somebody else.
runbook:
  - Revoke the secret first and ask later; taking the commit out hides nothing, since others have it.
  - "See what was done with it, where it is of a cloud: SELECT time, source, kind, actor, ip, detail FROM events WHERE actor LIKE '%<principal>%' ORDER BY time DESC"
  - Issue a new one to whoever needs it, from a store of secrets, and bind it to where it is used.
false_positives:
  - An example, or a secret of a test that opens nothing. Tell the scanner.
ccss: ["1.05.2.1", "2.02.3.2"]
attack: [T1552.001]
parameters:
  fresh:
    type: duration
    default: 7 days
    meaning: how old a commit may be whose finding the scanner did not verify
*/
SELECT
  event_id,
  concat(coalesce(repository, ''), ' ', coalesce(place, event_id)) AS entity,
  actor,
  coalesce(detail_text(detail, 'rule'), 'unknown') AS rule,
  coalesce(place, 'a repository') AS place,
  repository,
  detail_text(detail, 'commit') AS commit_id,
  CASE WHEN outcome = 'verified' THEN 'it works' ELSE 'it was committed just now' END AS standing
FROM (
  SELECT *, detail_text(detail, 'place') AS place, detail_text(detail, 'repository') AS repository
  FROM events
  WHERE kind = 'control.secret'
)
-- A first scan of an old repository finds years; of those only what works is worth a person.
WHERE outcome = 'verified' OR event_time > time - $fresh
