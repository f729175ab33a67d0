"""Runs a command as the agents' shell does: in the sandbox, started by the installed program.
Fails unless it works, and is kept to its directory."""

import json
import subprocess
import sys

ROOT = "/opt/xiaoo/app"
COMMAND = (
    "echo kept > file && cat file && tar cf a.tar file && tar xf a.tar"
    " && ! cat /opt/xiaoo/config/config.toml 2>/dev/null"
    " && ! (echo leaked >/var/lib/xiaoo/agents/main/x) 2>/dev/null"
)
limits = {
    "time_max": {"secs": 20, "nanos": 0},
    "memory_bytes_max": 1 << 30,
    "processes_max": 64,
    "disk_bytes_max": 1 << 30,
    "file_bytes_max": 1 << 28,
    "open_files_max": 256,
}
policy = {
    "root": ROOT,
    "readable": [],
    "network": False,
    "enforcement": "Required",
    "limits": limits,
}
order = {"command": ["/bin/sh", "-c", COMMAND], "directory": ROOT, "policy": policy}
helper = subprocess.Popen(
    ["/opt/xiaoo/bin/xiaoo-app", "sandbox-exec", "warden", json.dumps(order)],
    # As long as it is open, somebody waits.
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    env={},
)
report = helper.stdout.read().decode()
output = helper.stderr.read().decode()
if json.loads(report) != {"Ended": {"Status": 0}} or output != "kept\n":
    sys.exit(f"the sandbox does not work here: {report} {output!r}")
