"""A queue that speaks the documented protocol of Simple Message Queue (formerly MNS), checks every
signature, and fails as real ones do. Every message must end as one event.

Written from Alibaba Cloud's pages "Sign requests", "BatchReceiveMessage", "BatchDeleteMessage",
"GetQueueAttributes" and "Error codes" alone; it shares no code with Herald.
"""

import base64
import hashlib
import hmac
import http.server
import json
import random
import threading
import time
import urllib.parse
import xml.etree.ElementTree as xml
from email.utils import parsedate_to_datetime
from xml.sax.saxutils import escape

from herald import Far, Herald, check, failed_attach, main, until

KEY_ID, SECRET = "LTAI5tExample", "hQ7exampleSecretOfSmq"
NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
MESSAGES = 400


def signature(method, headers, resource):
    mns = sorted((k.lower(), v.strip()) for k, v in headers.items() if k.lower().startswith("x-mns-"))
    text = "\n".join([
        method,
        headers.get("Content-MD5", ""),
        headers.get("Content-Type", ""),
        headers.get("x-mns-date") or headers.get("Date", ""),
        *(f"{name}:{value}" for name, value in mns),
        resource,
    ])
    return base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Queue:
    """Messages with receipts that expire, and a plan of faults."""

    def __init__(self, visibility=1.5):
        self.lock = threading.Lock()
        self.visibility = visibility
        self.waiting = []  # [body, visible at, receipt, received how often, enqueued at]
        self.deleted = []
        self.dice = random.Random(20190409)
        self.is_calm = False
        self.faults = {}
        self.refused = []

    def send(self, body):
        with self.lock:
            self.waiting.append([body, 0.0, None, 0, int(time.time() * 1000)])

    def fault(self, name, chance):
        if self.is_calm or self.dice.random() >= chance:
            return False
        self.faults[name] = self.faults.get(name, 0) + 1
        return True

    def receive(self, count):
        now = time.time()
        with self.lock:
            found = [message for message in self.waiting if message[1] <= now][:count]
            for message in found:
                message[1] = now + self.visibility
                message[2] = f"{self.dice.randrange(1 << 40)}-{base64.b64encode(str(now).encode()).decode()}"
                message[3] += 1
            return [list(message) for message in found]

    def delete(self, receipt):
        now = time.time()
        with self.lock:
            for message in self.waiting:
                if message[2] == receipt and message[1] > now:
                    self.waiting.remove(message)
                    self.deleted.append(message)
                    return True
        return False


