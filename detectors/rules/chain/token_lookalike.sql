/*
version: 2
title: "Token {token} that nobody declared calls itself {symbol}: {what}"
severity: low
entity: the chain and the name as it is read
proof: corroborated
needs: [node]
uses: [token_names]
without_history: >-
  Judged from the first answer of a contract on; that an answer changed needs an earlier one.
response: []
suppress_for: 1d
meaning: >-
  A token that nobody declared moved from or to a wallet under a name that is not its own: that of a well-known token, one with
  letters that only look like others, or another one than before. Such tokens are sent to everybody, so that somebody sells them,
  credits them or follows the address in their name. Nothing is lost by having one. Tokens that are read alike are one alert.
  Where a wallet calls one, or where it imitates a declared token, `chain/token_misnamed` tells.
runbook:
  - "See what moved: SELECT time, kind, wallet, from_address, to_address, asset, amount, tx FROM events WHERE detail LIKE '%<token>%' ORDER BY time DESC LIMIT 50"
  - Credit nobody for it, and send none of it, until somebody has compared the contract's address with its issuer's own page.
  - It is a token that you hold. Declare it in the inventory's `assets`, by its contract.
false_positives:
  - A token whose own name has a sign beyond the plain letters, such as a currency's.
  - The same token on another contract, as bridges and new versions have it; declare it.
ccss: ["2.02.4.1"]
attack: [T1036]
parameters: {}
*/
SELECT
  event_id,
  chain || ' ' || coalesce(spelled, token) AS entity,
  chain,
  asset,
  token,
  symbol,
  decimals,
  what
FROM token_names
WHERE what IS NOT NULL AND NOT is_of_declared AND NOT is_touched
