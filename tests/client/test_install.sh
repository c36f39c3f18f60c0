#!/usr/bin/env bash
# Installs into a prefix of its own, and builds and runs programs with nothing but what is there:
# with pkg-config and with find_package, shared and static.
# test_install.sh BUILD CC CFLAGS
set -euo pipefail
build=$1 cc=$2 cflags=$3
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(mktemp -d /tmp/flyover-install-XXXXXX)
trap 'rm -rf "$prefix"' EXIT

fail() {
    echo "test_install: $*" >&2
    exit 1
}

cmake --install "$build" --prefix "$prefix" >/dev/null
library=$(dirname "$(find "$prefix" -name libflyover.so.1)")
for file in include/flyover.h include/flyover_service.h bin/flyover \
    lib/flyover/plugins/order.so lib/systemd/system/flyover.service; do
    [[ -e $prefix/$file ]] || fail "$file is not installed"
done

# What is exported is what the header declares, no more and no less.
declared=$(grep -oE '\bflyover_[a-z_]+\(' "$prefix/include/flyover.h" | tr -d '(' | sort -u)
exported() {
    nm "$@" | awk '$2 ~ /^[A-TV-Z]$/ {print $3}' | grep -v '^__' | sort -u
}
diff <(echo "$declared") <(exported -D --defined-only "$library/libflyover.so") ||
    fail "libflyover.so exports something else than flyover.h declares"
diff <(echo "$declared") <(exported -g --defined-only "$library/libflyover.a") ||
    fail "libflyover.a has other symbols than flyover.h declares"

export LD_LIBRARY_PATH=$library PKG_CONFIG_PATH=$library/pkgconfig
program=$here/package/program.c
# shellcheck disable=SC2046,SC2086
"$cc" $cflags "$program" -o "$prefix/shared" $(pkg-config --cflags --libs flyover)
# shellcheck disable=SC2046,SC2086
"$cc" $cflags "$program" -o "$prefix/static" $(pkg-config --cflags flyover) \
    "$(pkg-config --variable=libdir flyover)/libflyover.a" $(pkg-config --libs openssl)
"$prefix/shared" || fail "the program of pkg-config, shared, says $?"
# Read to its end: a reader that leaves early would have ldd end by a signal.
ldd "$prefix/shared" | grep libflyover.so.1 >/dev/null || fail "shared is not shared"
! ldd "$prefix/static" | grep libflyover >/dev/null || fail "static is not static"
LD_LIBRARY_PATH='' "$prefix/static" || fail "the program of pkg-config, static, says $?"

cmake -S "$here/package" -B "$prefix/package" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$cflags" >/dev/null
cmake --build "$prefix/package" >/dev/null
"$prefix/package/with_flyover" || fail "the program of find_package, shared, says $?"
"$prefix/package/with_flyover_static" || fail "the program of find_package, static, says $?"

# The program finds the plug-ins that were installed with it.
"$prefix/bin/flyover" generate --orders 20 |
    "$prefix/bin/flyover" ingest --data "$prefix/data" --json - >"$prefix/report" ||
    fail "the installed program does not run orders"
grep -q '"succeeded": *[1-9]' "$prefix/report" || fail "no order succeeded: $(cat "$prefix/report")"
