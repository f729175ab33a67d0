#!/usr/bin/env bash
# Builds each program and lets it answer a person on the simulated platform.
#
#   proto-core/examples/run.sh                all of them
#   proto-core/examples/run.sh std_sockets    only those named
#
# Three messages: a plain one; one in parts that is pushed twice; one after the
# link was cut and the next handshake refused. Each must be answered exactly
# once, acknowledged in time, and nothing may be a violation of the protocol.
# With a wrong secret the program must give up. One line for each program.
set -euo pipefail
cd "$(dirname "$0")/../.."

examples=proto-core/examples
work=$(mktemp -d)
sim_pid="" program_pid=""

main() {
    need curl curl
    need jq jq
    need cc build-essential
    tests/build.sh
    local programs=("$@")
    [ $# -gt 0 ] || programs=(std_sockets smol c wasm)
    local program
    for program in "${programs[@]}"; do
        case $program in
            c) run_c ;;
            wasm) run_wasm ;;
            *) run_rust "$program" ;;
        esac
    done
}

run_rust() {
    try "$1" "target/debug/examples/$1"
}

# Twice: the sanitizers watch the C, valgrind also what the library does.
run_c() {
    need valgrind valgrind
    make -s -C $examples/c check test target/bot target/bot-sanitized
    try "c, sanitizers" $examples/c/target/bot-sanitized
    try "c, valgrind" valgrind -q --error-exitcode=9 --leak-check=full \
        $examples/c/target/bot
}

# A browser's WebSocket does not tell why a handshake was refused.
run_wasm() {
    $examples/wasm/run.sh --build
    tells_refusals=false try "WebAssembly from JavaScript" $examples/wasm/run.sh --run
}

# One program against a platform of its own.
try() { # name, command…
    name=$1
    shift
    start_platform
    start_program "$@"
    wait_for "a link" '.connections | length == 1' stats

    local plain parts later awkward='你好 "quoted" \ back 🦀'
    plain=$(say "hello")
    wait_for "an answer" "$(answered "$plain")" messages

    put faults '{"faults":[{"kind":"split","bytes":100,"count":1},{"kind":"duplicate_push","count":1}]}'
    parts=$(say "$awkward")
    wait_for "an answer to an event in parts" "$(answered "$parts")" messages
    wait_for "both acknowledgements of an event that is pushed twice" '.acks | length == 3' stats
    wait_for "a ping each second" '.connections[0].pings >= 3' stats

    put faults '{"faults":[{"kind":"handshake","status":514,"auth_code":7,"count":1}]}'
    post link '{"action":"drop"}' >/dev/null
    wait_for "a second link" '.connections | length == 2' stats
    later=$(say "still there?")
    wait_for "an answer on the second link" "$(answered "$later")" messages

    expect "no violation" '.violations == []' stats
    expect "only acknowledgements with 200" 'all(.acks[]; .code == 200)' stats
    expect "three answers in all" '[.messages[] | select(.sender.self)] | length == 3' messages
    expect "a faithful answer" '[.messages[].text] | index($text)' messages --arg text "You said: $awkward"
    ! ${tells_refusals:-true} ||
        grep -q 'Handshake { status: 514, auth_error: 7, stated: true }' "$work/program.log" ||
        fail "expected the reasons of a refused handshake"
    stop_program
    expect_refusal "$@"
    summary
    stop
}

start_platform() {
    # Empty before the first look, so that no address of an earlier one is seen.
    : >"$work/platform"
    target/debug/feishu-sim --ping-interval 1 >"$work/platform" 2>"$work/platform.log" &
    sim_pid=$!
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        domain=$(sed -n 's/^base_url *= "\(.*\)"$/\1/p' "$work/platform")
        [ -z "$domain" ] || return 0
        sleep 0.1
    done
    fail "the platform does not start"
}

start_program() { # command…
    FEISHU_APP_SECRET=${secret-simulated-app-secret} FEISHU_DOMAIN=$domain \
        FEISHU_APP_ID=cli_a1b2c3d4e5f60718 "$@" >"$work/program.log" 2>&1 &
    program_pid=$!
}

# With a wrong secret a program gives up at once.
expect_refusal() { # command…
    local status=0
    secret=wrong start_program timeout 10 "$@"
    wait "$program_pid" || status=$?
    program_pid=""
    [ $status = 1 ] || fail "expected status 1 after a refusal for good, not $status"
}

# A program that minds signals ends well; the others just end.
stop_program() {
    local status=0
    kill "$program_pid"
    wait "$program_pid" || status=$?
    program_pid=""
    [ $status = 0 ] || [ $status = 143 ] || fail "the program ended with status $status"
}

summary() {
    get stats | jq -r --arg name "$name" '"ok   \($name): 3 of 3 answered once, " +
        "\([.connections[].pings] | add) pings on \(.connections | length) links, " +
        "acknowledged in \(.ack_latency_ms.max) ms at most, no violation"'
}

stop() {
    local pid
    for pid in $program_pid $sim_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    program_pid="" sim_pid=""
}

fail() {
    echo "FAILED $name: $1"
    echo "--- what the program said last:"
    tail -n 20 "$work/program.log"
    exit 1
}

# The platform's own interface; see feishu-sim/README.md.
get() {
    local path=$1
    [ "$path" != messages ] || path=chats/$chat/messages
    curl -sS -m 5 "$domain/sim/$path"
}
put() { curl -sSf -m 5 -X PUT -H 'Content-Type: application/json' -d "$2" "$domain/sim/$1" >/dev/null; }
post() { curl -sSf -m 5 -H 'Content-Type: application/json' -d "$2" "$domain/sim/$1"; }

# The person of the one-to-one chat says something; prints the message's id.
chat=oc_b2b00000000000000000000000000001
say() { post messages "$(jq -n --arg text "$1" '{$text}')" | jq -r .message_id; }

answered() { echo "any(.messages[]; .sender.self and .parent_id == \"$1\")"; }

expect() { # what, condition, of what, jq arguments…
    local what=$1 condition=$2 of=$3
    shift 3
    get "$of" | jq -e "$@" "$condition" >/dev/null || fail "expected $what"
}

wait_for() { # what, condition, of what
    local deadline=$((SECONDS + 20))
    until get "$3" | jq -e "$2" >/dev/null; do
        ((SECONDS < deadline)) || fail "waited in vain for $1"
        kill -0 "$program_pid" 2>/dev/null || fail "the program ended by itself"
        sleep 0.05
    done
}

# Installs Debian packages for commands that are missing.
need() { # command, package
    command -v "$1" >/dev/null 2>&1 && return
    echo "installing $2 (for $1)"
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
}

trap 'stop; rm -rf "$work"' EXIT
main "$@"
