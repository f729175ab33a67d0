#!/bin/sh
# Builds the programs and examples that the checks here run, as `cargo test --workspace` has
# built them already: for packages chosen one by one, cargo would build what they depend on
# once more, with other features.
set -eu
cd "$(dirname "$0")/.."
exec cargo build -q --workspace --bin xiaoo-app --bin feishu-sim --bin model-sim --examples
