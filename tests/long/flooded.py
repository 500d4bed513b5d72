"""500 events in 5 s to a DingTalk robot that counts: it takes 20 messages in any window, refuses the
next inside HTTP 200, and then everything for ten windows. The window is shortened from a minute to
six seconds, in the robot and in the configuration alike.

No message is refused, every event stands in a message that was taken, and WARN comes before INFO.
"""

import http.client
import json
import re
import tempfile
import time
from statistics import mean

from common import Receiver, Router, Wrong, check, event, main, until

EVENTS = 500
WINDOW = 6.0
TAKES = 20


class Robot(Receiver):
    """A robot's rule, as the open platform's page on custom robots has it."""

    def __init__(self):
        super().__init__(None)
        self.times = []
        self.refused = 0
        self.punished_until = 0.0
        # When each message was taken, with its text.
        self.taken = []

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"content-length: (\d+)", head, re.I)[1])
                answer = json.dumps(self.answer(json.loads(await reader.readexactly(length)))).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
                await writer.drain()
        except (ConnectionError, EOFError):
            writer.close()

    def answer(self, message):
        now = time.monotonic()
        self.times = [at for at in self.times if now - at < WINDOW] + [now]
        if len(self.times) > TAKES or now < self.punished_until:
            self.punished_until = now + 10 * WINDOW
            self.refused += 1
            return {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}
        self.taken.append(message["markdown"]["text"])
        return {"errcode": 0, "errmsg": "ok"}


def config(robot):
    return f"""
[server]
listen = "127.0.0.1:0"

[sink.chat]
kind = "dingtalk"
webhook = "http://{robot}/robot/send?access_token=0123456789abcdef"
[sink.chat.limit]
messages = 18
per = "{WINDOW:.0f}s"

[[subscription]]
name = "all"
to = ["chat"]
"""


def told(number):
    one = event(number, "WARN" if number % 10 == 7 else "INFO")
    eni = f"eni-flood{number:08d}"
    one["resourceId"] = one["resourceId"].rpartition("/")[0] + "/" + eni
    one["content"]["eniId"] = eni
    return one


def body():
    with tempfile.TemporaryDirectory(prefix="herald-long-") as folder, Robot() as robot:
        router = Router(folder, config(robot.address))
        router.start()
        connection = http.client.HTTPConnection(router.url, timeout=30)
        began = time.monotonic()
        for number in range(EVENTS):
            time.sleep(max(0.0, began + number * 5 / EVENTS - time.monotonic()))
            body = json.dumps(told(number))
            connection.request("POST", "/v1/events", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise Wrong(f"{answer.status}: {said}")
        spent = time.monotonic() - began
        totals = until(
            "end of all deliveries",
            lambda: (now := router.totals())["pending"] == 0 and now,
        )
        router.stop()
        check(robot.refused == 0, f"{EVENTS} events in {spent:.1f} s, and the robot refused nothing")
        check(totals["delivered"] == EVENTS, f"{totals}")
        order = [int(n) for text in robot.taken for n in re.findall(r"eni-flood(\d{8})\b", text)]
        first = list(dict.fromkeys(order))
        check(
            sorted(first) == list(range(EVENTS)),
            f"each of them stands in one of {len(robot.taken)} messages",
        )
        for text in robot.taken:
            levels = re.findall(r"#### (?:🟢|🟠) (INFO|WARN)", text)
            if levels != sorted(levels, reverse=True):
                raise Wrong(f"INFO stands before WARN in {text}")
        print("ok: in each message WARN stands before INFO", flush=True)
        warned = [at for at, number in enumerate(first) if number % 10 == 7]
        calm = [at for at, number in enumerate(first) if number % 10 != 7]
        check(mean(warned) < mean(calm), "and of what waited WARN left first")


main(body)
