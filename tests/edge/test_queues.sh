#!/usr/bin/env bash
# Sagas that live by queues and a topic alone: test_queues.sh FLYOVER
set -euo pipefail
name=sagas_live_by_queues_alone
tests=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d /tmp/flyover-queues-XXXXXX)
trap 'rm -rf "$scratch"' EXIT

status=0
"$tests/servers/install.sh" || status=$?
if [[ $status -eq 3 ]]; then
    echo "[  SKIPPED ] $name" # as cmocka says it
    exit 0
fi
[[ $status -eq 0 ]] || exit "$status"

if ! timeout -k 5 100 node "$tests/queues/run.mjs" "$1" "$scratch"; then
    tail -n 40 "$scratch/engine.log" >&2 || true
    exit 1
fi
echo "[       OK ] $name"
