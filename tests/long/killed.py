"""The router under load, killed with SIGKILL at random instants and started again, round after round.

What it acknowledged is there afterwards: each event has its delivery, each delivery ends delivered,
nothing is lost, the counters are conserved at every start. What arrived twice came under one key with
the same bytes. Some rounds are killed in the middle of a reload or of a backup; the backups can be
started on.

ROUNDS (50) and SEED set how many kills and which.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time

from common import Receiver, Router, Wrong, check, event, main, until

ROUNDS = int(os.environ.get("ROUNDS", "50"))
SEED = int(os.environ.get("SEED", str(time.time_ns() % 1_000_000)))


def config(receiver, port=0):
    return f"""
[server]
listen = "127.0.0.1:{port}"
drain = "5s"

[sink.runbook]
kind = "callback"
url = "http://{receiver}/eni"
timeout = "2s"
allow_addresses = ["127.0.0.0/8"]
[sink.runbook.retry]
first = "50ms"
factor = 1.5
longest = "1s"
give_up_after = "1d"

[[subscription]]
name = "all"
to = ["runbook"]
"""


class Sender:
    """Posts batches as long as the router lives. A batch without an answer is sent again later, as
    any sender would; what was acknowledged is written down."""

    def __init__(self, router, dice):
        self.router, self.dice = router, dice
        self.next = 0
        self.unanswered = []
        # Sender's id to Herald's id.
        self.acknowledged = {}
        self.duplicates = 0

    def run(self, stop):
        """Sends until `stop`, or until the router is gone."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(self.router.url, timeout=30)
            with contextlib.closing(connection):
                while not stop.is_set():
                    if not self.unanswered:
                        size = self.dice.randint(1, 20)
                        self.unanswered = [event(self.next + n) for n in range(size)]
                        self.next += size
                    self.post(connection)

    def post(self, connection):
        body = json.dumps(self.unanswered)
        connection.request("POST", "/v1/events", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status == 503:
            time.sleep(0.05)
            return
        if answer.status != 200:
            raise Wrong(f"{answer.status}: {said}")
        for sent, result in zip(self.unanswered, said["results"], strict=True):
            known = self.acknowledged.setdefault(sent["id"], result["id"])
            if known != result["id"]:
                raise Wrong(f"{sent['id']} was {known} and is now {result['id']}")
            self.duplicates += result["status"] == "duplicate"
        self.unanswered = []


def disturb(router, dice, number):
    """In some rounds something is under way when the kill comes."""
    if number % 5 == 1:
        os.kill(router.process.pid, signal.SIGHUP)
    elif number % 5 == 3:
        file = router.folder / f"backup-{number}.db"
        return file, subprocess.Popen(
            [router.program, "backup", str(file), "-c", str(router.file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return None


def body():
    print(f"{ROUNDS} rounds, SEED={SEED}", flush=True)
    dice = random.Random(SEED)
    healthy = threading.Event()
    whims = random.Random(SEED + 1)

    def judge(_key, _seen):
        if healthy.is_set():
            return 204
        return whims.choices([204, 503, 0.2, 500], [80, 10, 5, 5])[0]

    with tempfile.TemporaryDirectory(prefix="herald-long-") as folder, Receiver(judge) as receiver:
        router = Router(folder, config(receiver.address))
        sender = Sender(router, dice)
        backups = []
        for number in range(ROUNDS):
            router.start()
            router.totals()
            stop = threading.Event()
            sending = threading.Thread(target=sender.run, args=(stop,))
            sending.start()
            time.sleep(dice.uniform(0.01, 1.2))
            under_way = disturb(router, dice, number)
            time.sleep(dice.uniform(0.0, 0.05))
            router.kill()
            stop.set()
            sending.join()
            if under_way:
                file, process = under_way
                if process.wait(60) == 0:
                    backups.append(file)
        router.start()
        healthy.set()
        done = until("end of all deliveries", lambda: drained(router), 300)
        judge_all(router, receiver, sender, done)
        router.stop()
        check(len(backups) > 0, f"{len(backups)} backups were whole")
        start_on(backups[-1], receiver)


def drained(router):
    totals = router.totals()
    return totals if totals["pending"] == 0 else None


def judge_all(router, receiver, sender, totals):
    acknowledged = set(sender.acknowledged.values())
    check(len(acknowledged) == len(sender.acknowledged), f"{len(acknowledged)} events were acknowledged")
    deliveries = router.deliveries()
    check(totals["planned"] == len(deliveries), f"{totals}")
    of_events = {one["event"] for one in deliveries}
    missing = acknowledged - of_events
    check(not missing, "each of them has its delivery, however often the router was killed")
    states = {one["state"] for one in deliveries}
    check(states == {"delivered"}, "and each delivery was made")
    check(len(of_events) == len(deliveries), "no event was planned twice")
    took = {}
    twice = again = 0
    for key, seen in receiver.seen.items():
        bodies = {sent for sent, _ in seen}
        if len(bodies) != 1:
            raise Wrong(f"{key} came with {len(bodies)} different bodies")
        accepted = sum(verdict == 204 for _, verdict in seen)
        twice += accepted > 1
        again += len(seen) > 1
        for item in json.loads(bodies.pop())["items"]:
            if took.setdefault(item["delivery"], key) != key:
                raise Wrong(f"{item['delivery']} came under two keys")
        if not accepted:
            raise Wrong(f"{key} is called delivered, but the receiver never took it")
    check(
        {one["id"] for one in deliveries} == set(took),
        f"the receiver took each of them: {again} keys came more than once, {twice} of them after it "
        "had taken them, all with the same bytes",
    )
    print(f"ok: {sender.duplicates} events that were sent again were recognised", flush=True)


def start_on(backup, receiver):
    with tempfile.TemporaryDirectory(prefix="herald-backup-") as folder:
        router = Router(folder, config(receiver.address))
        os.replace(backup, router.folder / "herald.db")
        router.start()
        totals = until("end of what waited in the backup", lambda: drained(router), 300)
        router.stop()
        check(totals["planned"] > 0, f"the last of them was started on: {totals}")


main(body)
