#!/usr/bin/env bash
# Installs the packages of the servers and their clients, once for all builds: into
# build/edge-servers. Does nothing when they are there as they are locked.
# Ends with 3 where they cannot be had, and says why; where CI is set, that is an error like any.
set -euo pipefail
servers=$(cd "$(dirname "$0")" && pwd)
target=$servers/../../../build/edge-servers

missing() {
    echo "$*" >&2
    [[ -z ${CI:-} ]] || exit 1
    exit 3
}

command -v node >/dev/null || missing "node is not installed (tools/setup --tests)"
command -v npm >/dev/null || missing "npm is not installed (tools/setup --tests)"
major=$(node -p 'process.versions.node.split(".")[0]')
[[ $major -ge 20 ]] || missing "Node 20 or later is needed, this is $(node --version)"

mkdir -p "$target"
exec 9>"$target/lock"
flock 9
wanted=$(cat "$servers"/package*.json "$servers/.npmrc" | sha256sum)
[[ $(cat "$target/installed" 2>/dev/null) != "$wanted" ]] || exit 0
rm -f "$target/installed"
cp "$servers"/package*.json "$servers/.npmrc" "$target"
(cd "$target" && timeout -k 5 240 npm ci >npm.log 2>&1) ||
    missing "npm ci does not work: $(tail -n 3 "$target/npm.log" | tr '\n' ' ')"
# Packages are looked for beside the file that imports them.
echo 'export default (name) => import(name);' >"$target/load.mjs"
echo "$wanted" >"$target/installed"
