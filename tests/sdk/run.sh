#!/bin/sh
# Holds the official Python and Node clients against feishu-sim. The platform
# is no more than what its own clients accept: what they can't talk to is wrong.
#
# usage: tests/sdk/run.sh [python|node]…
# needs: cargo, python3 with venv, node with npm, and once a package registry
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/sdk
work=$root/target/sdk
python_sdk=lark-oapi==1.7.5
node_sdk=@larksuiteoapi/node-sdk@1.74.0

cd "$root"
tests/build.sh
sim=$root/target/debug/feishu-sim
mkdir -p "$work"

if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
fi

check() {
    name=$1
    shift
    "$work/venv/bin/python" "$here/check.py" "$name" "$sim" "$work/$name.log" "$@"
}

failed=0
for which in "${@:-python node}"; do
    for name in $which; do
        case $name in
        python)
            "$work/venv/bin/pip" install -q --disable-pip-version-check "$python_sdk"
            check python-1.7.5 "$work/venv/bin/python" "$here/python_client.py" || failed=1
            ;;
        node)
            [ -d "$work/node_modules/@larksuiteoapi/node-sdk" ] ||
                npm install --prefix "$work" --no-audit --no-fund --silent "$node_sdk"
            SDK_MODULES=$work/node_modules
            export SDK_MODULES
            check node-1.74.0 node "$here/node_client.mjs" || failed=1
            ;;
        *)
            echo "run.sh: no client $name; there are python and node" >&2
            exit 2
            ;;
        esac
    done
done
exit "$failed"
