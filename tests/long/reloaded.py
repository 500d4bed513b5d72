"""A reload every 100 ms under load, by file and by signal, now and then of a broken file: what is
delivered is the same as without.

Two configurations take turns that mean the same but are not: time-outs, patience, the order of the
sinks. Two sinks stay in both, by name.
"""

import http.client
import json
import os
import signal
import tempfile
import threading
import time

from common import Receiver, Router, Wrong, check, event, main, until

SECONDS = float(os.environ.get("SECONDS_OF_LOAD", "15"))
EVERY = 0.1


def config(receiver, turn):
    sinks = [
        f"""
[sink.{name}]
kind = "callback"
url = "http://{receiver}/{name}"
timeout = "{5 + turn}s"
lane_patience = "{1 + turn}m"
allow_addresses = ["127.0.0.0/8"]
"""
        for name in ("runbook", "audit")
    ]
    if turn:
        sinks.reverse()
    return f"""
[server]
listen = "127.0.0.1:0"
drain = "5s"
{"".join(sinks)}
[[subscription]]
name = "all"
to = ["runbook", "audit"]

[[subscription]]
name = "odd"
to = ["audit"]
when.content.eniId = [{{ suffix = "1" }}, {{ suffix = "3" }}]
"""


def reload_again_and_again(router, receiver, stop, done):
    turn = 0
    while not stop.wait(EVERY):
        turn += 1
        text = "[sink.runbook\n" if turn % 7 == 0 else config(receiver, turn % 2)
        beside = router.folder / "config.new"
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, router.file)
        if turn % 2:
            os.kill(router.process.pid, signal.SIGHUP)
        done.append(turn)


def body():
    with (
        tempfile.TemporaryDirectory(prefix="herald-long-") as folder,
        Receiver(lambda _key, _seen: 204) as receiver,
    ):
        router = Router(folder, config(receiver.address, 0))
        router.start()
        stop, turns = threading.Event(), []
        reloading = threading.Thread(
            target=reload_again_and_again, args=(router, receiver.address, stop, turns)
        )
        reloading.start()
        connection = http.client.HTTPConnection(router.url, timeout=30)
        sent, ids = 0, {}
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            batch = [event(sent + n) for n in range(5)]
            sent += len(batch)
            connection.request(
                "POST", "/v1/events", json.dumps(batch), {"content-type": "application/json"}
            )
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status != 200:
                raise Wrong(f"{answer.status}: {said}")
            for one, result in zip(batch, said["results"], strict=True):
                ids[result["id"]] = one["content"]["eniId"]
            time.sleep(0.01)
        stop.set()
        reloading.join()
        until("end of all deliveries", lambda: router.totals()["pending"] == 0)
        log = "\n".join(router.log)
        # The last words of a log may not have been read yet.
        router.stop()
        taken, refused = log.count("the configuration was reloaded"), log.count("was not reloaded")
        check(len(ids) == sent > 100, f"{sent} events were accepted during {len(turns)} changes of the file")
        check(
            taken > len(turns) / 4 and refused > 0,
            f"{taken} of them were taken, {refused} refused",
        )
        wanted = {
            (one, subscription, sink)
            for one, eni in ids.items()
            for subscription, sink in [("all", "runbook"), ("all", "audit"), ("odd", "audit")]
            if subscription == "all" or eni[-1] in "13"
        }
        came = [
            (item["event"]["id"], item["subscription"], key)
            for key, seen in receiver.seen.items()
            for sent_body, _ in seen
            for item in json.loads(sent_body)["items"]
        ]
        check(len(came) == len(wanted), f"{len(came)} deliveries, each of them once")
        check(
            sorted(subscription for _, subscription, _ in came)
            == sorted(subscription for _, subscription, _ in wanted),
            "and those of the same subscriptions as without a reload",
        )
        twice = [key for key, seen in receiver.seen.items() if len(seen) > 1]
        check(not twice, "no key came twice")


main(body)
