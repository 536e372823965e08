/*
meaning: >-
  Events that name something the inventory lists among `indicators`, as long as it is not expired. A destination counts where
  somebody of the system may have named it, and not where a stranger had a contract say so: in a transfer of nothing out of
  a wallet, in a transfer or approval of a token that is neither known by a symbol nor declared and in whose transaction the
  wallet had no part, in a call that a multisig refused.
columns:
  indicator: what is warned of
  warning: the label of the indicator
  is_received: >-
    an address that is warned of sent something to a wallet, and nothing else of the event is warned of: anybody may do
    that to any wallet
parameters: {}
*/
SELECT
  *,
  coalesce(of_destination, of_origin, of_ip, of_session, of_tx, of_device) AS indicator,
  CASE
    WHEN of_destination IS NOT NULL THEN destination_label
    WHEN of_origin IS NOT NULL THEN origin_label
    WHEN of_ip IS NOT NULL THEN ip_label
    WHEN of_session IS NOT NULL THEN session_label
    WHEN of_tx IS NOT NULL THEN tx_label
    ELSE device_label
  END AS warning,
  kind = 'chain.transfer' AND detail_text(detail, 'direction') = 'in' AND of_origin IS NOT NULL
    AND coalesce(of_destination, of_ip, of_session, of_tx, of_device) IS NULL AS is_received
FROM (
  SELECT
    e.*,
    -- Expired, an indicator is none. Log time counts whole seconds here.
    CASE
      WHEN NOT is_hearsay AND (t.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < t.expires_at) THEN t.indicator
    END AS of_destination,
    CASE WHEN f.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < f.expires_at THEN f.indicator END AS of_origin,
    CASE WHEN i.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < i.expires_at THEN i.indicator END AS of_ip,
    CASE WHEN s.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < s.expires_at THEN s.indicator END AS of_session,
    CASE WHEN x.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < x.expires_at THEN x.indicator END AS of_tx,
    CASE WHEN d.expires_at = 0 OR CAST(e.time AS BIGINT) / 1000000000 < d.expires_at THEN d.indicator END AS of_device,
    t.label AS destination_label,
    f.label AS origin_label,
    i.label AS ip_label,
    s.label AS session_label,
    x.label AS tx_label,
    d.label AS device_label
  FROM (
    SELECT
      c.*,
      coalesce(
        CASE
          WHEN kind = 'chain.transfer' THEN detail_text(detail, 'direction') = 'out' AND (amount = 0 OR (is_unknown AND acted = 0))
          WHEN kind = 'chain.approval' THEN detail_text(detail, 'through') IS NULL AND is_unknown AND acted = 0
          WHEN kind = 'chain.tx' THEN outcome = 'failed' AND request IS NULL AND actor <> wallet
        END,
        false
      ) AS is_hearsay
    FROM (
      SELECT d.*, char_length(d.asset) >= 20 AND a.asset IS NULL AS is_unknown
      FROM (
        SELECT
          *,
          -- A wallet's own transaction is told before what is in it.
          count(*) FILTER (WHERE kind = 'chain.tx' AND outcome = 'success') OVER (
            PARTITION BY wallet, tx ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW
          ) AS acted
        FROM events
        WHERE kind IN (
          'chain.approval', 'chain.transfer', 'chain.tx', 'decision', 'session.mfa', 'session.presented', 'session.started',
          'signing.approved', 'signing.requested', 'signing.signed'
        )
      ) AS d
      LEFT JOIN assets AS a ON a.system = d.system AND a.chain = d.chain AND a.asset = d.asset
    ) AS c
  ) AS e
  LEFT JOIN indicators AS t ON t.system = e.system AND t.indicator = e.to_address
  LEFT JOIN indicators AS f ON f.system = e.system AND f.indicator = e.from_address
  LEFT JOIN indicators AS i ON i.system = e.system AND i.indicator = e.ip
  LEFT JOIN indicators AS s ON s.system = e.system AND s.indicator = e.session
  LEFT JOIN indicators AS x ON x.system = e.system AND x.indicator = e.tx
  LEFT JOIN indicators AS d ON d.system = e.system AND d.indicator = e.device
)
WHERE coalesce(of_destination, of_origin, of_ip, of_session, of_tx, of_device) IS NOT NULL
