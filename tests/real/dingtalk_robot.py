"""A DingTalk robot refuses inside HTTP 200. Herald must read the code, not the status.

The stand-in enforces the robot's `sign` setting: it computes the signature anew from the timestamp
in the query and the secret, as the open platform's page "Custom bot security settings" says.
"""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse

from herald import Far, Herald, check, failed_attach, main, outcomes

SECRET = "SEC0f6e2d4c8b1a3957e0f6e2d4c8b1a3957e0f6e2d4c8b1a3957e0f6e2d4c8b1a39"
TOKEN = "5bd35c51fbb348deb8ec6ef9a51e8b0b"


def sign(timestamp, secret):
    mac = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


class Robot:
    """Answers as a robot does: always HTTP 200, the code in the body."""

    def __init__(self):
        # Codes for messages whose text holds the word, one by one; 0 once they are used up.
        self.refusals = {}
        # Messages whose sign was right, with the path they came by; those that the group saw.
        self.signed = []
        self.shown = []

    def answer(self, request):
        path, _, body = request
        code, words = self.judge(path, body)
        return 200, json.dumps({"errcode": code, "errmsg": words}).encode()

    def judge(self, path, body):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query, strict_parsing=True)
        if query.get("access_token") != [TOKEN]:
            return 300001, "token is not exist"
        timestamp = query["timestamp"][0]
        if abs(time.time() * 1000 - int(timestamp)) > 3_600_000:
            return 310000, "invalid timestamp"
        if not hmac.compare_digest(query["sign"][0], sign(timestamp, SECRET)):
            return 310000, "sign not match"
        message = json.loads(body)
        self.signed.append((path, message))
        text = message["markdown"]["text"]
        for word, codes in self.refusals.items():
            if word in text and codes:
                return codes.pop(0)
        self.shown.append(message)
        return 0, "ok"


def body():
    robot = Robot()
    robot.refusals["eni-00000001"] = [(-1, "system busy"), (-1, "system busy")]
    robot.refusals["eni-00000002"] = [(430104, "content contains illegal words")] * 100
    with Far(robot.answer) as far:
        sinks = f"""
[sink.chat]
kind = "dingtalk"
webhook = "http://{far.address}/robot/send?access_token=${{env:ROBOT}}"
secret = "${{env:SIGN}}"
[sink.chat.retry]
first = "100ms"

[sink.wrong-secret]
kind = "dingtalk"
webhook = "http://{far.address}/robot/send?access_token=${{env:ROBOT}}"
secret = "SECwrong"
"""
        with Herald(sinks, {"ROBOT": TOKEN, "SIGN": SECRET}) as herald:
            event = herald.send(failed_attach(1))
            delivery = herald.delivery_when(
                event, "chat", "success after two refusals", lambda one: one["state"] == "delivered"
            )
            check(
                outcomes(delivery) == ["transient", "transient", "delivered"],
                "errcode -1 inside HTTP 200 is tried again and not called delivered",
            )
            check("system busy" in delivery["attempts"][0]["reason"], "with the robot's words as reason")
            check(len(robot.shown) == 1, "the group saw the message once")
            check(
                all(word in robot.shown[0]["markdown"]["text"] for word in ("eni-00000001", "failed")),
                "which names the ENI and how it ended",
            )
            paths = {path for path, _ in robot.signed}
            check(len(robot.signed) == len(paths) == 3, "each of the three attempts was signed anew")
            uuids = {message["msgUuid"] for _, message in robot.signed}
            check(len(uuids) == 1, "under one msgUuid")

            event = herald.send(failed_attach(2))
            dead = herald.delivery_when(
                event, "chat", "end of what the robot will never take", lambda one: one["state"] != "pending"
            )
            check(dead["state"] == "dead", "errcode 430104 inside HTTP 200 is a dead letter")
            check(
                "430104" in dead["reason"] and "illegal words" in dead["reason"],
                "with the robot's code and words as reason",
            )
            check(outcomes(dead) == ["permanent"], "after one attempt")

            fault = herald.delivery_when(
                event, "wrong-secret", "attempt with a wrong secret", lambda one: one["attempts"]
                and one["attempts"][0]["outcome"]
            )
            check(outcomes(fault)[0] == "sink-fault", "a wrong sign is the sink's fault")
            check(
                fault["state"] == "pending" and fault["attemptCount"] == 0,
                "so the delivery waits and no attempt is charged",
            )
            totals = herald.ask("/v1/status")["totals"]
            check(
                (totals["delivered"], totals["dead"], totals["pending"]) == (1, 1, 2),
                "of four deliveries one is delivered, one dead, two wait",
            )
            told = json.dumps(herald.ask("/v1/deliveries")) + "\n".join(herald.log)
            check(TOKEN not in told and SECRET not in told, "neither token nor secret is told anywhere")


main(body)
