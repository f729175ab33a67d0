#!/usr/bin/env bash
# The whole daemon against a simulated world, by seeds.
#
#   simulation/run.sh                     2,000 seeds, or as many as fit 60 s; then
#                                         every planted defect within 200 seeds
#   simulation/run.sh --seconds 3600      before a release
#   simulation/run.sh --seed 17 --trace   one world, step by step
#   simulation/run.sh --planted           those alone
#   simulation/run.sh --seed 17 --plant NoUuid --trace
set -euo pipefail
cd "$(dirname "$0")"

# Large pieces of memory come fresh from the system, zeroed when they are touched.
export GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1048576

cargo build --release --quiet
target/release/simulation "$@"
if [ $# = 0 ]; then
    echo "planted defects:"
    target/release/simulation --planted
fi
