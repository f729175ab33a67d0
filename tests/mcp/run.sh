#!/bin/sh
# Holds the MCP client against servers by the official Python SDK, of both
# generations, over stdio and streamable HTTP.
#
# usage: tests/mcp/run.sh [VERSION]…
# needs: cargo, python3 with venv, and once a package registry
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/mcp
work=$root/target/mcp
# The last with the handshake, and the first line without.
versions='1.30.0 2.3.0'

cd "$root"
tests/build.sh
client=$root/target/debug/examples/mcp_client
mkdir -p "$work"

server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT

# A port that nobody listens at.
free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

failed=0
for version in "${@:-$versions}"; do
    for one in $version; do
        python=$work/$one/bin/python
        if [ ! -x "$python" ]; then
            python3 -m venv "$work/$one"
            "$work/$one/bin/pip" install -q --disable-pip-version-check "mcp==$one"
        fi
        echo "mcp $one over stdio"
        "$client" stdio "$python" "$here/server.py" stdio || failed=1

        echo "mcp $one over http"
        port=$(free_port)
        "$python" "$here/server.py" http "$port" >"$work/$one.log" 2>&1 &
        server=$!
        "$client" http "http://127.0.0.1:$port/mcp" || failed=1
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    done
done
exit "$failed"
