#!/usr/bin/env bash
# The order application over AWS, small: with faults in all that goes between the engine and the
# servers, and the engine killed; the audit across all of them must balance.
# test_orders_aws.sh FLYOVER
set -euo pipefail
name=orders_over_aws_balance_through_faults_and_kills
tests=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d /tmp/flyover-orders-XXXXXX)
trap 'rm -rf "$scratch"' EXIT

status=0
"$tests/servers/install.sh" || status=$?
if [[ $status -eq 0 && ! -d /usr/lib/postgresql ]]; then
    echo "PostgreSQL is not installed (tools/setup --tests)"
    [[ -n ${CI:-} ]] && status=1 || status=3
fi
if [[ $status -eq 3 ]]; then
    echo "[  SKIPPED ] $name" # as cmocka says it
    exit 0
fi
[[ $status -eq 0 ]] || exit "$status"

if ! timeout -k 5 500 node "$tests/../../tools/orders/aws/run.mjs" --flyover "$1" \
    --data "$scratch/run" --orders 300 --faults --timeout 400; then
    tail -n 40 "$scratch/run/engine.log" >&2 || true
    exit 1
fi
echo "[       OK ] $name"
