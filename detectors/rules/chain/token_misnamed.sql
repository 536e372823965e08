/*
version: 3
title: "Token {token} calls itself {symbol} with {decimals} decimals: {what}"
severity: medium
entity: the token
proof: corroborated
needs: [node]
without_history: >-
  Judged from the first answer of a contract on; that an answer changed needs an earlier one.
response: []
suppress_for: 1d
meaning: >-
  A token that moved from or to a wallet says something about itself that is not so, and it matters here: it carries or imitates
  the name of one that the inventory declares, it is declared and counts its units otherwise or says something else than before, as
  a contract does whose code was exchanged, or a wallet has called it. Whoever reads a list of transfers takes it for what it is
  not. Of tokens that nobody declared and no wallet touched `chain/token_lookalike` tells.
runbook:
  - "See what moved: SELECT time, kind, wallet, from_address, to_address, asset, amount, tx FROM events WHERE detail LIKE '%<token>%' ORDER BY time DESC LIMIT 50"
  - Credit nobody for it, and send none of it, until somebody has compared the contract's address with its issuer's own page.
  - The inventory is wrong. Correct `decimals` or `symbol` of the asset, by two persons; titles and pages follow.
  - A token that you hold changed its answer. Treat it as upgraded, and find out by whom.
false_positives:
  - A declared token's name on a token that was sent to everybody; nothing is lost as long as nobody credits or sends it.
  - The same token on another contract, as bridges and new versions have it; declare both, with symbols that differ.
ccss: ["2.02.4.1"]
attack: [T1036]
parameters: {}
*/
SELECT
  event_id,
  token AS entity,
  wallet,
  tx,
  chain,
  asset,
  token,
  symbol,
  decimals,
  what
FROM (
  SELECT
    e.*,
    own.asset IS NOT NULL OR as_named.asset IS NOT NULL OR by_symbol.asset IS NOT NULL OR by_name.asset IS NOT NULL AS is_of_declared,
    CASE
      WHEN coalesce(own.decimals, as_named.decimals) <> e.decimals THEN 'the inventory says other decimals'
      WHEN e.symbol <> e.symbol_before OR e.decimals <> e.decimals_before THEN 'it said something else before'
      WHEN own.asset IS NULL AND as_named.asset IS NULL AND (by_symbol.asset IS NOT NULL OR by_name.asset IS NOT NULL)
        THEN 'the inventory has another token of that name'
      -- Well-known tokens have their symbol as the asset; what has its address there is another contract.
      WHEN own.asset IS NULL AND as_named.asset IS NULL AND e.chain = 'ethereum' AND e.named = e.token
        AND e.spelled IN ('ETH', 'BTC', 'USDT', 'USDC', 'DAI', 'WETH', 'WBTC', 'STETH')
        THEN 'a well-known token of that name is another'
      WHEN own.asset IS NULL AND as_named.asset IS NULL AND e.said = 'disguised' THEN 'with letters beyond the plain ones'
    END AS what
  FROM (
    SELECT
      *,
      -- As it is read: capitals and blanks make no other name.
      upper(trim(last_value(reading_said) IGNORE NULLS OVER so_far)) AS spelled,
      last_value(symbol_said) IGNORE NULLS OVER so_far AS symbol,
      last_value(decimals_said) IGNORE NULLS OVER so_far AS decimals,
      last_value(outcome_said) IGNORE NULLS OVER so_far AS said,
      -- What events call it: the symbol of a well-known one, else the contract. The inventory may declare it by either.
      last_value(named_said) IGNORE NULLS OVER so_far AS named,
      lag(symbol_said) IGNORE NULLS OVER (PARTITION BY chain, token ORDER BY time) AS symbol_before,
      lag(decimals_said) IGNORE NULLS OVER (PARTITION BY chain, token ORDER BY time) AS decimals_before
    FROM (
      SELECT
        *,
        CASE WHEN kind = 'chain.asset' THEN detail_text(detail, 'token') ELSE detail_text(detail, 'to') END AS token,
        CASE WHEN kind = 'chain.asset' THEN detail_text(detail, 'symbol') END AS symbol_said,
        CASE WHEN kind = 'chain.asset' THEN coalesce(detail_text(detail, 'reads_as'), detail_text(detail, 'symbol')) END
          AS reading_said,
        CASE WHEN kind = 'chain.asset' THEN detail_int(detail, 'decimals') END AS decimals_said,
        CASE WHEN kind = 'chain.asset' THEN outcome END AS outcome_said,
        CASE WHEN kind = 'chain.asset' THEN lower(coalesce(asset, detail_text(detail, 'token'))) END AS named_said
      FROM events
      -- What a wallet did is its own transaction: a token writes into its log whatever it likes.
      WHERE kind = 'chain.asset' OR (kind IN ('chain.tx', 'chain.module_tx') AND outcome = 'success' AND wallet IS NOT NULL)
    )
    WHERE token IS NOT NULL
    WINDOW so_far AS (PARTITION BY chain, token ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
  ) AS e
  LEFT JOIN assets AS own ON own.system = e.system AND own.chain = e.chain AND lower(own.asset) = e.token
  LEFT JOIN assets AS as_named ON as_named.system = e.system AND as_named.chain = e.chain AND lower(as_named.asset) = e.named
  LEFT JOIN assets AS by_symbol ON by_symbol.system = e.system AND by_symbol.chain = e.chain AND upper(by_symbol.symbol) = e.spelled
  LEFT JOIN assets AS by_name ON by_name.system = e.system AND by_name.chain = e.chain AND upper(by_name.asset) = e.spelled
)
WHERE what IS NOT NULL AND (is_of_declared OR kind <> 'chain.asset')
