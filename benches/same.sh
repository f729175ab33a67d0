#!/usr/bin/env bash
# Whether ours and the peers make the same of the same input: what the figures
# rest on. Run before anything is measured, and on every change.
#
#   benches/same.sh             a minute and a half of building the first time
#   benches/same.sh --release   as it is measured
#
# Installs what the peers need on Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { # command or file, Debian package
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing+=("$2")
}
need protoc protobuf-compiler
need /usr/include/google/protobuf/descriptor.proto libprotobuf-dev
need /usr/include/openssl/ssl.h libssl-dev
need pkg-config pkg-config
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
fi

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/bench/peers}
cd benches/peers && exec cargo test -q --lib "$@"
