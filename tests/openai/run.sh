#!/bin/sh
# Holds the official OpenAI client for Python against model-sim. A server that
# its own client can't talk to, or whose answers its own types refuse, would
# show nothing about the daemon that is tested with it.
#
# usage: tests/openai/run.sh
# needs: cargo, python3 with venv, and once a package registry
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/target/openai
client=openai==3.57.0

cd "$root"
tests/build.sh
mkdir -p "$work"
if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
fi
"$work/venv/bin/pip" install -q --disable-pip-version-check "$client"
exec "$work/venv/bin/python" tests/openai/check.py target/debug/model-sim
