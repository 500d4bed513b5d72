"""What the checks of this folder share: a running Herald, free ports, and plain results.

Every check is a script of its own. It prints a line `ok: …` for each thing it proved and ends with
exit code 0, or says what was wrong and ends with 1. Traffic stays on loopback; what a check starts
it ends by process id.
"""

import contextlib
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

# Longest wait for something that takes a tenth of a second on a quiet machine.
PATIENCE = 30.0

ACCOUNT = "1690700000000030"


class Wrong(Exception):
    """Something is not as it must be."""


def check(condition, what):
    """Prints `ok: what`, or ends the check with it."""
    if not condition:
        raise Wrong(what)
    print(f"ok: {what}", flush=True)


def until(what, probe):
    """Asks `probe` until it gives something true, and gives that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    raise Wrong(f"within {PATIENCE:.0f} s there was no {what}")


def main(body):
    """Runs the check `body` and exits with what came of it."""
    try:
        body()
    except Wrong as wrong:
        print(f"WRONG: {wrong}", flush=True)
        sys.exit(1)


def free_port():
    """A port that was free a moment ago, for programs that cannot choose one themselves."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port):
    def answers():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True

    until(f"listener on port {port}", answers)


def failed_attach(number):
    """An event: an attach that failed. `number` tells it from the others."""
    return {
        "ver": "1.0",
        "id": f"7C1D2E90-5A44-4B1E-9A33-{number:012X}",
        "product": "ECS",
        "resourceId": f"acs:ecs:cn-hangzhou:{ACCOUNT}:eni/eni-{number:08d}",
        "level": "WARN",
        "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
        "userId": ACCOUNT,
        "eventTime": "20190409T121826.922+0800",
        "regionId": "cn-hangzhou",
        "content": {
            "eniId": f"eni-{number:08d}",
            "operation": "AttachNetworkInterface",
            "eniStatus": "Available",
            "result": "failed",
            "requestId": f"59701492-0000-4000-8000-{number:012x}",
        },
    }


class Herald:
    """The built program, serving a configuration of its own in a folder of its own. `server` are
    further lines of its [server], `sinks` further tables; every sink gets everything."""

    def __init__(self, sinks, variables=None, server=""):
        self.program = os.environ["HERALD"]
        self.sinks = sinks
        self.server = server
        self.listen = "127.0.0.1:0"
        self.variables = variables or {}
        self.log = []
        self.context = None

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-real-")
        names = ", ".join(f'"{name}"' for name in re.findall(r"^\[sink\.([\w-]+)\]", self.sinks, re.M))
        file = os.path.join(self.folder.name, "config.toml")
        with open(file, "w", encoding="utf-8") as config:
            config.write(f'[server]\nlisten = "{self.listen}"\ndrain = "5s"\n{self.server}\n')
            config.write(self.sinks)
            if names:
                config.write(f'\n[[subscription]]\nname = "all"\nto = [{names}]\n')
        self._serve(file)
        return self

    def _serve(self, file):
        begun = len(self.log)
        self.process = subprocess.Popen(
            [self.program, "serve", "-c", file],
            env={**os.environ, **self.variables, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read_log, daemon=True).start()
        self.url = until("word of Herald that it listens", lambda: self._address(begun))

    def restart(self):
        """Ends it by SIGKILL and starts it again, at the same address in the same folder."""
        self.process.kill()
        self.process.wait()
        file = os.path.join(self.folder.name, "config.toml")
        with open(file, encoding="utf-8") as config:
            text = config.read()
        with open(file, "w", encoding="utf-8") as config:
            config.write(text.replace('"127.0.0.1:0"', f'"{self.url.partition("//")[2]}"'))
        self._serve(file)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())

    def _address(self, begun):
        if self.process.poll() is not None:
            raise Wrong("Herald did not start:\n" + "\n".join(self.log))
        for line in self.log[begun:]:
            found = re.search(r"listening on (https?://[\d.:]+)", line)
            if found:
                return found[1]

    def __exit__(self, kind, *_):
        self.process.terminate()
        try:
            status = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.folder.cleanup()
        if kind is not None:
            print("Herald said:\n  " + "\n  ".join(self.log[-20:]), flush=True)
        elif status != 0:
            raise Wrong(f"Herald ended with {status} after SIGTERM:\n" + "\n".join(self.log[-20:]))

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"content-type": "application/json"}
        )
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context)]
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Wrong(f"{path} answered {error.code}: {error.read().decode()}") from error

    def text(self, path):
        """What a GET answers, as text."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def trust(self, authority):
        """For `ask`, where Herald speaks HTTPS: a file with the authority of its certificate."""
        self.context = ssl.create_default_context(cafile=authority)

    def rss(self):
        """Memory of the program, in KiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", status.read(), re.M)[1])

    def send(self, event):
        """Posts one event and gives Herald's id of it."""
        result = self.ask("/v1/events", event)["results"][0]
        if result["status"] != "accepted":
            raise Wrong(f"the event was not accepted: {result}")
        return result["id"]

    def delivery(self, event, sink):
        """The delivery of an event to a sink, with all its attempts."""
        found = self.ask(f"/v1/events/{event}")["deliveries"]
        return next(one for one in found if one["sink"] == sink)

    def delivery_when(self, event, sink, what, condition):
        """The delivery, as soon as `condition` holds for it."""
        last = None

        def probe():
            nonlocal last
            last = self.delivery(event, sink)
            return last if condition(last) else None

        try:
            return until(what, probe)
        except Wrong as wrong:
            raise Wrong(f"{wrong}: {json.dumps(last)}") from None


def outcomes(delivery):
    return [attempt["outcome"] for attempt in delivery["attempts"]]


class Far:
    """A stand-in HTTP server on a free port. `answer(request)` gives status and body; every
    request is kept as (path, headers, body)."""

    def __init__(self, answer):
        self.requests = []
        far = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers.get("content-length", 0))
                request = (self.path, dict(self.headers.items()), self.rfile.read(length))
                status, body = answer(request)
                far.requests.append(request)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
