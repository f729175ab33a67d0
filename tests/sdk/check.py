"""Holds an official client against feishu-sim and says what came of it.

usage: check.py NAME FEISHU_SIM LOG COMMAND…

Starts the simulator and COMMAND with base URL, app id and secret appended;
exits 0 if the client did everything a bot does and broke no rule.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request

WAIT_SECONDS = 40


class Sim:
    def __init__(self, program, log):
        self.process = subprocess.Popen(
            [program, "--port", "0", "--time-scale", "0.05", "--ping-interval", "2"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        said = ""
        while "verification_token" not in said:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit("feishu-sim did not start")
            said += line
        self.base_url = re.search(r'base_url\s+= "(.*)"', said)[1]
        self.app_id = re.search(r'app_id\s+= "(.*)"', said)[1]
        self.app_secret = re.search(r'app_secret\s+= "(.*)"', said)[1]

    def get(self, path):
        with urllib.request.urlopen(self.base_url + path, timeout=10) as answer:
            return json.load(answer)

    def post(self, path, body):
        request = urllib.request.Request(
            self.base_url + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def say(self, text):
        return self.post("/sim/messages", {"text": text})

    def messages(self):
        chats = self.get("/sim/chats")["chats"]
        p2p = next(chat for chat in chats if chat["chat_type"] == "p2p")
        return self.get(f"/sim/chats/{p2p['chat_id']}/messages")["messages"]

    def message(self, message_id):
        return self.get(f"/sim/messages/{message_id}")["message"]


def until(what, look):
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {WAIT_SECONDS} s: {what}")


def conversation(sim, name):
    until("connection", lambda: sim.get("/sim/link")["up"])

    def is_answered(text):
        sent = sim.say(text)["message_id"]
        wanted = f"{len(text)}:{text[-8:]}"

        def reply():
            return [
                message
                for message in sim.messages()
                if message["parent_id"] == sent
                and message["sender"]["self"]
                and message["text"] == wanted
            ]

        until(f"answer to {text[:12]!r}", reply)
        until("ack", lambda: sim.message(sent)["delivery"]["state"] == "acked")
        reactions = [one["emoji_type"] for one in sim.message(sent)["reactions"]]
        assert reactions == ["Get"], reactions
        delivery = sim.message(sent)["delivery"]
        assert delivery["attempts"] == 1, delivery

    # Short, over many ids (zero, above 2^53), then split into parts.
    for count in range(12):
        is_answered(f"你好 {name} {count}")
        time.sleep(0.25)
    is_answered("好" * 30_000 + "the end")

    sim.say("card")
    shown = until(
        "card",
        lambda: [
            message
            for message in sim.messages()
            if message["card"] and message["card"]["title"] == "done"
        ],
    )[0]
    assert shown["card"]["template"] == "green", shown["card"]
    assert shown["version"] == 2, shown["version"]

    pressed = sim.post(
        "/sim/card_action", {"message_id": shown["message_id"], "button": 0}
    )
    assert pressed["status"] == "answered", pressed
    assert pressed["response"]["toast"]["content"] == "stop", pressed

    until("second ping", lambda: sim.get("/sim/stats")["connections"][-1]["pings"] >= 2)

    sim.post("/sim/link", {"action": "drop"})
    until("loss", lambda: not sim.get("/sim/link")["up"])
    until("reconnect", lambda: sim.get("/sim/link")["up"])
    is_answered("after the reconnect")

    stats = sim.get("/sim/stats")
    assert stats["violations"] == [], stats["violations"]
    refused = [ack for ack in stats["acks"] if ack["code"] != 200]
    assert not refused, refused
    assert stats["missed"] == 0 and stats["redeliveries"] == 0, stats["missed"]
    return stats


def main():
    name, program, log_path, *command = sys.argv[1:]
    with open(log_path, "w", encoding="utf-8") as log:
        sim = Sim(program, log)
        client = subprocess.Popen(
            [*command, sim.base_url, sim.app_id, sim.app_secret],
            stdout=log,
            stderr=log,
        )
        try:
            stats = conversation(sim, name)
        except (AssertionError, OSError, KeyError) as why:
            print(f"FAIL {name}: {why} (log: {log_path})")
            return 1
        finally:
            client.terminate()
            sim.process.terminate()
            client.wait()
            sim.process.wait()
    oddities = sorted({quirk["rule"] for quirk in stats["quirks"]})
    print(
        f"ok   {name}: {stats['acked']} events acked, "
        f"{len(stats['connections'])} connections, slowest ack "
        f"{stats['ack_latency_ms']['max']} ms, no violation; "
        f"tolerated: {', '.join(oddities) or 'nothing'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
