#!/bin/sh
# Holds the core against other implementations of the same protocols.
#
# usage: tests/differential/run.sh [--long] [--seed N] [frames|webhooks|events]…
#   --long     twenty times as much, with a new seed if none is given
# needs: cargo, python3 with venv, and once a package registry
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$here/target
seed=1
times=1
while [ $# -gt 0 ]; do
    case $1 in
    --long)
        times=20
        [ "$seed" != 1 ] || seed=$(date +%s)
        ;;
    --seed)
        seed=$2
        shift
        ;;
    *) break ;;
    esac
    shift
done

cargo build -q --manifest-path "$here/Cargo.toml"

if [ ! -x "$work/venv/bin/python" ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || {
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update -qq
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    }
    python3 -m venv "$work/venv"
fi
"$work/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"

failed=0
for which in "${@:-frames webhooks events}"; do
    for name in $which; do
        "$work/venv/bin/python" "$here/$name.py" --seed "$seed" --times "$times" \
            --subject "$work/debug/differential-subject" || failed=1
    done
done
exit "$failed"
