"""The nginx sites of deploy/ in a real nginx, before real daemons that answer a simulated
Feishu's events. Only ports, certificates and the names of log files are changed.

usage: nginx.py SITES PROGRAMS INSTALLED WORK
"""

import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WAIT_SECONDS = 40
# Who pushes at once in a burst.
PUSHERS = 8
SECRET = "planted-app-secret"
TOKEN = "a verification token"
EVENTS = "/api/v1/channels/xiaoo/events"
# What only this machine may see.
INTERNAL = [
    "/",
    "/metrics",
    "/api/v1/ready",
    "/api/v1/channels/feishu/events",
    "/api/v1/channels/xiaoo/events/",
    "/api/v1/healthz",
]

sites, programs, installed, work = (Path(argument).resolve() for argument in sys.argv[1:])
processes = []


# Below those that the system gives to outgoing connections, and each only once: such a port
# stays free until whoever it is for listens. Tests that run at once begin at different places.
ports = itertools.count(os.getpid() * 101)


def free_port():
    for number in ports:
        port = 10_000 + number % 22_000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def until(what, look):
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {WAIT_SECONDS} s: {what}")


def start(name, arguments, environment=None):
    log = open(work / f"{name}.log", "a")
    process = subprocess.Popen(
        [str(argument) for argument in arguments],
        stdout=log,
        stderr=log,
        env={"PATH": os.environ["PATH"], "HOME": str(work / "home"), **(environment or {})},
    )
    processes.append(process)
    return process


def stop(process, how=signal.SIGTERM):
    process.send_signal(how)
    process.wait(WAIT_SECONDS)
    processes.remove(process)
    return process.returncode