def handler(queue):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def say(self, status, text=""):
            body = text.encode()
            self.send_response(status)
            self.send_header("x-mns-version", "2015-06-06")
            if status != 204:
                self.send_header("Content-Type", "text/xml;charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def fail(self, status, code):
            self.say(status, f'<?xml version="1.0"?>\n<Error xmlns="{NAMESPACE}"><Code>{code}</Code>'
                             f"<Message>{code} it is.</Message><RequestId>1</RequestId></Error>")

        def is_signed(self):
            named, _, given = self.headers.get("Authorization", "").partition(":")
            date = parsedate_to_datetime(self.headers["Date"]).timestamp()
            good = (
                named == f"MNS {KEY_ID}"
                and hmac.compare_digest(given, signature(self.command, self.headers, self.path))
                and abs(time.time() - date) < 900
                and self.headers.get("x-mns-version") == "2015-06-06"
            )
            if not good:
                queue.refused.append(self.path)
                self.fail(403, "SignatureDoesNotMatch")
            return good

        def do_GET(self):
            if not self.is_signed():
                return
            path, _, query = self.path.partition("?")
            query = dict(urllib.parse.parse_qsl(query))
            if path == "/queues/eni-events":
                with queue.lock:
                    active = len(queue.waiting)
                return self.say(200, f'<Queue xmlns="{NAMESPACE}"><ActiveMessages>{active}</ActiveMessages>'
                                     "<InactiveMessages>0</InactiveMessages></Queue>")
            if path != "/queues/eni-events/messages":
                return self.fail(404, "QueueNotExist")
            if queue.fault("500 at receipt", 0.1):
                return self.fail(500, "InternalError")
            deadline = time.time() + int(query["waitseconds"])
            while not (found := queue.receive(int(query["numOfMessages"]))):
                if time.time() > deadline:
                    return self.fail(404, "MessageNotExist")
                time.sleep(0.05)
            if queue.fault("receipt lost", 0.1):
                self.close_connection = True
                return None
            if queue.fault("slow", 0.05):
                time.sleep(queue.visibility + 0.2)
            texts = [
                f"<Message><MessageId>{receipt[:8]}</MessageId><ReceiptHandle>{escape(receipt)}</ReceiptHandle>"
                f"<MessageBody>{escape(body)}</MessageBody><EnqueueTime>{sent}</EnqueueTime>"
                f"<NextVisibleTime>{int(until_ * 1000)}</NextVisibleTime><FirstDequeueTime>{sent}</FirstDequeueTime>"
                f"<DequeueCount>{count}</DequeueCount><Priority>8</Priority></Message>"
                for body, until_, receipt, count, sent in found
            ]
            return self.say(200, f'<?xml version="1.0" encoding="UTF-8"?>\n<Messages xmlns="{NAMESPACE}">'
                                 f'{"".join(texts)}</Messages>')

        def do_DELETE(self):
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if not self.is_signed():
                return None
            handles = [one.text for one in xml.fromstring(body).iter(f"{{{NAMESPACE}}}ReceiptHandle")]
            if queue.fault("500 at deletion", 0.1):
                return self.fail(500, "InternalError")
            if queue.fault("receipts expired before deletion", 0.05):
                time.sleep(queue.visibility)
            bad = [handle for handle in handles if not queue.delete(handle)]
            if queue.fault("answer to deletion lost", 0.1):
                self.close_connection = True
                return None
            if not bad:
                return self.say(204)
            errors = "".join(
                "<Error><ErrorCode>ReceiptHandleError</ErrorCode><ErrorMessage>not valid</ErrorMessage>"
                f"<ReceiptHandle>{escape(handle)}</ReceiptHandle></Error>" for handle in bad
            )
            return self.say(404, f'<Errors xmlns="{NAMESPACE}">{errors}</Errors>')

        def log_message(self, *_):
            pass

    return Handler


def body():
    queue = Queue()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(queue))
    # A request that Herald has given up finds nobody to answer to.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for number in range(MESSAGES):
        event = json.dumps(failed_attach(number))
        # Many SDKs send Base64; and some messages are sent twice.
        queue.send(base64.b64encode(event.encode()).decode() if number % 3 == 0 else event)
        if number % 10 == 0:
            queue.send(event)
    queue.send("this is no event & never will be")

    with Far(lambda _: (200, b"")) as far:
        config = f"""
[source.queue]
kind = "smq"
endpoint = "http://127.0.0.1:{server.server_port}"
queue = "eni-events"
access_key_id = "{KEY_ID}"
access_key_secret = "${{env:SMQ_KEY_SECRET}}"
wait = "1s"
timeout = "5s"

[sink.hook]
kind = "callback"
url = "http://{far.address}/"
allow_addresses = ["127.0.0.1/32"]
"""
        with Herald(config, {"SMQ_KEY_SECRET": SECRET}) as herald:
            def events():
                return herald.ask("/v1/status")["totals"]["events"]

            until("half of the events", lambda: events() >= MESSAGES // 2)
            queue.send(json.dumps(failed_attach(MESSAGES)))
            until("all events", lambda: events() >= MESSAGES + 1)
            queue.is_calm = True
            until("an empty queue", lambda: not queue.waiting)
            check(events() == MESSAGES + 1, f"{MESSAGES + 1} messages, some sent twice, are as many events")
            again = sum(1 for message in queue.deleted if message[3] > 1)
            check(again > 0, f"{again} messages came more than once and were recognised")
            check(len(queue.faults) >= 5, f"through these faults: {queue.faults}")
            check(not queue.refused, "every request was signed as documented")
            metrics = herald.text("/metrics")
            check(
                'herald_items_total{source="queue",status="refused"}' in metrics,
                "the message that is no event was refused, and is not in the queue any more",
            )
            until(
                "a queue that is told to be empty",
                lambda: 'herald_source_backlog_messages{source="queue"} 0' in herald.text("/metrics"),
            )
            check("herald_source_oldest_seconds" in metrics, "backlog and age are told")
            check(
                any("is refused: not JSON" in line for line in herald.log) and SECRET not in "\n".join(herald.log),
                "the log says why, and no secret",
            )
    server.shutdown()


main(body)
