"""Signing in to the console in a real browser, over HTTP and HTTPS: the form, a wrong token, a link from
another site, what scripts see of the cookie, and signing out.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import urllib.request

import trustme

from herald import Herald, check, failed_attach, main

TOKEN = "console-token-0123456789"

# Inline tables, since [server] is still open where they go.
TOKENS = f'token = [{{ name = "ops", token = "{TOKEN}", roles = ["read", "intake"] }}]'


class Foreign:
    """Another site, under a name of its own: a page with a link into the console, and one that posts to
    it by itself."""

    def __init__(self, herald, event):
        pages = {
            "/link": f"<a href='{herald.url}/events/{event}'>the event</a>",
            "/attack": f"<form method=post action='{herald.url}/session/end'></form>"
            "<script>document.forms[0].submit()</script>",
        }

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(pages.get(self.path, "").encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


def send(herald, event):
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(herald.url + "/v1/events", json.dumps(event).encode(), headers)
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=herald.context)]
    with urllib.request.build_opener(*handlers).open(request, timeout=10) as answer:
        return json.load(answer)["results"][0]["id"]


def browse(herald, what):
    here = pathlib.Path(__file__).parent
    event = send(herald, failed_attach(7))
    foreign = Foreign(herald, event)
    ran = subprocess.run(
        ["node", str(here / "console_session.mjs"), herald.url, foreign.url, event, TOKEN],
        stdout=subprocess.PIPE, check=True, text=True, timeout=120, env=os.environ,
    )  # fmt: skip
    foreign.end()
    said = json.loads(ran.stdout)
    check(said["asked"]["status"] == 401 and "Sign in" in said["asked"]["text"], f"{what}: a page asks for a token")
    check("this token is not known" in said["wrong"]["text"], f"{what}: a wrong one is told so")
    check(said["begun"]["url"].endswith("/deliveries?state=dead"), f"{what}: the right one leads where one was going")
    check("Dead letters" in said["begun"]["text"], f"{what}: and shows the page")
    cookie = said["cookie"]
    check(cookie["httpOnly"] and cookie["sameSite"] == "Strict", f"{what}: the cookie is HttpOnly and SameSite=Strict")
    secure = herald.url.startswith("https")
    name = "__Host-herald-session" if secure else "herald-session"
    check(cookie["secure"] == secure and cookie["name"] == name, f"{what}: it is `{name}`, Secure: {secure}")
    check(TOKEN not in json.dumps(cookie), f"{what}: it does not hold the token")
    check(said["script"] == "", f"{what}: scripts do not see it")
    check("eni-00000007" in said["linked"]["text"], f"{what}: a link from another site shows the event at once")
    check(said["attacked"]["status"] == 403, f"{what}: another site cannot sign one out")
    check("ops" in said["session"]["text"], f"{what}: the session says whose it is")
    check("Sign in" in said["ended"]["text"] and not said["cookies"], f"{what}: signing out takes the cookie away")
    check(said["after"]["status"] == 401, f"{what}: and the page asks again")
    check(not any(TOKEN in url for url in said["urls"]), f"{what}: the token was in no address")
    check(not any(TOKEN in line for line in herald.log), f"{what}: and is in no log")


def body():
    with Herald("", server=TOKENS) as herald:
        browse(herald, "HTTP")
    authority = trustme.CA()
    identity = authority.issue_cert("127.0.0.1", "localhost")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        identity.cert_chain_pems[0].write_to_path(folder / "server.pem")
        identity.private_key_pem.write_to_path(folder / "server.key")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        tls = f'{TOKENS}\ntls = {{ cert = "{folder}/server.pem", key = "{folder}/server.key" }}'
        with Herald("", server=tls) as herald:
            herald.trust(folder / "ca.pem")
            check(re.match(r"https://127", herald.url), "Herald speaks HTTPS")
            browse(herald, "HTTPS")


main(body)