def ask(url, body=None, context=None):
    """Status and text of an answer."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({}), Stay
    )
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()
    except urllib.error.URLError:
        return None, ""


class Stay(urllib.request.HTTPRedirectHandler):
    """Feishu does not follow either."""

    def redirect_request(self, *_):
        return None


class Nginx:
    """One nginx with one of the sites."""

    def __init__(self, site, daemons, ports):
        self.folder = Path(tempfile.mkdtemp(prefix="site-", dir=work))
        # Its workers are another user's.
        self.folder.chmod(0o755)
        text = (sites / site).read_text()
        for shipped, port in ports.items():
            text, found = re.subn(rf"listen {shipped}\b", f"listen 127.0.0.1:{port}", text)
            assert found, f"{site} does not listen on {shipped}"
        for shipped, daemon in daemons.items():
            assert f"127.0.0.1:{shipped}/" in text, f"{site} does not lead to {shipped}"
            text = text.replace(f"127.0.0.1:{shipped}/", f"127.0.0.1:{daemon.port}/")
        text = text.replace("/etc/ssl/xiaoo/", f"{work}/tls/")
        (self.folder / "site.conf").write_text(text)
        (self.folder / "nginx.conf").write_text(
            f"pid {self.folder}/pid; error_log {self.folder}/error.log; daemon off;\n"
            "events {}\n"
            f"http {{ access_log {self.folder}/access.log;\n"
            + "".join(
                f"{kind}_temp_path {self.folder}/{kind};\n"
                for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            )
            + f"include {self.folder}/site.conf; }}\n"
        )
        tested = subprocess.run(self.command("-t"), capture_output=True, text=True)
        assert tested.returncode == 0, tested.stderr
        assert "warn" not in tested.stderr, tested.stderr
        self.process = start(self.folder.name, self.command())
        for port in ports.values():
            until(f"{site} at {port}", lambda: is_open(port))

    def command(self, *more):
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", self.folder / "nginx.conf",
                "-e", self.folder / "error.log", *more]

    def access_log(self):
        return (self.folder / "access.log").read_text()

    def stop(self):
        assert stop(self.process, signal.SIGQUIT) == 0


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Sim:
    """A simulated Feishu that pushes to `url`."""

    def __init__(self, name, url, app_id, encrypt_key=None):
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.app_id = app_id
        self.encrypt_key = encrypt_key
        more = ["--encrypt-key", encrypt_key] if encrypt_key else []
        start(name, [programs / "feishu-sim", "--port", self.port, "--app-id", self.app_id,
                     "--app-secret", SECRET, "--verification-token", TOKEN,
                     "--webhook-url", url, "--time-scale", "0.01", *more])
        until(name, lambda: ask(f"{self.base_url}/sim/chats")[0] == 200)

    def get(self, path):
        status, text = ask(self.base_url + path)
        assert status == 200, text
        return json.loads(text)

    def answer_to(self, text):
        """Somebody says it; what the bot answers."""
        status, sent = ask(f"{self.base_url}/sim/messages", {"text": text})
        assert status == 200, sent
        asked = json.loads(sent)["message_id"]
        chats = self.get("/sim/chats")["chats"]
        chat = next(chat["chat_id"] for chat in chats if chat["chat_type"] == "p2p")

        def answer():
            return [
                message
                for message in self.get(f"/sim/chats/{chat}/messages")["messages"]
                if message.get("parent_id") == asked and not message.get("card")
            ]

        return until(f"an answer to {text!r}", answer)[0]


class Daemon:
    """The installed program, as the unit starts it."""

    def __init__(self, name, port, sims, model):
        self.name = name
        self.port = port
        self.folder = work / name
        (self.folder / "app").mkdir(parents=True)
        self.config = self.folder / "config.toml"
        self.environment = {"FEISHU_APP_SECRET": SECRET, "MODEL_KEY": "k"}
        [sim, *accounts] = sims
        self.config.write_text(
            f'[llm]\nprovider = "compatible"\napi_base = "{model}"\nmodel = "scripted"\n'
            f'api_key_env = "MODEL_KEY"\n'
            f"[channels.feishu]\nenabled = true\n{self.channel(sim)}"
            + "".join(
                f'[[channels.feishu.accounts]]\nchannel_instance_id = "{instance}"\n{self.channel(account)}'
                for instance, account in accounts
            )
            + f'[agents]\ndefault_agent_id = "main"\n[[agents.list]]\nid = "main"\ndefault = true\n'
            f'workspace = "{self.folder}/app"\nagent_dir = "{self.folder}"\n'
        )
        self.start()

    def channel(self, sim):
        key = ""
        if sim.encrypt_key:
            self.environment["ENCRYPT_KEY"] = sim.encrypt_key
            key = 'encrypt_key_env = "ENCRYPT_KEY"\n'
        return (
            f'transport = "webhook"\napp_id = "{sim.app_id}"\napp_secret_env = "FEISHU_APP_SECRET"\n'
            f'verification_token = "{TOKEN}"\nbase_url = "{sim.base_url}"\n{key}'
        )

    def start(self):
        self.process = start(
            self.name,
            [installed / "opt/xiaoo/bin/xiaoo-app", "daemon", "--config", self.config,
             "--host", "127.0.0.1", "--port", self.port],
            self.environment,
        )
        until(f"{self.name} is ready", lambda: ask(f"http://127.0.0.1:{self.port}/api/v1/ready")[0] == 200)

    def stop(self):
        assert stop(self.process) == 0


def challenge(token):
    return {"type": "url_verification", "token": token, "challenge": "probe"}


def same(expected, found):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def the_guides_checks(base, context=None):
    """In the guide's words and order."""
    same((200, '{"status":"ok","version":"0.1.0"}'), ask(f"{base}/api/v1/health", context=context))
    same((200, '{"challenge":"probe"}'), ask(base + EVENTS, challenge(TOKEN), context))
    same(401, ask(base + EVENTS, challenge("another"), context)[0])


def nothing_else_is_public(base, context=None):
    for path in INTERNAL:
        for body in [None, challenge(TOKEN)]:
            same((path, 404), (path, ask(base + path, body, context)[0]))


def plain_site(world):
    base = world.public
    nginx = Nginx("xiaoo.conf", {18080: world.first}, {80: world.port})
    the_guides_checks(base)
    nothing_else_is_public(base)
    answer = world.plain.answer_to("hello through nginx")
    assert answer["text"], answer
    assert f"POST {EVENTS}" in nginx.access_log(), "the guide greps for the route"

    limit = 1 << 20
    same(400, ask(base + EVENTS, b"x" * limit)[0])
    same(413, ask(base + EVENTS, b"x" * (limit + 1))[0])

    world.first.stop()
    same(502, ask(base + EVENTS, challenge(TOKEN))[0])
    world.first.start()
    the_guides_checks(base)
    nginx.stop()


