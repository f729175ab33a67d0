#!/usr/bin/env bash
# Where a case's instructions go, by function and by line.
#
#   benches/profile.sh CASE    e.g. machine/1.2k; without one: the names
set -euo pipefail
cd "$(dirname "$0")/.."
command -v callgrind_annotate >/dev/null 2>&1 || {
    echo "apt-get install valgrind, or run benches/guard.sh once" >&2
    exit 1
}

# Lines are kept in a folder of their own: other settings would rebuild all.
target=${CARGO_TARGET_DIR:-target}/profile
CARGO_PROFILE_RELEASE_STRIP=false CARGO_PROFILE_RELEASE_DEBUG=2 \
    cargo build --release -q -p benches --no-default-features --bin count --target-dir "$target"
if [ $# -eq 0 ]; then
    exec "$target/release/count" --list
fi
out=$(mktemp)
trap 'rm -f "$out"' EXIT
valgrind -q --tool=callgrind --callgrind-out-file="$out" --toggle-collect='benches::programs::run' \
    "$target/release/count" "$1" 1000
echo "per 1,000 runs:"
callgrind_annotate --threshold=98 --auto=no "$out" | sed -n '/^Ir/,$p' | head -45
