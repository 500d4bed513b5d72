"""Twenty restarts under 500 posts a second, by a sender that never retries, and not one post fails.

As systemd does it, somebody else holds the listening socket: who connects while one process stops and
the next one starts waits in its queue. The sender opens a connection for each post, waits for its
answer for as long as CloudMonitor does (5 s), and tries once.

RESTARTS (20) and RATE (500) set how many and how fast.
"""

import asyncio
import json
import os
import socket
import tempfile
import threading
import time

from common import Receiver, Router, check, event, main, until

RESTARTS = int(os.environ.get("RESTARTS", "20"))
RATE = int(os.environ.get("RATE", "500"))

# What CloudMonitor gives a receiver (its documentation of callbacks).
ANSWER_WITHIN = 5.0


def config(receiver):
    return f"""
[server]
listen = "127.0.0.1:1"
drain = "5s"

[sink.runbook]
kind = "callback"
url = "http://{receiver}/eni"
allow_addresses = ["127.0.0.0/8"]

[[subscription]]
name = "all"
to = ["runbook"]
"""


class Sender:
    """Posts at a steady pace, whatever becomes of the posts before."""

    def __init__(self, address):
        self.address = address
        self.accepted = {}
        self.failed = []
        self.waits = []

    async def run(self, stop):
        posts, number = set(), 0
        began = time.monotonic()
        while not stop.is_set():
            due = began + number / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            post = asyncio.create_task(self.post(number))
            posts.add(post)
            post.add_done_callback(posts.discard)
            number += 1
        if posts:
            await asyncio.wait(posts)

    async def post(self, number):
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                reader, writer = await asyncio.open_connection(*self.address)
                body = json.dumps(event(number)).encode()
                writer.write(
                    b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
                )
                answer = await reader.read()
                writer.close()
            head, _, said = answer.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(f"answered {answer[:200]!r}")
            self.accepted[number] = json.loads(said)["results"][0]["id"]
        except (OSError, TimeoutError) as error:
            self.failed.append(f"post {number}: {error!r}")
        self.waits.append(time.monotonic() - began)


def body():
    with (
        tempfile.TemporaryDirectory(prefix="herald-long-") as folder,
        Receiver(lambda _key, _seen: 204) as receiver,
        socket.create_server(("127.0.0.1", 0), backlog=4096) as listening,
    ):
        router = Supervised(folder, config(receiver.address), listening)
        router.start()
        sender, stop = Sender(listening.getsockname()), threading.Event()
        sending = threading.Thread(target=lambda: asyncio.run(sender.run(stop)))
        sending.start()
        for _ in range(RESTARTS):
            time.sleep(1.0)
            router.stop()
            router.start()
        time.sleep(1.0)
        stop.set()
        sending.join()
        check(
            not sender.failed,
            f"{len(sender.accepted)} posts during {RESTARTS} restarts, and none failed"
            + "".join(f"\n  {line}" for line in sender.failed[:5]),
        )
        totals = until(
            "end of all deliveries",
            lambda: (now := router.totals())["pending"] == 0 and now,
        )
        check(totals["delivered"] == len(set(sender.accepted.values())) == len(sender.accepted), f"{totals}")
        waits = sorted(sender.waits)
        print(
            f"ok: an answer took {waits[len(waits) // 2] * 1000:.0f} ms at the median and "
            f"{waits[-1] * 1000:.0f} ms at worst, restarts and all",
            flush=True,
        )
        router.stop()


class Supervised(Router):
    """The router on a socket that is not its own, handed over as descriptor 3."""

    def __init__(self, folder, config, listening):
        super().__init__(folder, config)
        real, self.listening = self.program, listening
        number = listening.fileno()
        # The number of the process is known only to itself.
        script = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "{real}" "$@" 3<&{number}'
        launcher = self.folder / "launch"
        launcher.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        launcher.chmod(0o755)
        self.program = str(launcher)

    def start(self):
        super().start(pass_fds=[self.listening.fileno()])


main(body)
