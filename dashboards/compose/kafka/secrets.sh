#!/bin/sh
# Makes the secrets that docker-compose.kafka.yml mounts, unless they are there: secrets.sh [DIRECTORY]
# The directory is closed to others; the files are open, since containers run as users of their own.
set -eu
directory=${1:-$(dirname "$0")/secrets}
mkdir -p "$directory"
chmod 700 "$directory"
cd "$directory"
umask 022
drawn() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; echo; }
for key in ingest.key evaluate.key grafana.password; do
    [ -s "$key" ] || drawn >"$key"
done
# Those whose hashes stand in ingest.toml.
[ -s opa.token ] || printf example-token-of-opa >opa.token
[ -s tokens.toml ] || for source in safe-transaction-service opa idp ethereum-node; do
    echo "$source = \"example-token-of-$source\""
done >tokens.toml
