"""What the long checks share: the built router on a journal that outlives it, a receiver that keeps
count, and senders. Only Python's standard library; traffic stays on loopback; what a check starts it
ends by process id.
"""

import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "real"))

from herald import ACCOUNT, Wrong, check, main  # noqa: E402,F401  (for the checks)

# Longest wait for something that takes a second on a quiet machine.
PATIENCE = 120.0


def until(what, probe, patience=PATIENCE):
    """Asks `probe` until it gives something true, and gives that."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.02)
    raise Wrong(f"within {patience:.0f} s there was no {what}")


def event(number, level="WARN"):
    """An event of its own, about one of forty ENIs."""
    return {
        "ver": "1.0",
        "id": f"E{number}",
        "product": "ECS",
        "resourceId": f"acs:ecs:cn-hangzhou:{ACCOUNT}:eni/eni-{number % 40:08d}",
        "level": level,
        "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
        "userId": ACCOUNT,
        "eventTime": "20190409T121826.922+0800",
        "regionId": "cn-hangzhou",
        "content": {
            "eniId": f"eni-{number % 40:08d}",
            "operation": "AttachNetworkInterface",
            "eniStatus": "Available",
            "result": "failed",
            "requestId": f"R{number}",
        },
    }


class Router:
    """The built program in a folder of its own, to be started again and again."""

    def __init__(self, folder, config):
        self.program = os.environ["HERALD"]
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "config.toml"
        self.file.write_text(config, encoding="utf-8")
        self.log = []
        self.process = None
        self.url = None

    def start(self, **more):
        self.process = subprocess.Popen(
            [self.program, "serve", "-c", str(self.file)],
            env={**os.environ, "NO_COLOR": "1", **more.pop("env", {})},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        begun = len(self.log)
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        self.url = until("word that the router listens", lambda: self._address(begun))

    def _read(self, process):
        for line in process.stderr:
            self.log.append(line.rstrip())

    def _address(self, begun):
        for line in self.log[begun:]:
            found = re.search(r"listening on http://([\d.:]+)", line)
            if found:
                return found[1]
        if self.process.poll() is not None:
            raise Wrong("the router did not start:\n" + "\n".join(self.log[-20:]))
        return None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Wrong("the router did not stop") from None
        if status != 0:
            raise Wrong(f"the router ended with {status}:\n" + "\n".join(self.log[-20:]))

    def ask(self, path, body=None):
        """One request; the answer's status and document."""
        connection = http.client.HTTPConnection(self.url, timeout=PATIENCE)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            method = "GET" if body is None else "POST"
            connection.request(method, path, data, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def totals(self):
        """The counters, which must be conserved whenever somebody looks."""
        _, status = self.ask("/v1/status")
        if not status["conserved"]:
            raise Wrong(f"not conserved: {status['totals']}")
        return status["totals"]

    def deliveries(self):
        """Every delivery, page by page."""
        found, cursor = [], None
        while True:
            query = "?limit=1000" + (f"&cursor={cursor}" if cursor else "")
            _, page = self.ask(f"/v1/deliveries{query}")
            found += page["deliveries"]
            cursor = page["next"]
            if cursor is None:
                return found


class Receiver:
    """An HTTP server that keeps what it took by `webhook-id`. `judge(key, seen)` says what it does
    with a request: a status, or seconds of silence (a float) before it cuts the connection."""

    def __init__(self, judge):
        self.judge = judge
        # Per key: bodies with what was done to them, in order.
        self.seen = {}
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20), self.loop
        ).result()
        host, port = self.server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.server.close)

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = dict(
                    (name.lower(), value.strip())
                    for name, _, value in (line.partition(":") for line in lines[1:] if line)
                )
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                key = headers.get("webhook-id", "")
                seen = self.seen.setdefault(key, [])
                verdict = self.judge(key, seen)
                seen.append((body, verdict))
                if isinstance(verdict, float):
                    await asyncio.sleep(verdict)
                    break
                writer.write(f"HTTP/1.1 {verdict} X\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()
