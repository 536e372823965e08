/*
meaning: >-
  What the contracts of tokens call themselves, and what wallets did with those contracts, beside the names that the
  inventory declares. A row is an answer of a contract (`chain.asset`), or a transaction of a wallet to one that has answered.
columns:
  token: address of the token's contract
  symbol: what it called itself last
  decimals: how many decimals it said last
  spelled: its symbol as it is read, in capitals and without blanks around it
  is_declared: >-
    the inventory has this contract, by its address or by the symbol under which keywatch tells of it, as it does of
    well-known tokens
  is_of_declared: the inventory has this contract, or another one of that name
  is_touched: a wallet has sent a transaction to the contract, with this row or before
  what: what is not as it should be, null where nothing is
parameters: {}
*/
SELECT
  *,
  is_declared OR is_named_as_declared AS is_of_declared,
  calls > 0 AS is_touched,
  CASE
    WHEN decimals_declared <> decimals THEN 'the inventory says other decimals'
    WHEN symbol <> symbol_before OR decimals <> decimals_before THEN 'it said something else before'
    WHEN NOT is_declared AND is_named_as_declared THEN 'the inventory has another token of that name'
    -- Well-known tokens are told of by their symbol; what is told of by its address is another contract.
    WHEN NOT is_declared AND chain = 'ethereum' AND told_as = token
      AND spelled IN ('ETH', 'BTC', 'USDT', 'USDC', 'DAI', 'WETH', 'WBTC', 'STETH')
      THEN 'a well-known token of that name is another'
    WHEN NOT is_declared AND said = 'disguised' THEN 'with letters beyond the plain ones'
  END AS what
FROM (
  SELECT
    e.*,
    by_address.asset IS NOT NULL OR by_told.asset IS NOT NULL AS is_declared,
    coalesce(by_address.decimals, by_told.decimals) AS decimals_declared,
    by_symbol.asset IS NOT NULL OR by_name.asset IS NOT NULL AS is_named_as_declared
  FROM (
    SELECT
      *,
      -- As it is read: capitals and blanks make no other name.
      upper(trim(last_value(reading_said) IGNORE NULLS OVER so_far)) AS spelled,
      last_value(symbol_said) IGNORE NULLS OVER so_far AS symbol,
      last_value(decimals_said) IGNORE NULLS OVER so_far AS decimals,
      last_value(outcome_said) IGNORE NULLS OVER so_far AS said,
      last_value(asset_said) IGNORE NULLS OVER so_far AS told_as,
      count(*) FILTER (WHERE kind <> 'chain.asset') OVER so_far AS calls,
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
        CASE WHEN kind = 'chain.asset' THEN asset END AS asset_said
      FROM events
      -- What a wallet did is its own transaction: a token writes into its log whatever it likes.
      WHERE kind = 'chain.asset' OR (kind IN ('chain.tx', 'chain.module_tx') AND outcome = 'success' AND wallet IS NOT NULL)
    )
    WHERE token IS NOT NULL
    WINDOW so_far AS (PARTITION BY chain, token ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
  ) AS e
  LEFT JOIN assets AS by_address
    ON by_address.system = e.system AND by_address.chain = e.chain AND lower(by_address.asset) = e.token
  LEFT JOIN assets AS by_told ON by_told.system = e.system AND by_told.chain = e.chain AND by_told.asset = e.told_as
  LEFT JOIN assets AS by_symbol
    ON by_symbol.system = e.system AND by_symbol.chain = e.chain AND upper(by_symbol.symbol) = e.spelled
  LEFT JOIN assets AS by_name ON by_name.system = e.system AND by_name.chain = e.chain AND upper(by_name.asset) = e.spelled
)
