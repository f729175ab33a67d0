#!/usr/bin/env bash
# Builds the core as WebAssembly and runs the bot on it. Needs FEISHU_DOMAIN,
# FEISHU_APP_ID and FEISHU_APP_SECRET.
#
#   run.sh           builds and runs
#   run.sh --build   only builds
#   run.sh --run     only runs
set -euo pipefail
cd "$(dirname "$0")"

[ "${1:-}" = --run ] || ../../../targets/run.sh wasm
[ "${1:-}" != --build ] || exit 0
# Node has had WebSocket behind this switch since 20.10, and without it since 22.
exec node --no-warnings --experimental-websocket bot.mjs
