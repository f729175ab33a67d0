#!/bin/sh
# Drives the demo's chat page and the daemon's dashboard in a real, headless Chromium, over both
# transports. Screenshots are left in target/page.
#
# usage: tests/page/run.sh
# needs: cargo, node with npm, chromium, and once a package registry
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/target/page
chromium=$(command -v chromium)
xiaoo=$root/target/debug/xiaoo-app
cd "$root"
tests/build.sh
mkdir -p "$work"
[ -d "$work/node_modules/playwright-core" ] ||
    npm install --prefix "$work" --no-audit --no-fund --silent playwright-core@1
# Modules are found beside the script that imports them.
cp "$root"/tests/page/*.mjs "$work"

# The first line of a file that a pattern finds something in, waited for.
found() {
    for _ in $(seq 100); do
        word=$(sed -n "$2" "$1" | head -n 1)
        [ -n "$word" ] && break
        sleep 0.1
    done
    echo "$word"
}

failed=0
for transport in websocket webhook; do
    log=$work/$transport.log
    # It is there before it is looked into.
    : >"$log"
    XIAOO_LOG=info "$xiaoo" demo --port 0 --transport "$transport" >>"$log" 2>"$log.err" &
    demo=$!
    # The chat page's address is printed when everything runs.
    chat=$(found "$log" 's/^ *\(http:[^ ]*\/[^ ]*\)$/\1/p')
    dashboard=$(found "$log" 's/.* daemon  *\(http:[^ ]*\) .*/\1/p')
    node "$work/chat_page.mjs" "$chat" "$chromium" "$work/$transport" || failed=1
    node "$work/dashboard.mjs" "$dashboard" "$chat" "$chromium" "$work/$transport" || failed=1
    kill -INT "$demo"
    wait "$demo" || failed=1
done

# A daemon that wants a token from whoever comes through something. It needs no Feishu for that.
folder=$work/token
mkdir -p "$folder"
cat >"$folder/config.toml" <<END
[llm]
provider = "openai-compatible"
api_base = "http://127.0.0.1:9/v1"
model = "none"
[channels.feishu]
enabled = true
transport = "webhook"
app_id = "cli_page"
app_secret_env = "PAGE_SECRET"
verification_token = "a token of the page test"
base_url = "http://127.0.0.1:9"
[agents]
default_agent_id = "main"
[[agents.list]]
id = "main"
workspace = "."
agent_dir = "."
[http]
bearer_token_env = "PAGE_TOKEN"
END
log=$work/token.log
: >"$log"
token=a-token-that-is-typed
PAGE_SECRET=none PAGE_TOKEN=$token "$xiaoo" daemon --port 0 --config "$folder/config.toml" 2>>"$log" &
daemon=$!
address=$(found "$log" 's/.*address=\([0-9.:]*\).*/\1/p')
node "$work/dashboard.mjs" --token "$token" "http://$address/" "$chromium" "$folder" || failed=1
kill -INT "$daemon"
wait "$daemon" || failed=1
cp "$log" "$log.err"

[ "$failed" = 0 ] || tail -n 40 "$work"/*.err
exit "$failed"
