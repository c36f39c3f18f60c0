#!/usr/bin/env bash
# The examples of clients and workers, each client with each worker, on an engine: one of its own,
# or the one at an address.
# test_examples.sh PROGRAMS (where client and worker are) FLYOVER | ADDRESS [TOKEN]
set -euo pipefail
programs=$1 engine=$2 token=${3:-}
examples=$(cd "$(dirname "$0")/../../tools/examples/letter" && pwd)
scratch=$(mktemp -d /tmp/flyover-examples-XXXXXX)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

fail() {
    echo "test_examples: $*" >&2
    cat "$scratch"/*.log >&2
    exit 1
}

# Until the file has the text, for 60 s at most.
wait_for() {
    timeout 60 sh -c 'until grep -q "$2" "$1" 2>/dev/null; do sleep 0.05; done' sh "$1" "$2" ||
        fail "\"$2\" never came in $1"
}

if [[ -x $engine ]]; then
    address=unix:$scratch/socket
    "$engine" serve --data "$scratch/data" --listen "$address" >"$scratch/engine.log" 2>&1 &
    pids+=($!)
    timeout 60 sh -c 'until test -S "$1"; do sleep 0.05; done' sh "$scratch/socket" ||
        fail "the engine does not serve"
else
    address=$engine
fi

# The locked version, in a copy: the tree stays as it is.
cp "$examples"/*.mjs "$examples"/package*.json "$scratch"
(cd "$scratch" && npm ci --no-audit --no-fund >npm.log 2>&1) || fail "npm ci does not work"
# Debian's packages are those of Debian's Python.
python=/usr/bin/python3

run() { # language client|worker ARGUMENTS...
    local language=$1 what=$2
    shift 2
    case $language in
        c) "$programs/$what" "$@" ;;
        python) "$python" "$examples/$what.py" "$@" ;;
        node) node "$scratch/$what.mjs" "$@" ;;
    esac
}

expected=$'Ada: SUCCEEDED\nNobody: COMPENSATED, Mailer.NoAddress'
for worker in c python node; do
    log=$scratch/worker-$worker.log
    case $worker in # exec, so that the signal reaches it
        c) "$programs/worker" "$address" $token >"$log" 2>&1 & ;;
        python) "$python" "$examples/worker.py" "$address" $token >"$log" 2>&1 & ;;
        node) node "$scratch/worker.mjs" "$address" $token >"$log" 2>&1 & ;;
    esac
    pid=$!
    pids+=("$pid")
    wait_for "$log" serving
    for client in c python node; do
        said=$(timeout 60 bash -c "$(declare -f run); programs='$programs' python='$python' \
            examples='$examples' scratch='$scratch'; run $client client '$address' \
            '$examples/letter.asl.json' $token" 2>"$scratch/client-$client.log") ||
            fail "client $client with worker $worker says $?: $said"
        [[ $said == "$expected" ]] || fail "client $client with worker $worker: $said"
    done
    kill -TERM "$pid"
    wait "$pid" || fail "worker $worker ends with $? when it is told to"
done
