"""Memory over minutes of full load: senders of batches and of single events as fast as the router takes
them, a receiver for some of what they bring, and the router's memory every few seconds.

`MINUTES` (10 by default) says how long. Not among the checks that run by themselves: it is a measurement,
and it writes as much to the disk as `journal.max_size` below allows.
"""

import json
import multiprocessing
import os
import pathlib
import re
import statistics
import tempfile
import time
from http.client import HTTPConnection, HTTPException

from common import Receiver, Router, check, event, main

MINUTES = float(os.environ.get("MINUTES", "10"))

CONFIG = """
[server]
listen = "127.0.0.1:0"
[journal]
path = "herald.db"
keep = "1h"
dedup_window = "1m"
max_size = "2 GiB"
[sink.far]
kind = "callback"
url = "http://{far}/"
allow_addresses = ["127.0.0.1/32"]
[[subscription]]
name = "critical"
to = ["far"]
[subscription.when]
level = "CRITICAL"
"""

# Growth from the second fifth of the time to the last that still counts as flat: what the allocator and
# the journal's cache may differ by. Chosen.
SHARE = 1.10
BESIDE_KIB = 16 << 10

# One sender of batches and one of single events for each of so many.
PAIRS = 2
BATCH = 100


def bring(address, sender, size, over):
    """Posts events of its own until `over`; gives how many were accepted and how often it had to wait."""
    accepted = waits = 0
    number = sender * 1_000_000_000
    connection = HTTPConnection(address, timeout=60)
    while not over.is_set():
        lines = []
        for _ in range(size):
            number += 1
            lines.append(json.dumps(event(number, "CRITICAL" if number % 50 == 0 else "INFO")))
        try:
            connection.request("POST", "/v1/events", "\n".join(lines), {"content-type": "application/x-ndjson"})
            answer = connection.getresponse()
            body = answer.read()
        except (HTTPException, OSError):
            connection.close()
            continue
        if answer.status == 200:
            accepted += body.count(b'"accepted"')
        else:
            waits += 1
            time.sleep(0.05)
    return accepted, waits


def memory(router):
    """KiB that are the process's own: pages of files that are mapped can be taken back at any time."""
    status = pathlib.Path(f"/proc/{router.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)[1])


def body():
    with tempfile.TemporaryDirectory(prefix="herald-flat-") as folder, Receiver(lambda key, seen: 200) as far:
        router = Router(folder, CONFIG.format(far=far.address))
        router.start()
        context = multiprocessing.get_context("spawn")
        with context.Manager() as manager, context.Pool(2 * PAIRS) as pool:
            over = manager.Event()
            senders = [
                pool.apply_async(bring, (router.url, 2 * pair + half, size, over))
                for pair in range(PAIRS)
                for half, size in enumerate((BATCH, 1))
            ]
            samples = []
            began = time.monotonic()
            pause = min(5.0, MINUTES * 60 / 25)
            while time.monotonic() - began < MINUTES * 60:
                time.sleep(pause)
                far.seen.clear()
                at = time.monotonic() - began
                samples.append(memory(router))
                totals = router.totals()
                print(
                    f"   {at:6.0f} s  {samples[-1] / 1024:7.1f} MiB  {totals['events']:>10} events  "
                    f"{totals['pending']:>7} pending",
                    flush=True,
                )
            over.set()
            counts = [sender.get(120) for sender in senders]
        accepted = sum(one for one, _ in counts)
        waits = sum(one for _, one in counts)
        seconds = time.monotonic() - began
        print(f"   {accepted / seconds:.0f} events a second were accepted; {waits} times a sender had to wait")
        check(accepted > 0, f"{accepted} events were accepted")
        check(router.totals()["events"] > 0, "the counters are conserved")
        fifth = max(1, len(samples) // 5)
        early, late = statistics.median(samples[fifth : 2 * fifth]), statistics.median(samples[-fifth:])
        check(
            late <= early * SHARE + BESIDE_KIB,
            f"memory is flat: {early / 1024:.1f} MiB in the second fifth of the time, {late / 1024:.1f} in the last",
        )
        router.stop()


if __name__ == "__main__":
    main(body)