def a_burst(world):
    nginx = Nginx("xiaoo.conf", {18080: world.first}, {80: world.port})
    seen = []
    ends = time.monotonic() + WAIT_SECONDS

    def push(_):
        link = http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)
        # A machine that takes a hundred a second and no more would never be refused.
        while 429 not in seen and time.monotonic() < ends:
            link.request("POST", EVENTS, b"{}", {"Content-Type": "application/json"})
            answer = link.getresponse()
            answer.read()
            seen.append(answer.status)
        link.close()

    with ThreadPoolExecutor(PUSHERS) as pushers:
        list(pushers.map(push, range(PUSHERS)))
    assert 429 in seen, f"none of {len(seen)} was refused in {WAIT_SECONDS} s"
    # What the site takes at once; the daemon itself has answered those: they carry no token.
    taken = [status for status in seen if status != 429]
    assert len(taken) >= 400, f"refused after {len(taken)}"
    same({401}, set(taken))
    nginx.stop()


def several_bots(world):
    daemons = {18080: world.first, 18081: world.second}
    nginx = Nginx("xiaoo-several.conf", daemons, {80: world.port})
    the_guides_checks(world.public)
    nothing_else_is_public(world.public)
    for sim in [world.plain, world.account, world.encrypted]:
        answer = sim.answer_to("hello, one of several")
        assert answer["text"], answer
    log = nginx.access_log()
    for route in ["xiaoo", "xiaoo-helpdesk", "eulerclaw"]:
        assert f"POST /api/v1/channels/{route}/events" in log, route
    # Each bot's events are its own.
    foreign = world.public + "/api/v1/channels/eulerclaw/events"
    same(401, ask(foreign, challenge(TOKEN))[0])
    nginx.stop()


def with_a_certificate(world):
    tls = work / "tls"
    tls.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", tls / "privkey.pem", "-out", tls / "fullchain.pem"],
        check=True, capture_output=True,
    )
    secure = free_port()
    nginx = Nginx("xiaoo-tls.conf", {18080: world.first}, {80: world.port, 443: secure})
    trusted = ssl.create_default_context(cafile=tls / "fullchain.pem")
    base = f"https://localhost:{secure}"
    the_guides_checks(base, trusted)
    nothing_else_is_public(base, trusted)
    same(301, ask(world.public + EVENTS, challenge(TOKEN))[0])
    old = ssl.create_default_context(cafile=tls / "fullchain.pem")
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    same(None, ask(f"{base}/api/v1/health", context=old)[0])
    nginx.stop()


class World:
    """Two daemons with three bots, and a Feishu for each."""

    def __init__(self):
        self.port = free_port()
        self.public = f"http://127.0.0.1:{self.port}"
        model = free_port()
        start("model", [programs / "model-sim", f"127.0.0.1:{model}"])
        until("the model", lambda: is_open(model))
        model = f"http://127.0.0.1:{model}/v1"
        channels = self.public + "/api/v1/channels"
        self.plain = Sim("plain", self.public + EVENTS, "cli_a000000000000001")
        self.account = Sim("account", f"{channels}/xiaoo-helpdesk/events", "cli_a000000000000002")
        self.encrypted = Sim(
            "encrypted", f"{channels}/eulerclaw/events", "cli_a000000000000003", "an encrypt key"
        )
        self.first = Daemon("first", free_port(), [self.plain, ("helpdesk", self.account)], model)
        self.second = Daemon("second", free_port(), [self.encrypted], model)


def main():
    work.mkdir()
    name = "the daemons and what they talk to"
    failed = True
    try:
        world = World()
        for test in [plain_site, a_burst, several_bots, with_a_certificate]:
            name = test.__name__.replace("_", " ")
            test(world)
            print(f"ok: nginx: {name}", flush=True)
        failed = False
    # Whatever it is, the logs say more.
    except Exception as why:
        print(f"FAILED: nginx: {name}: {why!r}", flush=True)
        traceback.print_exc(file=sys.stdout)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        if failed:
            for log in sorted(work.rglob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
    sys.exit(failed)


main()
