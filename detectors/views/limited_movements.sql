/*
meaning: >-
  Orders and requests to sign whose amount stays below the limit that the inventory has for the wallet and the asset, above which
  another approval is due.
columns:
  limit_amount: the limit, in base units
  movement: >-
    what names the movement in all its records: the request, or else the event itself
*/
SELECT *
FROM (
  SELECT
    e.*,
    CAST(l.amount AS DECIMAL(38, 0)) AS limit_amount,
    coalesce(e.request, e.event_id) AS movement
  FROM events AS e
  LEFT JOIN limits AS l ON l.system = e.system AND l.wallet = e.wallet AND l.asset = e.asset
  -- One movement has many records; the business's own order is the one that counts, else the request to the signer.
  WHERE e.kind IN ('custody.request', 'signing.requested')
    AND e.wallet IS NOT NULL
    AND e.asset IS NOT NULL
    AND (e.outcome IS DISTINCT FROM 'cancelled')
)
WHERE amount < limit_amount
