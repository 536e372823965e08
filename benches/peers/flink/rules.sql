-- The shipped rules that Flink SQL can say, said in it. Names and constants are theirs. What differs:
--   frames end at CURRENT ROW (in the keywatch rules of this bench too), parameters are filled in, FILTER is CASE,
--   several windows of one SELECT are nested SELECTs, detail_* is JSON_VALUE, Flink's LAST_VALUE and FIRST_VALUE skip nulls.
-- Each statement is one rule, named in the line before it.

-- chain/amount_outlier
SELECT event_id, wallet || ' ' || asset AS entity FROM (
  SELECT *,
    MAX(CASE WHEN outcome = 'success' THEN amount END) OVER earlier AS largest_before,
    COUNT(CASE WHEN outcome = 'success' THEN amount END) OVER earlier AS moved_before
  FROM events
  WHERE wallet IS NOT NULL AND asset IS NOT NULL AND amount > 0
    AND (kind = 'chain.tx' OR (kind = 'chain.transfer' AND JSON_VALUE(detail, '$.direction') = 'out'))
  WINDOW earlier AS (PARTITION BY wallet, chain, asset ORDER BY `time` RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE (outcome IS NULL OR outcome <> 'failed') AND moved_before >= 3 AND amount > largest_before
  AND amount / 5 > largest_before;

-- chain/fee_outlier
SELECT event_id, wallet AS entity FROM (
  SELECT *,
    MAX(CASE WHEN outcome = 'success' THEN fee_rate END) OVER earlier AS usual,
    COUNT(CASE WHEN outcome = 'success' THEN fee_rate END) OVER earlier AS fees_before
  FROM (
    SELECT *, CAST(JSON_VALUE(detail, '$.fee_rate') AS BIGINT) AS fee_rate FROM events
    WHERE kind = 'chain.tx' AND wallet IS NOT NULL
  )
  WINDOW earlier AS (PARTITION BY wallet, chain ORDER BY `time` RANGE BETWEEN INTERVAL '90' DAY PRECEDING AND CURRENT ROW)
)
WHERE (outcome IS NULL OR outcome <> 'failed') AND fees_before >= 3 AND fee_rate / 5 > usual;

-- policy/duplicate_approver
SELECT event_id, COALESCE(request, session, decision, event_id) AS entity FROM (
  SELECT *,
    CAST(JSON_VALUE(detail, '$.approvals') AS BIGINT) AS approvals,
    CAST(JSON_VALUE(detail, '$.approvers_distinct') AS BIGINT) AS approvers_distinct
  FROM events WHERE kind = 'decision' AND outcome = 'allow'
)
WHERE approvals >= 2 AND approvers_distinct < 2;

-- policy/malformed_input_allowed
SELECT event_id, COALESCE(session, request, decision, event_id) AS entity FROM (
  SELECT *,
    CASE
      WHEN amount_type NOT IN ('number', 'masked') THEN 'its amount is ' || amount_type
      WHEN amount_type = 'number' AND JSON_VALUE(detail, '$.amount_positive') = 'false' THEN 'its amount is not above zero'
      WHEN risk_type NOT IN ('number', 'masked') THEN 'its destination risk is ' || risk_type
      WHEN approvals_type NOT IN ('array', 'absent', 'masked') THEN 'its approvals are ' || approvals_type
    END AS fault
  FROM (
    SELECT *,
      JSON_VALUE(detail, '$.amount_type') AS amount_type,
      JSON_VALUE(detail, '$.risk_type') AS risk_type,
      JSON_VALUE(detail, '$.approvals_type') AS approvals_type
    FROM events
    WHERE kind = 'decision' AND outcome = 'allow' AND (request IS NOT NULL OR wallet IS NOT NULL)
  )
)
WHERE fault IS NOT NULL;

-- policy/self_approval
SELECT event_id, COALESCE(request, session, decision, event_id) AS entity FROM (
  SELECT *, COALESCE(CAST(JSON_VALUE(detail, '$.approvers_distinct') AS BIGINT), 0) AS approvers_distinct
  FROM events
  WHERE kind = 'decision' AND outcome = 'allow' AND JSON_VALUE(detail, '$.self_approved') = 'true'
)
WHERE approvers_distinct <= 2;

-- session/factor_changed_before_signing
SELECT event_id, actor AS entity FROM (
  SELECT *, LAST_VALUE(CASE WHEN kind = 'session.mfa_changed' THEN event_id END) OVER earlier AS evidence_change
  FROM events WHERE kind IN ('session.mfa_changed', 'decision') AND actor IS NOT NULL
  WINDOW earlier AS (PARTITION BY actor ORDER BY `time` RANGE BETWEEN INTERVAL '24' HOUR PRECEDING AND CURRENT ROW)
)
WHERE kind = 'decision' AND outcome = 'allow' AND request IS NOT NULL AND evidence_change IS NOT NULL;

-- session/posture_worsened
SELECT event_id, open_session AS entity FROM (
  SELECT *,
    COALESCE(session, CASE WHEN last_act NOT IN ('session.ended', 'session.revoked') THEN last_session END) AS open_session
  FROM (
    SELECT *,
      LAST_VALUE(CASE WHEN known THEN outcome END) OVER check_before AS before_check
    FROM (
      SELECT *,
        LAST_VALUE(CASE WHEN known THEN outcome END) OVER whole_before AS before_whole,
        LAST_VALUE(CASE WHEN lives THEN session END) OVER whole_before AS last_session,
        LAST_VALUE(CASE WHEN lives THEN actor END) OVER whole_before AS last_actor,
        LAST_VALUE(CASE WHEN lives THEN kind END) OVER whole_before AS last_act,
        LAST_VALUE(CASE WHEN lives THEN event_id END) OVER whole_before AS evidence_session
      FROM (
        SELECT *,
          COALESCE(device, session) AS subject,
          JSON_VALUE(detail, '$.check') AS check_name,
          kind = 'session.posture' AND outcome IN ('compliant', 'not_compliant') AS known,
          kind <> 'session.posture' AND session IS NOT NULL AND (outcome IS NULL OR outcome <> 'failure') AS lives
        FROM events
        WHERE kind IN ('session.started', 'session.presented', 'session.ended', 'session.revoked', 'session.posture')
          AND (device IS NOT NULL OR session IS NOT NULL)
      )
      WINDOW whole_before AS
        (PARTITION BY subject ORDER BY `time` RANGE BETWEEN INTERVAL '12' HOUR PRECEDING AND CURRENT ROW)
    )
    WINDOW check_before AS
      (PARTITION BY subject, check_name ORDER BY `time` RANGE BETWEEN INTERVAL '12' HOUR PRECEDING AND CURRENT ROW)
  )
)
WHERE kind = 'session.posture' AND outcome = 'not_compliant' AND open_session IS NOT NULL
  AND COALESCE(before_check, before_whole) = 'compliant';

-- session/two_places
SELECT event_id, session AS entity, COALESCE(evidence_country, evidence_asn) AS evidence_before FROM (
  SELECT *,
    COUNT(CASE WHEN accepted THEN 1 END) OVER
      (PARTITION BY session, asn ORDER BY `time` RANGE BETWEEN INTERVAL '24' HOUR PRECEDING AND CURRENT ROW) AS asn_known
  FROM (
    SELECT *,
      COUNT(CASE WHEN accepted THEN 1 END) OVER
        (PARTITION BY session, country ORDER BY `time` RANGE BETWEEN INTERVAL '24' HOUR PRECEDING AND CURRENT ROW)
        AS country_known
    FROM (
      SELECT *,
        LAST_VALUE(CASE WHEN accepted THEN asn END) OVER hour_before AS asn_before,
        LAST_VALUE(CASE WHEN accepted AND asn IS NOT NULL THEN event_id END) OVER hour_before AS evidence_asn
      FROM (
        SELECT *,
          LAST_VALUE(CASE WHEN accepted THEN country END) OVER day_before AS country_before,
          LAST_VALUE(CASE WHEN accepted AND country IS NOT NULL THEN event_id END) OVER day_before AS evidence_country
        FROM (
          SELECT *, outcome IS NULL OR outcome NOT IN ('failure', 'deny', 'undefined', 'error') AS accepted
          FROM events
          WHERE kind IN ('session.started', 'session.presented', 'session.network', 'decision')
            AND session IS NOT NULL AND (country IS NOT NULL OR asn IS NOT NULL)
        )
        WINDOW day_before AS
          (PARTITION BY session ORDER BY `time` RANGE BETWEEN INTERVAL '24' HOUR PRECEDING AND CURRENT ROW)
      )
      WINDOW hour_before AS
        (PARTITION BY session ORDER BY `time` RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW)
    )
  )
)
WHERE (country <> country_before AND country_known = 0) OR (asn <> asn_before AND asn_known = 0);

-- session/use_after_end
SELECT event_id, session AS entity, evidence_end FROM (
  SELECT *,
    MIN(CASE WHEN kind IN ('session.ended', 'session.revoked') THEN event_time END) OVER earlier AS ended_at,
    FIRST_VALUE(CASE WHEN kind IN ('session.ended', 'session.revoked') THEN event_id END) OVER earlier AS evidence_end
  FROM events
  WHERE kind IN ('session.ended', 'session.revoked', 'session.presented', 'decision') AND session IS NOT NULL
  WINDOW earlier AS (PARTITION BY session ORDER BY `time` RANGE BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW)
)
WHERE ((kind = 'session.presented' AND (outcome IS NULL OR outcome <> 'failure')) OR (kind = 'decision' AND outcome = 'allow'))
  AND event_time > ended_at + INTERVAL '1' MINUTE;

-- signing/confirmation_mismatch
SELECT event_id, request AS entity, evidence_decision, allowed_session FROM (
  SELECT *,
    LAST_VALUE(CASE WHEN let_through THEN session END) OVER earlier AS allowed_session,
    LAST_VALUE(CASE WHEN let_through THEN event_id END) OVER earlier AS evidence_decision
  FROM (
    SELECT *, kind = 'decision' AND outcome = 'allow' AND session IS NOT NULL AS let_through
    FROM events WHERE kind IN ('decision', 'signing.approved') AND request IS NOT NULL
  )
  WINDOW earlier AS (PARTITION BY request ORDER BY `time` RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW)
)
WHERE kind = 'signing.approved' AND outcome = 'mismatch';

-- signing/first_delegatecall
SELECT event_id, subject AS entity FROM (
  SELECT *,
    COUNT(CASE WHEN operation = 1 THEN 1 END) OVER
      (PARTITION BY wallet, subject ORDER BY `time` RANGE BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW)
      AS shown_before
  FROM (
    SELECT *,
      COUNT(CASE WHEN executed AND operation = 1 THEN 1 END) OVER
        (PARTITION BY wallet, target ORDER BY `time` RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        AS delegated_before
    FROM (
      SELECT *,
        COUNT(CASE WHEN executed THEN 1 END) OVER
          (PARTITION BY wallet ORDER BY `time` RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS executed_before
      FROM (
        SELECT *,
          CAST(JSON_VALUE(detail, '$.operation') AS BIGINT) AS operation,
          COALESCE(JSON_VALUE(detail, '$.to'), to_address) AS target,
          COALESCE(request, tx) AS subject,
          kind = 'chain.tx' AND outcome = 'success' AS executed
        FROM events WHERE kind IN ('signing.requested', 'signing.signed', 'chain.tx') AND wallet IS NOT NULL
      )
    )
  )
)
WHERE operation = 1 AND subject IS NOT NULL AND executed_before >= 3 AND delegated_before = 0 AND shown_before = 0;

-- signing/nonce_conflict
SELECT event_id, wallet || ' ' || CAST(nonce AS VARCHAR) AS entity, evidence_other FROM (
  SELECT *,
    COUNT(*) OVER
      (PARTITION BY wallet, nonce, request ORDER BY `time` RANGE BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW)
      AS shown_before
  FROM (
    SELECT *,
      FIRST_VALUE(request) OVER nonce_so_far AS other_request,
      FIRST_VALUE(event_id) OVER nonce_so_far AS evidence_other
    FROM (
      SELECT *, CAST(JSON_VALUE(detail, '$.nonce') AS BIGINT) AS nonce
      FROM events
      WHERE kind IN ('signing.requested', 'signing.approved', 'signing.signed')
        AND wallet IS NOT NULL AND request IS NOT NULL AND JSON_VALUE(detail, '$.nonce') IS NOT NULL
        AND (COALESCE(JSON_VALUE(detail, '$.to'), to_address) = wallet
          AND JSON_VALUE(detail, '$.call.name') IS NULL
          AND (amount > 0) IS NOT TRUE
          AND (CAST(JSON_VALUE(detail, '$.operation') AS BIGINT) = 1) IS NOT TRUE) IS NOT TRUE
    )
    WINDOW nonce_so_far AS
      (PARTITION BY wallet, nonce ORDER BY `time` RANGE BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW)
  )
)
WHERE request <> other_request AND shown_before = 0;

-- signing/proposal_hash_mismatch
SELECT event_id, request AS entity FROM events WHERE kind = 'signing.requested' AND outcome = 'mismatch';

-- signing/request_altered
SELECT event_id, subject AS entity, evidence_asked, evidence_approved FROM (
  SELECT *,
    COALESCE(to_address <> asked_to, FALSE) OR COALESCE(amount <> asked_amount AND asset = asked_asset, FALSE)
      AS differs_from_asked,
    COALESCE(to_address <> approved_to, FALSE) OR COALESCE(amount <> approved_amount AND asset = approved_asset, FALSE)
      AS differs_from_approved
  FROM (
    SELECT *,
      LAST_VALUE(CASE WHEN asks THEN to_address END) OVER request_so_far AS asked_to,
      LAST_VALUE(CASE WHEN asks THEN amount END) OVER request_so_far AS asked_amount,
      LAST_VALUE(CASE WHEN asks THEN asset END) OVER request_so_far AS asked_asset,
      LAST_VALUE(CASE WHEN asks THEN event_id END) OVER request_so_far AS evidence_asked,
      LAST_VALUE(CASE WHEN approves THEN to_address END) OVER request_so_far AS approved_to,
      LAST_VALUE(CASE WHEN approves THEN amount END) OVER request_so_far AS approved_amount,
      LAST_VALUE(CASE WHEN approves THEN asset END) OVER request_so_far AS approved_asset,
      LAST_VALUE(CASE WHEN approves THEN event_id END) OVER request_so_far AS evidence_approved
    FROM (
      SELECT *,
        kind IN ('custody.request', 'signing.requested') AS asks,
        kind = 'signing.approved' AS approves,
        COALESCE(request, tx_request) AS subject
      FROM (
        SELECT *, LAST_VALUE(CASE WHEN kind = 'signing.signed' THEN request END) OVER tx_so_far AS tx_request
        FROM events
        WHERE kind IN ('custody.request', 'signing.requested', 'signing.approved', 'signing.signed', 'chain.tx')
          AND (request IS NOT NULL OR tx IS NOT NULL)
        WINDOW tx_so_far AS (PARTITION BY tx ORDER BY `time` RANGE BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW)
      )
    )
    WINDOW request_so_far AS
      (PARTITION BY subject ORDER BY `time` RANGE BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW)
  )
)
WHERE kind IN ('signing.signed', 'chain.tx') AND (outcome IS NULL OR outcome <> 'failed') AND subject IS NOT NULL
  AND (differs_from_asked OR differs_from_approved);

-- source/conflict
SELECT event_id, source AS entity, JSON_VALUE(detail, '$.conflicting_event') AS evidence_kept
FROM events WHERE kind = 'source.conflict';
