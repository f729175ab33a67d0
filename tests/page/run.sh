#!/bin/sh
# Drives the demo's chat page in a real, headless Chromium, over both transports.
#
# usage: tests/page/run.sh
# needs: cargo, node with npm, chromium, and once a package registry
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/target/page
chromium=$(command -v chromium)
cd "$root"
cargo build -q -p xiaoo-app
mkdir -p "$work"
[ -d "$work/node_modules/playwright-core" ] ||
    npm install --prefix "$work" --no-audit --no-fund --silent playwright-core@1

failed=0
for transport in websocket webhook; do
    log=$work/$transport.log
    # It is there before it is looked into.
    : >"$log"
    XIAOO_LOG=info "$root/target/debug/xiaoo-app" demo --port 0 --transport "$transport" >>"$log" 2>"$log.err" &
    demo=$!
    url=
    # The address is printed when everything runs.
    for _ in $(seq 100); do
        url=$(sed -n 's/^ *\(http:[^ ]*\/[^ ]*\)$/\1/p' "$log")
        [ -n "$url" ] && break
        sleep 0.1
    done
    mkdir -p "$work/$transport"
    # The module is found beside the script that imports it.
    cp "$root/tests/page/chat_page.mjs" "$work/chat_page.mjs"
    node "$work/chat_page.mjs" "$url" "$chromium" "$work/$transport" || failed=1
    kill -INT "$demo"
    wait "$demo" || failed=1
done
[ "$failed" = 0 ] || tail -n 40 "$work"/*.err
exit "$failed"
