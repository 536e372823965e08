/*
version: 3
title: "Token {token} calls itself {symbol} with {decimals} decimals: {what}"
severity: medium
entity: the token, or the chain and the name that is imitated where no wallet called it
proof: corroborated
needs: [node]
uses: [token_names]
without_history: >-
  Judged from the first answer of a contract on; that an answer changed needs an earlier one.
response: []
suppress_for: 1d
meaning: >-
  A token that moved from or to a wallet says something about itself that is not so, and it matters here: it carries or imitates
  the name of one that the inventory declares, it is declared and counts its units otherwise or says something else than before, as
  a contract does whose code was exchanged, or a wallet has called it. Whoever reads a list of transfers takes it for what it is
  not. Counterfeits of one declared token that nobody here called are one alert, however many contracts send them; one that a
  wallet called has an alert of its own. Of tokens that nobody declared and no wallet called `chain/token_lookalike` tells.
runbook:
  - "See what moved: SELECT time, kind, wallet, from_address, to_address, asset, amount, tx FROM events WHERE detail LIKE '%<token>%' ORDER BY time DESC LIMIT 50"
  - "Several contracts may stand behind one alert: SELECT time, wallet, detail FROM events WHERE kind = 'chain.asset' AND chain = '<chain>' ORDER BY time DESC LIMIT 50"
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
  CASE WHEN what = 'the inventory has another token of that name' AND NOT is_touched THEN chain || ' ' || spelled ELSE token END
    AS entity,
  wallet,
  tx,
  chain,
  asset,
  token,
  symbol,
  decimals,
  what
FROM token_names
WHERE what IS NOT NULL AND (is_of_declared OR is_touched)
