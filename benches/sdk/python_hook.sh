#!/usr/bin/env bash
# The Python SDK's webhook behind Flask: one gunicorn worker that keeps
# connections. Arguments: path of python, hook or hook-encrypted.
set -eu
cd "$(dirname "$0")"
[ "$2" != hook-encrypted ] || export BENCH_KEY="an encrypt key as a person types"
exec "$1" -m gunicorn --bind "127.0.0.1:$BENCH_PORT" --workers 1 --worker-class gthread --threads 4 \
    --log-level critical python_subject:application
