"""Reads what the journal has of the daemon, one entry a line of JSON. Fails unless its lines came
with their facts as fields, and it ran as many times as said."""

import json
import sys

entries = [json.loads(line) for line in sys.stdin]
ours = [entry for entry in entries if entry["_TRANSPORT"] == "journal"]
assert ours, entries


times = int(sys.argv[1])


def each_time(words):
    found = [entry for entry in ours if words in entry["MESSAGE"]]
    assert len(found) == times, (words, [entry["MESSAGE"] for entry in ours])
    return found[0]


def has(entry, **fields):
    for name, value in fields.items():
        assert entry.get(name) == value, (name, value, entry)


everywhere = {"_SYSTEMD_UNIT": "xiaoo-rebuild.service", "SYSLOG_IDENTIFIER": "xiaoo-app"}
has(
    each_time("feishu websocket: connected"),
    MESSAGE="feishu websocket: connected attempt=1",
    PRIORITY="6",
    F_ATTEMPT="1",
    F_CHANNEL="feishu",
    TARGET="runtime_tokio::link::driver",
    **everywhere,
)
has(each_time("the daemon runs"), F_TRANSPORT="websocket", F_INSTANCE="feishu", **everywhere)
has(each_time("the daemon has stopped"), MESSAGE="the daemon has stopped", **everywhere)
# What was said was said there alone.
texts = [entry["MESSAGE"] for entry in entries if entry not in ours]
assert not any("feishu websocket" in text for text in texts if isinstance(text, str)), texts
print(f"the journal: {len(ours)} entries with their fields")
