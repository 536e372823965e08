/*
version: 2
title: "Wallet {wallet} is empty of {asset}: {left} base units are left of {received}"
severity: high
entity: the wallet and the asset
proof: corroborated
needs: [node]
without_history: >-
  Quiet until the wallet's receipts of the asset are known to cover what left it: what it held before the log began is
  not known.
response: []
suppress_for: 1d
meaning: >-
  Nearly everything that this wallet ever received of an asset has left it, most of it within an hour, to addresses that
  are not the system's own. Businesses leave a rest for the next payment; thieves do not. Tokens that are neither known by a
  symbol nor declared nor asked for by the business are passed over: anybody can make one that says that it came and left.
runbook:
  - "List what left: SELECT time, tx, to_address, asset, amount FROM events WHERE wallet = '<wallet>' AND kind = 'chain.transfer' ORDER BY time DESC"
  - Compare with the balance on chain.
  - Look at the other assets and wallets of the system. `wallets_emptied` counts those emptied in the same hour.
  - Without an order for it, treat it as a theft under way. Hold the wallets, move what is left, call exchanges and issuers.
false_positives:
  - A wallet that is closed, or emptied by ordered payments until it is refilled.
ccss: ["1.05.8.1", "2.02.4.1"]
attack: [T1657]
parameters:
  rest_percent:
    type: integer
    default: 1
    meaning: the rest, in hundredths of what was received within ninety days, below which a wallet counts as empty
*/
SELECT
  event_id,
  wallet || ' ' || asset AS entity,
  actor,
  wallet,
  request,
  tx,
  amount,
  to_address,
  asset,
  received,
  left_now AS left,
  wallets_emptied
FROM (
  SELECT
    *,
    count(DISTINCT CASE WHEN empties THEN wallet END) OVER (
      ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW
    ) AS wallets_emptied
  FROM (
    SELECT
      *,
      received - sent AS left_now,
      coalesce(
        goes_out
          -- Anybody can make a token of their own report transfers to and from a stranger's wallet. What came before the business
          -- asked for it came all the same.
          AND (char_length(asset) < 20 OR asset_declared OR dealt_in > 0)
          AND received > 0
          AND sent <= received
          -- Products stay within 38 digits whatever amounts a chain reports; beyond 10^35 they count as 10^35.
          AND least(greatest(received - sent, 0), CAST('100000000000000000000000000000000000' AS DECIMAL(38, 0))) * 100
            <= least(received_lately, CAST('100000000000000000000000000000000000' AS DECIMAL(38, 0))) * $rest_percent
          AND least(sent_within_hour, CAST('100000000000000000000000000000000000' AS DECIMAL(38, 0))) * 2
            > least(received_lately, CAST('100000000000000000000000000000000000' AS DECIMAL(38, 0))),
        false
      ) AS empties
    FROM (
      SELECT
        *,
        sum(CASE WHEN direction = 'in' THEN amount END) OVER so_far AS received,
        sum(CASE WHEN direction = 'out' THEN amount END) OVER so_far AS sent,
        sum(CASE WHEN direction = 'in' THEN amount END) OVER (
          PARTITION BY wallet, chain, asset ORDER BY time RANGE BETWEEN INTERVAL '90 days' PRECEDING AND CURRENT ROW
        ) AS received_lately,
        sum(CASE WHEN goes_out THEN amount END) OVER (
          PARTITION BY wallet, chain, asset ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW
        ) AS sent_within_hour
      FROM (
        SELECT
          *,
          count(*) FILTER (WHERE kind <> 'chain.transfer') OVER (
            PARTITION BY asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS dealt_in
        FROM (
          SELECT
            e.*,
            detail_text(e.detail, 'direction') AS direction,
            detail_text(e.detail, 'direction') = 'out' AND own.wallet IS NULL AS goes_out,
            a.asset IS NOT NULL AS asset_declared
          FROM events AS e
          LEFT JOIN wallets AS own ON own.system = e.system AND own.wallet = e.to_address
          LEFT JOIN assets AS a ON a.system = e.system AND a.chain = e.chain AND a.asset = e.asset
          WHERE e.kind IN ('custody.request', 'signing.requested', 'signing.signed', 'chain.transfer')
            AND e.wallet IS NOT NULL
            AND e.asset IS NOT NULL
        )
      )
      WHERE kind = 'chain.transfer' AND amount > 0 AND (outcome IS NULL OR outcome = 'success')
      WINDOW so_far AS (
        PARTITION BY wallet, chain, asset ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      )
    )
  )
)
WHERE empties
