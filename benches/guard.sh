#!/usr/bin/env bash
# Instructions and allocations of the core's jobs against benches/instructions.json.
#
#   benches/guard.sh           fails on a rise of more than 5 %, or an allocation
#   benches/guard.sh --bless   rewrites the file
#
# Instruction counts do not depend on the machine's mood. About a minute after
# the build.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind >/dev/null 2>&1; then
    echo "installing valgrind"
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq valgrind >/dev/null
fi

cargo build --release -q -p benches --no-default-features \
    --bin count --bin allocations --bin guard
"${CARGO_TARGET_DIR:-target}/release/guard" "$@"
