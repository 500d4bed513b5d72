"""A callback's signature is right in the eyes of the public verifier, at every attempt."""

import json
from datetime import datetime, timezone

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from herald import Far, Herald, check, failed_attach, main, outcomes

SECRET = "whsec_aGVyYWxkLXJlYWwtaGVyYWxkLXJlYWwtaGVyYWxkLTE="
OTHER = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q="


def refuses(verifier, body, headers):
    try:
        verifier.verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def body():
    answers = [(503, b"later"), (200, b"thanks")]
    with Far(lambda _: answers.pop(0)) as far:
        sinks = f"""
[sink.runbook]
kind = "callback"
url = "http://{far.address}/eni"
secret = "${{env:CALLBACK_SECRET}}"
allow_addresses = ["127.0.0.0/8"]
[sink.runbook.retry]
first = "1500ms"
"""
        with Herald(sinks, {"CALLBACK_SECRET": SECRET}) as herald:
            event = herald.send(failed_attach(1))
            delivery = herald.delivery_when(
                event, "runbook", "success after a 503", lambda one: one["state"] == "delivered"
            )
        check(outcomes(delivery) == ["transient", "delivered"], "a 503 is tried again, a 200 is the end")

        bodies = [request[2] for request in far.requests]
        headers = [{key.lower(): value for key, value in request[1].items()} for request in far.requests]
        for attempt, (content, header) in enumerate(zip(bodies, headers), 1):
            Webhook(SECRET).verify(content, header)
            check(True, f"standardwebhooks verifies attempt {attempt}")
            check(refuses(Webhook(OTHER), content, header), "and refuses it under another secret")
            tampered = content.replace(b"failed", b"passed")
            check(refuses(Webhook(SECRET), tampered, header), "and with another body")

        keys = {header["webhook-id"] for header in headers}
        sent = json.loads(bodies[0])
        check(len(bodies) == 2 and keys == {sent["id"]}, "both attempts bear the message's id as their key")
        check(bodies[0] == bodies[1], "and the same bytes")
        times = [int(header["webhook-timestamp"]) for header in headers]
        check(times[0] < times[1], "with a timestamp of their own")
        check(
            headers[0]["webhook-signature"] != headers[1]["webhook-signature"],
            "and a signature of their own",
        )
        now = datetime.now(timezone.utc).timestamp()
        check(abs(now - times[1]) < 60, "which is the time of the attempt")
        item = sent["items"][0]
        check(item["delivery"] == delivery["id"], "the body names the delivery")
        check(item["event"]["content"] == failed_attach(1)["content"], "and holds the event as it was sent")


main(body)
