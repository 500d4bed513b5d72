"""CloudEvents made by the public Python SDK: structured, binary and in a batch, into Herald and out of
it again.

What Herald stores is compared with what the SDK was given; what its callbacks carry is read by the SDK.
"""

import http.client
import json
import urllib.parse
from datetime import datetime, timezone

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_http,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from herald import Far, Herald, check, main, until

SINKS = """
[sink.structured]
kind = "callback"
url = "http://{far}/structured"
allow_addresses = ["127.0.0.1/32"]
format = "cloudevents"
[sink.binary]
kind = "callback"
url = "http://{far}/binary"
allow_addresses = ["127.0.0.1/32"]
format = "cloudevents-binary"
"""

# Everything that has to be encoded in a header: a space, a quote, a percent sign, Chinese, an emoji.
SUBJECT = 'eni "eni-1" 100% 网卡 😀'
DATA = {"device": "eni-1", "说明": "网卡 😀", "big": 12345678901234567890123, "none": None}

TIME = datetime(2026, 1, 2, 3, 4, 5, 678000, timezone.utc)


def event(number):
    return CloudEvent(
        {
            "id": f"python-{number}",
            "source": "https://example.com/python",
            "type": "com.example.attached",
            "subject": SUBJECT,
            "time": TIME,
            "datacontenttype": "application/json",
            "aliyunaccountid": "1690700000000030",
        },
        DATA,
    )


def post(herald, message):
    connection = http.client.HTTPConnection(urllib.parse.urlparse(herald.url).netloc, timeout=30)
    connection.request("POST", "/v1/events", message.body, message.headers)
    answer = connection.getresponse()
    results = json.loads(answer.read())["results"]
    connection.close()
    return answer.status, results


def one(herald, message, status):
    code, results = post(herald, message)
    check(
        code == 200 and [line["status"] for line in results] == [status],
        f"answered {status}: {code} {results}",
    )
    return results[0]["id"]


def stored(herald, identity, number):
    found = herald.ask(f"/v1/events/{identity}")["event"]
    canonical = found["event"] if "event" in found else found
    check(canonical["id"] == f"python-{number}", f"python-{number}: the id is the sender's")
    check(canonical["content"] == DATA, f"python-{number}: the data is the sender's, digit by digit")
    check(SUBJECT in canonical.values(), f"python-{number}: the subject is, character by character")


def body():
    with Far(lambda request: (200, b"{}")) as far, Herald(SINKS.format(far=far.address)) as herald:
        binary = to_binary_event(event(1))
        check("ce-id" in {name.lower() for name in binary.headers}, "the SDK makes headers")
        stored(herald, one(herald, binary, "accepted"), 1)
        structured = to_structured_event(event(2))
        stored(herald, one(herald, structured, "accepted"), 2)
        # The same event in the other mode is the same event.
        one(herald, to_structured_event(event(1)), "duplicate")
        one(herald, to_binary_event(event(2)), "duplicate")

        batch = [json.loads(to_structured_event(event(number)).body) for number in (3, 1, 4)]
        kind = {"content-type": "application/cloudevents-batch+json"}
        code, results = post(herald, HTTPMessage(kind, json.dumps(batch).encode()))
        statuses = [line["status"] for line in results]
        check(code == 200 and statuses == ["accepted", "duplicate", "accepted"], f"a batch: {statuses}")
        stored(herald, results[0]["id"], 3)

        # Without an attribute that every event has, it is refused by its name, in both modes.
        for name in ("id", "source", "type", "specversion"):
            message = to_binary_event(event(9))
            headers = {key: value for key, value in message.headers.items() if key.lower() != f"ce-{name}"}
            code, results = post(herald, HTTPMessage(headers, message.body))
            check(code == 400 and f"`{name}`" in results[0]["reason"], f"binary without {name}")
            document = json.loads(to_structured_event(event(9)).body)
            del document[name]
            kind = {"content-type": "application/cloudevents+json"}
            code, results = post(herald, HTTPMessage(kind, json.dumps(document).encode()))
            check(code == 400 and results[0]["status"] == "refused", f"structured without {name}")

        until("callback for each of four events in both modes", lambda: len(far.requests) >= 8)
        seen = {}
        for path, headers, text in far.requests:
            read = from_http(HTTPMessage(headers, text), JSONFormat())
            data = read.get_data()
            data = json.loads(data) if isinstance(data, (str, bytes)) else data
            seen.setdefault(path, {})[read.get_id()] = (read, data)
        for path, events in sorted(seen.items()):
            check(set(events) == {f"python-{n}" for n in (1, 2, 3, 4)}, f"{path}: each of them")
            for read, data in events.values():
                check(data == DATA and read.get_time() == TIME, f"{path}: the SDK reads {read.get_id()} as it was made")
        check(set(seen) == {"/structured", "/binary"}, "both modes came")


main(body)
