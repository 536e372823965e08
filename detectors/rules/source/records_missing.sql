/*
version: 1
title: "Records of {source} are missing or were changed: {missing}: {cause}"
severity: high
entity: the source
proof: itself
response: []
suppress_for: 1h
meaning: >-
  A source proves what it wrote by signatures and hashes, and something that it wrote is not there, or not as it was
  written. Whoever changes what was done in an account changes its log too. No rule has seen what is missing, and what was
  changed was read as it is now.
runbook:
  - "See what is missing and of which time: SELECT event_time, reason, detail FROM events WHERE kind = 'source.gap' AND source = '<source>'"
  - Look in the bucket itself whether the object is there, and in its versions who deleted or replaced it; a copy that is behind has it later.
  - See who stopped or changed the trail at that time, in the control plane of the account that the bucket is of.
  - Compare signatures and changes of that time with what signers, chains and the other accounts say.
false_positives:
  - A copy of the bucket that was not made in whole, or from which old days were taken out.
  - A life cycle of the bucket that deletes log files before their digests.
  - A new public key that is not in the operator's file yet.
  - A log file that was delivered hours late, which a backfill digest lists later.
  - An object that keywatch may not read, where the rights to the bucket or to its key were narrowed.
ccss: ["2.02.1.2", "2.02.3.2"]
attack: [T1070, T1565.001]
parameters: {}
*/
SELECT
  event_id,
  source AS entity,
  source,
  detail_text(detail, 'missing') AS missing,
  detail_text(detail, 'cause') AS cause
FROM events
WHERE kind = 'source.gap' AND detail_text(detail, 'missing') IS NOT NULL
