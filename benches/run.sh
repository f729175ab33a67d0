#!/usr/bin/env bash
# Measures everything and rewrites the figures in benches/README.md.
#
#   benches/run.sh           about 20 minutes after the builds
#   benches/run.sh --quick   about 5, for a look: shorter and fewer runs
#
# Installs what it needs on Debian. Times mean something only on a machine that
# does nothing else; instructions, allocations and write calls mean it always.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=4 repeats=3 bench=()
if [ "${1:-}" = --quick ]; then
    seconds=2 repeats=1
    bench=(--sample-size 10 --warm-up-time 0.1 --measurement-time 0.3)
fi
root=$PWD
work=$root/target/bench
sdk=$root/target/sdk
mkdir -p "$work" "$sdk"

missing=()
need() { # command or file, Debian package
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing+=("$2")
}
need valgrind valgrind
need strace strace
need taskset util-linux
need protoc protobuf-compiler
need /usr/include/google/protobuf/descriptor.proto libprotobuf-dev
need /usr/include/openssl/ssl.h libssl-dev
need pkg-config pkg-config
need node nodejs
need npm npm
need python3 python3
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
need go golang-go
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
fi

echo "building ours"
CARGO_TARGET_DIR=$root/target cargo build --release -q -p benches \
    --bin generator --bin subject --bin paired
echo "building the peers"
export CARGO_TARGET_DIR=$work/peers
(cd benches/peers && cargo build --release -q --bins && cargo bench -q --no-run)

echo "installing the official SDKs"
[ -d "$sdk/node_modules/@larksuiteoapi/node-sdk" ] ||
    npm install --prefix "$sdk" --no-audit --no-fund --silent @larksuiteoapi/node-sdk@1.74.0
[ -x "$sdk/venv/bin/python" ] || python3 -m venv "$sdk/venv"
"$sdk/venv/bin/python" -m pip install -q --disable-pip-version-check lark-oapi==1.7.5 flask gunicorn
export SDK_MODULES=$sdk/node_modules
clients=(ours node python)
rm -rf "$work/go" && cp -r benches/sdk/go "$work/go"
if (cd "$work/go" && go build -mod=mod -o "$work/go_subject" .) >"$work/go.log" 2>&1; then
    clients+=(go)
elif [ -x "$work/go_subject" ]; then
    echo "the Go client as built before: $(tail -1 "$work/go.log")"
    clients+=(go)
else
    echo "the Go client is left out: $(tail -1 "$work/go.log")"
fi

subject() { # who, kind
    case $1 in
    ours) echo "$root/target/release/subject" "$2" ;;
    node) echo node "$root/benches/sdk/node_subject.mjs" "$2" ;;
    go) echo "$work/go_subject" "$2" ;;
    python)
        case $2 in
        link) echo "$sdk/venv/bin/python" "$root/benches/sdk/python_subject.py" link ;;
        *) echo "$root/benches/sdk/python_hook.sh" "$sdk/venv/bin/python" "$2" ;;
        esac
        ;;
    esac
}

measure() { # who, kind, generator's options
    local who=$1 kind=$2 line
    shift 2
    # Each side has a core: the load the second, the program the first.
    read -r -a command <<<"$(subject "$who" "$kind")"
    if ! line=$(taskset -c 1 "$root/target/release/generator" "$@" "$kind" "$seconds" \
        taskset -c 0 "${command[@]}" 2>"$work/subject.log"); then
        echo "FAILED: $kind by $who: $(tail -1 "$work/subject.log")"
        [ "$who" != ours ] || exit 1
        return 0
    fi
    echo "{\"kind\":\"$kind\",\"who\":\"$who\",${line#\{}" | tee -a "$work/servers.jsonl"
}

echo "long connection and webhook, $repeats times $seconds s each"
: >"$work/servers.jsonl"
for _ in $(seq "$repeats"); do
    for kind in link hook hook-encrypted; do
        for who in "${clients[@]}"; do
            measure "$who" "$kind"
        done
    done
done
for who in "${clients[@]}"; do
    measure "$who" link --strace
done

echo "whether time grows with the payload"
taskset -c 0 "$root/target/release/paired" >"$work/paired.jsonl"

echo "time for each job"
rm -rf "$work/criterion"
(cd benches/peers && CRITERION_HOME=$work/criterion taskset -c 0 \
    cargo bench -q --bench costs -- "${bench[@]}" >"$work/criterion.log" 2>&1)

echo "instructions and allocations for each job"
"$CARGO_TARGET_DIR/release/table" "$work"
