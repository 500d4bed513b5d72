"""The console in a real browser, with events that try to act in it: nothing runs, nothing is fetched from
elsewhere, and the pages show event, verdict and delivery.
"""

import http.server
import json
import os
import pathlib
import subprocess
import threading

from herald import ACCOUNT, Far, Herald, check, failed_attach, main

SINK = """
[sink.far]
kind = "callback"
url = "http://{far}/"
allow_addresses = ["127.0.0.1/32"]
"""

# Each would set `ran`, fetch something or show a dialog where it is not escaped: as text, in an
# attribute with either quote, in a title, in what is shown as stored.
HOSTILE = [
    "<script>ran=1;alert(1)</script>",
    "\"><img src=x onerror=ran=1>",
    "'><svg onload=ran=1>",
    "</title><script>ran=1</script>",
    "</pre><iframe src=javascript:parent.ran=1>",
    "javascript:ran=1",
    "<meta http-equiv=refresh content=0;url=//127.0.0.1:9/>",
    "{{ 7*7 }}{% raw %}",
    "<base href=//127.0.0.1:9/>",
    "\u202e<b style=x onmouseover=ran=1>\u2028",
]


def hostile(number, text):
    """An event that has `text` wherever a sender may put one."""
    return {
        "id": f"{number}{text}",
        "product": text,
        "level": text,
        "name": text,
        "userId": ACCOUNT,
        "regionId": text,
        "resourceId": f"acs:ecs:cn-hangzhou:{ACCOUNT}:eni/{text}",
        "eventTime": text,
        text: text,
        "content": {"eniId": f"eni-{text}", "operation": text, "result": text, "requestId": text, text: [text]},
    }


class Foreign:
    """Another site: it keeps what is asked of it, and shows the console in a frame."""

    def __init__(self, herald):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                page = f"<iframe src='{herald.url}/'></iframe>" if self.path == "/framing" else ""
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("access-control-allow-origin", "*")
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


def is_quiet(herald, what, page):
    own = f"{herald.url}/"
    check(page["ran"] is None and not page["dialogs"], f"{what}: nothing runs")
    check(all(asked.startswith(own) for asked in page["requests"]), f"{what}: nothing is asked of others")
    check(not page["active"] and not page["handlers"], f"{what}: what is hostile is no element: {page['active']}")
    away = [link for link in page["links"] + page["forms"] if not link.startswith(own)]
    check(not away, f"{what}: no link leads away: {away}")


def body():
    here = pathlib.Path(__file__).parent
    with Far(lambda request: (200, b"{}")) as far, Herald(SINK.format(far=far.address)) as herald:
        plain = herald.send(failed_attach(7))
        ids = []
        for number, text in enumerate(HOSTILE):
            (result,) = herald.ask("/v1/events", hostile(number, text))["results"]
            check(result["status"] == "accepted", f"taken: {text!a}")
            ids.append(result["id"])
        operation = {
            "operation": HOSTILE[0], "requestId": HOSTILE[1], "userId": ACCOUNT, "result": HOSTILE[2],
            "error": None, "networkInterface": {"NetworkInterfaceId": HOSTILE[1], "Type": "Secondary"},
        }  # fmt: skip
        (result,) = herald.ask("/v1/operations", operation)["results"]
        check(result["status"] == "not-triggered", "an operation that nobody knows is kept")
        herald.delivery_when(plain, "far", "delivery", lambda one: one["state"] == "delivered")

        foreign = Foreign(herald)
        paths = ["/", "/deliveries", "/operations", "/status", "/events/nothing<script>", f"/events/{plain}"]
        paths += [f"/events/{one}" for one in ids]
        ran = subprocess.run(
            ["node", str(here / "console_browser.mjs"), herald.url, foreign.url, *paths],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=150,
            env=os.environ,
        )
        foreign.end()
        said = json.loads(ran.stdout)

        pages = dict(zip(paths, said["seen"]))
        for path, page in pages.items():
            is_quiet(herald, path, page)
            policy = page["policy"] or ""
            check("default-src 'none'" in policy and "script-src" not in policy, f"{path}: the policy is there")
        for path in ("/events/nothing<script>",):
            check(pages[path]["status"] == 404, "what is not there is 404")
        for text, one in zip(HOSTILE, ids):
            shown = pages[f"/events/{one}"]["text"]
            probe = text.strip("\u202e\u2028")
            check(probe in shown, f"what it says is shown as text: {text!a}")

        shown = pages[f"/events/{plain}"]["text"]
        for word in (plain, "AttachNetworkInterface", "eni-00000007", "all", "matched", "far", "delivered"):
            check(word in shown, f"the event's page shows `{word}`")
        check("eni-00000007" in pages["/"]["text"], "the list of events shows it")
        check("delivered" in pages["/deliveries"]["text"], "the list of deliveries does")
        check("planned" in pages["/status"]["text"].lower(), "the page of the status counts")
        check("unknown-operation" in pages["/operations"]["text"], "what triggered nothing says why")

        is_quiet(herald, "followed", said["followed"])
        check("/events/evt_" in said["followed"]["url"], "a click on an event opens its page")
        is_quiet(herald, "searched", said["searched"])

        injected = said["injected"]
        check(injected["ran"] is None, "script that got into a page would not run")
        stopped = {name.split("-")[0] for name in injected["violations"]}
        check({"script", "img", "connect"} <= stopped, f"the policy stops it: {sorted(set(injected['violations']))}")
        check(injected["url"] == f"{herald.url}/", "a form cannot send it elsewhere")
        asked = [path for path in foreign.asked if path not in ("/framing", "/favicon.ico")]
        check(not asked, f"nothing was asked of the other site: {asked}")
        check(all("Herald" not in text for text in said["framed"]), "another site cannot show it in a frame")


main(body)
