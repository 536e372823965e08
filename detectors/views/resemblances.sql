/*
meaning: >-
  Requests, transactions and transfers of wallets whose other side imitates somebody: it has the first and last characters of an
  address that the inventory has, or with which the wallet dealt before, and is another. Who plants a look-alike in a wallet's
  history does not thereby deal with it.
columns:
  counterparty: the address at the other side, of whom pays or of who is paid
  direction: out or in, of a transfer
  is_known: >-
    the asset is the chain's own, known by a symbol, declared, or one that the business asked for. Anybody can make another token
    and have it say what they like
  deals: >-
    value left for the counterparty, or came from it and was more than dust. What did not succeed, waits, or moves nothing is
    no dealing: anybody can have an honest token say that nothing left a stranger's wallet. Dust is less than a thousandth of
    the largest amount of the asset that ever moved from or to the wallet
  is_hollow: a transfer that is no payment of the wallet, so that a stranger may have made it
  told_today: another hollow transfer of a look-alike with the same ends stood in the wallet's history on the same day (UTC)
  imitated: the address that it looks like
  imitated_is: what that one is
  imitated_label: whose it is, where the inventory says so
  planted_in: >-
    the last transfer before, of nothing or of a known asset, that brought the counterparty into the wallet's history and was
    no dealing
parameters:
  resemblance_reach:
    type: duration
    default: 90 days
    meaning: how long an address with which a wallet dealt is one that can be imitated, beside those in the inventory
*/
SELECT
  e.*,
  coalesce(listed.address, named.wallet, e.dealt_with) AS imitated,
  CASE
    WHEN listed.address IS NOT NULL THEN 'an approved destination'
    WHEN named.wallet IS NOT NULL THEN 'a wallet of the system'
    ELSE 'with which the wallet dealt before'
  END AS imitated_is,
  listed.label AS imitated_label,
  CASE WHEN e.planted = e.counterparty THEN e.planted_last END AS planted_in,
  coalesce(CAST(e.hollow_last AS BIGINT) / 86400000000000 = CAST(e.time AS BIGINT) / 86400000000000, false) AS told_today
FROM (
  SELECT
    *,
    last_value(CASE WHEN is_hollow AND NOT is_ours AND ((dealt_with = counterparty) IS NOT TRUE) THEN time END) IGNORE NULLS OVER (
      PARTITION BY wallet, shape ORDER BY time
      RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    ) AS hollow_last
  FROM (
    SELECT
      *,
      -- Who was there first is imitated: that the wallet once paid the look-alike makes it no other. Who was paid comes before
      -- who paid: a stranger may send more than dust, and wait until the first payment to the other is out of reach.
      coalesce(
        first_value(CASE WHEN deals AND (direction = 'in') IS NOT TRUE THEN counterparty END) IGNORE NULLS OVER alike_before,
        first_value(CASE WHEN deals THEN counterparty END) IGNORE NULLS OVER alike_before
      ) AS dealt_with,
      last_value(CASE WHEN brings AND NOT deals THEN counterparty END) IGNORE NULLS OVER alike_before AS planted,
      last_value(CASE WHEN brings AND NOT deals THEN event_id END) IGNORE NULLS OVER alike_before AS planted_last
    FROM (
      SELECT
        *,
        coalesce(kind = 'chain.transfer' AND (amount = 0 OR (direction = 'in' AND is_known)), false) AS brings,
        kind = 'chain.transfer' AND (direction = 'in' OR ((is_known AND amount > 0) IS NOT TRUE)) AS is_hollow,
        coalesce(
          is_known
            AND amount > 0
            AND (outcome IS NULL OR outcome = 'success')
            AND (
              kind = 'chain.tx'
              OR direction = 'out'
              -- The product must stay within 38 digits whatever amounts a chain reports; beyond 10^34 they count as 10^34.
              OR least(amount, CAST('10000000000000000000000000000000000' AS DECIMAL(38, 0))) * 1000
                >= least(largest, CAST('10000000000000000000000000000000000' AS DECIMAL(38, 0)))
            ),
          false
        ) AS deals
      FROM (
        SELECT
          *,
          asset IS NULL OR char_length(asset) < 20 OR is_declared OR asked_for > 0 AS is_known
        FROM (
          SELECT
            *,
            count(*) FILTER (WHERE kind IN ('custody.request', 'signing.requested', 'signing.signed')) OVER (
              PARTITION BY asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS asked_for,
            max(amount) FILTER (WHERE kind = 'chain.transfer' AND (outcome IS NULL OR outcome = 'success')) OVER (
              PARTITION BY wallet, chain, asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS largest
          FROM (
            SELECT
              d.*,
              a.asset IS NOT NULL AS is_declared,
              approved.address IS NOT NULL OR own.wallet IS NOT NULL AS is_ours,
              lookalike_shape(d.counterparty) AS shape
            FROM (
              SELECT
                *,
                detail_text(detail, 'direction') AS direction,
                CASE
                  WHEN kind = 'chain.transfer' AND detail_text(detail, 'direction') = 'in' THEN from_address ELSE to_address
                END AS counterparty
              FROM events
              WHERE kind IN ('custody.request', 'signing.requested', 'signing.signed', 'chain.tx', 'chain.transfer')
                AND wallet IS NOT NULL
            ) AS d
            LEFT JOIN assets AS a ON a.system = d.system AND a.chain = d.chain AND a.asset = d.asset
            LEFT JOIN destinations AS approved ON approved.system = d.system AND approved.address = d.counterparty
            LEFT JOIN wallets AS own ON own.system = d.system AND own.wallet = d.counterparty
          )
        )
      )
      WHERE kind <> 'signing.signed' AND shape IS NOT NULL
    )
    WINDOW alike_before AS (
      PARTITION BY wallet, shape ORDER BY time
      RANGE BETWEEN $resemblance_reach PRECEDING AND INTERVAL '1 nanosecond' PRECEDING
    )
  )
) AS e
LEFT JOIN destinations AS listed ON listed.system = e.system AND lookalike_shape(listed.address) = e.shape
LEFT JOIN wallets AS named ON named.system = e.system AND lookalike_shape(named.wallet) = e.shape
WHERE NOT e.is_ours
  AND (listed.address IS NOT NULL OR named.wallet IS NOT NULL OR e.dealt_with <> e.counterparty)
