#!/bin/sh
# What the daemon says at /metrics, the alerts and their tests, judged by Prometheus' own tool.
#
# usage: tests/metrics/run.sh
# needs: cargo, promtool (Debian: prometheus)
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
scrapes=$(mktemp -d)
trap 'rm -rf "$scrapes"' EXIT
cd "$root"

# Real daemons, which leave what they said.
XIAOO_SCRAPES=$scrapes cargo test -q --workspace --test e2e metrics:: >"$scrapes/log" 2>&1 || {
    tail -n 60 "$scrapes/log"
    exit 1
}
for name in long_connection webhook; do
    [ -s "$scrapes/$name.txt" ]
    complaints=$(promtool check metrics <"$scrapes/$name.txt" 2>&1) || {
        echo "$name: $complaints"
        exit 1
    }
    [ -z "$complaints" ] || { echo "$name: $complaints"; exit 1; }
done
promtool check rules --lint-fatal deploy/prometheus/alerts.yml
promtool test rules deploy/prometheus/alerts_test.yml
python3 -m json.tool deploy/grafana/xiaoo.json >/dev/null
# Each query of the dashboard is one that Prometheus can read: as a rule, without Grafana's words.
python3 - deploy/grafana/xiaoo.json >"$scrapes/dashboard.yml" <<'PY'
import json
import sys

with open(sys.argv[1]) as file:
    panels = json.load(file)["panels"]
queries = [target["expr"] for panel in panels for target in panel["targets"]]
assert len(queries) >= 20, queries
rules = [
    {
        "record": f"dashboard:query_{at}",
        "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*"),
    }
    for at, query in enumerate(queries)
]
# JSON is YAML.
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
PY
promtool check rules "$scrapes/dashboard.yml"
