#!/bin/bash
# Makes docs/pictures anew: tests/page/chromium/pictures.sh KEYWATCH [FOLDER]
#
# KEYWATCH is the binary to show. Wants what the tests of the page want (KEYWATCH_TEST_CHROMIUM, KEYWATCH_TEST_BROWSER), an Open
# Policy Agent (KEYWATCH_TEST_OPA), and pngquant to make the files small; takes a minute.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
keywatch=$(realpath "$1")
out=$(realpath "${2:-$root/docs/pictures}")
here=$(mktemp -d)
started=()
end() {
  for id in "${started[@]}"; do kill "$id" 2> /dev/null || true; done
  wait
  rm -rf "$here"
}
trap end EXIT
cd "$here"

hash_of() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
# Waits for a line of a file, a minute at most.
line_of() {
  for _ in $(seq 600); do
    grep -m 1 "$1" "$2" 2> /dev/null && return
    sleep 0.1
  done
  echo "no \`$1\` in $2" >&2
  return 1
}
token=$(openssl rand -hex 16)
port=18740

# A keywatch with both thefts, each system with a decision point of its own.
{
  printf 'data = "data"\ninventory = "inventory.toml"\n[server]\nlisten = "127.0.0.1:%s"\n' "$port"
  printf '[[operators]]\nname = "bob"\ntoken_sha256 = "%s"\nroles = ["responder"]\nsystems = ["*"]\n' "$(hash_of "$token")"
} > keywatch.toml
printf '%s' '{"session_id": "ses-4a1d07", "subject": "payout-service", "session_started_at": 1700000000, "device_id": "srv-payout-2",
  "ip": "192.0.2.77", "wallet": "petty-cash", "request_id": "pay-88213", "destination": "office-supplies", "amount_usd": 40,
  "destination_risk_score": 1, "signer": "ci-bot", "initiator": "payout-service", "human_approvals": [], "operation": 0}' > control.json
add() { # incident, system, port of its OPA, source:feed …
  local incident=$1 system=$2 opa=$3 source feed
  shift 3
  cat "$root/replay-data/$incident/inventory.toml" >> inventory.toml
  for source in "$@"; do
    feed=${source#*:} source=${source%:*}
    printf '[[credentials]]\nsystem = "%s"\nsource = "%s"\nfeed = "%s"\ntoken_sha256 = "%s"\n' \
      "$system" "$source" "$feed" "$(hash_of "$token-$system-$source")" >> keywatch.toml
    printf '%s = "%s"\n' "$source" "$token-$system-$source" >> "$incident.tokens"
  done
  printf '[[decision_points]]\nsystem = "%s"\nopa = "http://127.0.0.1:%s"\ncontrol_file = "control.json"\n' "$system" "$opa" \
    >> keywatch.toml
  "$KEYWATCH_TEST_OPA" run --server --addr "127.0.0.1:$opa" "$root/alerting/policies" > "$incident.opa" 2>&1 &
  started+=($!)
}
add 2024-05-dmm-bitcoin dmm-btc-1 18741 custody-platform:events opa:opa idp:events bitcoin-node:events
add 2025-02-bybit bybit-eth-cold-1 18742 safe-transaction-service:safe opa:opa idp:events ethereum-node:events
"$keywatch" run --config keywatch.toml > run.log 2>&1 &
started+=($!)
for _ in $(seq 600); do
  curl -sf "http://127.0.0.1:$port/readyz" > /dev/null && break
  sleep 0.1
done
for incident in 2024-05-dmm-bitcoin 2025-02-bybit; do
  "$keywatch" demo --incident "$incident" --to "http://127.0.0.1:$port" --tokens "$incident.tokens" > sent.log
done

# The theft as `keywatch demo --serve` shows it, played to its end.
TMPDIR=$here "$keywatch" demo --serve --speed 100000 > demo.log 2>&1 &
started+=($!)
page=$(line_of '^The page: ' demo.log | sed 's#^The page: *##; s#/page$##')
story=$(line_of '^Sign in with: ' demo.log | sed 's#^Sign in with: *##')
curl -sf -H "Authorization: Bearer $story" "$page/v1/incidents" > /dev/null
line_of '^The page stays' demo.log > /dev/null

node "$root/tests/page/chromium/pictures.mjs" \
  "{\"story\":\"$page\",\"storyToken\":\"$story\",\"run\":\"http://127.0.0.1:$port\",\"runToken\":\"$token\",\"out\":\"$here\"}"
for picture in *.png; do
  pngquant --strip --speed 1 --force --output "$out/$picture" 64 -- "$picture"
done
