#!/usr/bin/env bash
# Fuzzes every target, each from its committed corpus and with its dictionary.
#
#   fuzz/run.sh [seconds] [target…]   60 s each unless said; 3600 for a release
#
# Closes each target with one line and fails if any of them crashed. The
# committed corpus is only read; what is found stays in fuzz/target/found, so
# that the next run goes on from there.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
shift || true
found=target/found
artifacts=target/crashes

if ! command -v cc >/dev/null 2>&1; then
    echo "installing build-essential (for cc)"
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq build-essential >/dev/null
fi
if ! rustc +nightly --version >/dev/null 2>&1; then
    echo "installing nightly Rust"
    rustup toolchain install nightly --profile minimal >/dev/null
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "installing cargo-fuzz"
    # Unoptimised: it only calls the compiler.
    cargo install cargo-fuzz --locked --quiet --debug
fi

targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for program in fuzz_targets/*.rs; do
        targets+=("$(basename "$program" .rs)")
    done
fi

echo "building ${#targets[@]} targets"
build() { cargo +nightly fuzz build --fuzz-dir . "$@"; }
mkdir -p target
if ! build >target/build.log 2>&1; then
    tail -40 target/build.log
    echo "FAILED: the targets do not compile"
    exit 1
fi
programs=$(find target -path '*-linux-gnu/release' -type d -print -quit)

# The last number that libFuzzer printed behind a word.
last() { # word, log
    sed -n "s/.*$1 *\([0-9][0-9]*\).*/\1/p" "$2" | tail -1
}

failed=0
for target in "${targets[@]}"; do
    mkdir -p "$found/$target" "$artifacts/$target"
    log=target/$target.log
    before=$(find "$artifacts/$target" -type f | wc -l)
    status=0
    "$programs/$target" "$found/$target" "corpus/$target" \
        -dict="dictionaries/$target.dict" -artifact_prefix="$artifacts/$target/" \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=1 >"$log" 2>&1 || status=$?
    crashes=$(($(find "$artifacts/$target" -type f | wc -l) - before))
    # INITED is what the corpora cover; the last report, what is covered now.
    from=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
    to=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
    printf '%-15s %9s runs  %7s/s  %5s edges (%s new)  %s crashes\n' "$target" \
        "$(last stat::number_of_executed_units: "$log")" \
        "$(last stat::average_exec_per_sec: "$log")" \
        "${to:-?}" "$((${to:-0} - ${from:-0}))" "$crashes"
    if [ "$status" != 0 ]; then
        failed=1
        grep -m 3 -A 2 'panicked at\|ERROR: ' "$log" || tail -5 "$log"
        echo "  the input is in fuzz/$artifacts/$target; see fuzz/README.md"
    fi
done
[ "$failed" = 0 ] || { echo "FAILED: a target crashed"; exit 1; }
