"""CloudEvents sent by the public JavaScript SDK's own transport: binary, structured and in a batch."""

import base64
import json
import os
import pathlib
import subprocess

from herald import Herald, check, main


def body():
    script = pathlib.Path(__file__).with_suffix(".mjs")
    with Herald("") as herald:
        ran = subprocess.run(
            ["node", str(script), herald.url],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=60,
            env={**os.environ, "NO_PROXY": "*"},
        )
        said = json.loads(ran.stdout)

        def stored(line):
            found = herald.ask(f"/v1/events/{line['id']}")["event"]
            return found["event"] if "event" in found else found

        for mode, number in (("binary", 1), ("structured", 2)):
            check([line["status"] for line in said[mode]] == ["accepted"], f"{mode}: accepted")
            event = stored(said[mode][0])
            check(event["id"] == f"node-{number}", f"{mode}: the id is the sender's")
            check(event["content"] == said["data"], f"{mode}: the data is the sender's")
        check(said["subject"] in stored(said["structured"][0]).values(), "the subject is the sender's")
        again = [line["status"] for line in said["again"]]
        check(again == ["duplicate"] * 3, f"in either mode a repeat is one: {again}")
        check(stored(said["text"][0])["content"] == "网卡", "data that is text stays text")
        kept = stored(said["bytes"][0])
        packed = base64.b64encode(bytes([0, 255, 1])).decode()
        check(packed in json.dumps(kept), "data that is bytes stays what it is, in Base64")
        statuses = [line["status"] for line in said["batch"]["results"]]
        check(statuses == ["accepted", "duplicate", "accepted"], f"a batch: {statuses}")
        check(herald.ask("/v1/status")["totals"]["events"] == 6, "six events, each once")


main(body)
