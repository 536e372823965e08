/*
version: 1
title: "Token {token} that nobody declared calls itself {symbol}: {what}"
severity: low
entity: the token
proof: corroborated
needs: [node]
without_history: >-
  Judged from the first answer of a contract on; that an answer changed needs an earlier one.
response: []
suppress_for: 1d
meaning: >-
  A token that nobody declared moved from or to a wallet under a name that is not its own: that of a well-known token, one with
  letters that only look like others, or another one than before. Such tokens are sent to everybody, so that somebody sells them,
  credits them or follows the address in their name. Nothing is lost by having one. Where a wallet calls it, or where it imitates
  a declared token, `chain/token_misnamed` tells.
runbook:
  - "See what moved: SELECT time, kind, wallet, from_address, to_address, asset, amount, tx FROM events WHERE detail LIKE '%<token>%' ORDER BY time DESC LIMIT 50"
  - Credit nobody for it, and send none of it, until somebody has compared the contract's address with its issuer's own page.
  - It is a token that you hold. Declare it in the inventory's `assets`, by its contract.
false_positives:
  - A token whose own name has a sign beyond the plain letters, such as a currency's.
  - The same token on another contract, as bridges and new versions have it; declare it.
ccss: ["2.02.4.1"]
attack: [T1036]
parameters:
  reach:
    type: duration
    default: 30 days
    meaning: how long before an answer the earlier one may lie that it is compared with
*/
SELECT
  event_id,
  token AS entity,
  chain,
  asset,
  token,
  symbol,
  decimals,
  what
FROM (
  SELECT
    e.*,
    own.asset IS NOT NULL OR by_symbol.asset IS NOT NULL OR by_name.asset IS NOT NULL AS is_of_declared,
    CASE
      WHEN own.decimals IS NOT NULL AND own.decimals <> e.decimals THEN 'the inventory says other decimals'
      WHEN e.symbol <> e.symbol_before OR e.decimals <> e.decimals_before THEN 'it said something else before'
      WHEN own.asset IS NULL AND (by_symbol.asset IS NOT NULL OR by_name.asset IS NOT NULL)
        THEN 'the inventory has another token of that name'
      -- Well-known tokens have their symbol as the asset; what has its address there is another contract.
      WHEN own.asset IS NULL AND e.chain = 'ethereum' AND e.is_unnamed
        AND e.spelled IN ('ETH', 'BTC', 'USDT', 'USDC', 'DAI', 'WETH', 'WBTC', 'STETH')
        THEN 'a well-known token of that name is another'
      WHEN own.asset IS NULL AND e.said = 'disguised' THEN 'with letters beyond the plain ones'
    END AS what
  FROM (
    SELECT
      *,
      upper(trim(coalesce(reads_as, symbol))) AS spelled,
      outcome AS said,
      asset = token AS is_unnamed,
      first_value(symbol) OVER so_far AS symbol_before,
      first_value(decimals) OVER so_far AS decimals_before
    FROM (
      SELECT
        *,
        detail_text(detail, 'token') AS token,
        detail_text(detail, 'symbol') AS symbol,
        detail_text(detail, 'reads_as') AS reads_as,
        detail_int(detail, 'decimals') AS decimals
      FROM events
      WHERE kind = 'chain.asset' AND detail_text(detail, 'token') IS NOT NULL
    )
    WINDOW so_far AS (PARTITION BY chain, token ORDER BY time RANGE BETWEEN $reach PRECEDING AND CURRENT ROW)
  ) AS e
  LEFT JOIN assets AS own ON own.system = e.system AND own.chain = e.chain AND lower(own.asset) = e.token
  LEFT JOIN assets AS by_symbol ON by_symbol.system = e.system AND by_symbol.chain = e.chain AND upper(by_symbol.symbol) = e.spelled
  LEFT JOIN assets AS by_name ON by_name.system = e.system AND by_name.chain = e.chain AND upper(by_name.asset) = e.spelled
)
WHERE what IS NOT NULL AND NOT is_of_declared
