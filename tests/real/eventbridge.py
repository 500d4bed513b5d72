"""Signed posts of EventBridge at the built program, from the signer to the journal.

The program compares the certificate's host with exact names and asks no proxy, so the check gives it a
machine of its own: a user, mount and network namespace in which that name is loopback and nothing else
can be reached. There a server with a certificate for the name stands for the vendor's, and OpenSSL
signs what is posted.
"""

import base64
import fcntl
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from herald import ACCOUNT, PATIENCE, Herald, check, main

REGION = "cn-hangzhou"
HOST = f"{REGION}-eventbridge.oss-accelerate.aliyuncs.com"
OTHER_HOST = "cn-beijing-eventbridge.oss-accelerate.aliyuncs.com"
PEM = f"https://{HOST}/x509.pem"
TARGET = "https://herald.example.com/v1/sources/bridge/events"
TOKEN = "bridge-token-0123456789"
ORIGIN = "eventbridge.example.com"

SOURCE = f"""
[source.bridge]
kind = "cloudevents"
url = "{TARGET}"
regions = ["{REGION}"]
token = "{TOKEN}"
accounts = ["{ACCOUNT}"]
origins = ["{ORIGIN}"]
"""

# Set in the namespace.
INSIDE = "HERALD_EVENTBRIDGE_INSIDE"

# ioctls and a flag of Linux, from <linux/sockios.h> and <linux/if.h>.
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def enter():
    """Runs this check again in namespaces of its own, as their root."""
    unshare = shutil.which("unshare")
    arguments = [unshare, "--user", "--map-root-user", "--mount", "--net", sys.executable, __file__]
    os.execve(unshare, arguments, {**os.environ, INSIDE: "1"})


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        request = struct.pack("16sH14s", b"lo", flags | IFF_UP, b"")
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def name_hosts(folder):
    """Makes both names loopback, in this namespace alone."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n127.0.0.1 {HOST} {OTHER_HOST}\n", encoding="ascii")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


def openssl(folder, *arguments, text=b""):
    done = subprocess.run(["openssl", *arguments], cwd=folder, input=text, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"openssl {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout


def make_keys(folder):
    """An authority, the server's certificate by it, and two signers: the vendor's and somebody else's."""
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "1", "-subj", "/CN=an authority", "-addext", "basicConstraints=critical,CA:TRUE")  # fmt: skip
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr",
            "-subj", f"/CN={HOST}")  # fmt: skip
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST},DNS:{OTHER_HOST}\n", encoding="ascii")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "1", "-extfile", "names", "-out", "server.pem")  # fmt: skip
    for name in ("signer", "stranger"):
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.pem", "-days", "1", "-subj", f"/CN={name}")  # fmt: skip


class Shelf:
    """The server of the certificate; keeps what was asked of it as (host, path)."""

    def __init__(self, folder):
        asked = self.asked = []
        pem = (folder / "signer.pem").read_bytes()
        shelf = self
        self.status = 200

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.headers["host"], self.path))
                self.send_response(shelf.status)
                self.send_header("content-length", str(len(pem)))
                self.end_headers()
                self.wfile.write(pem)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()


def event(number, account=ACCOUNT):
    return json.dumps({
        "id": f"event-{number}", "source": "acs.ecs", "specversion": "1.0",
        "type": "ecs:NetworkInterface:NetworkInterfaceOperateCompleted",
        "datacontenttype": "application/json;charset=utf-8", "time": "2026-01-02T03:04:05.678Z",
        "aliyunaccountid": account, "aliyunregionid": REGION,
        "data": {"eniId": f"eni-{number:08d}", "operation": "AttachNetworkInterface", "eniStatus": "InUse",
                 "result": "success", "requestId": f"request-{number}"},
    })  # fmt: skip


class Bridge:
    """Signs as EventBridge does and posts to Herald."""

    def __init__(self, folder, herald):
        self.folder, self.herald = folder, herald

    def post(self, body, signer="signer", pem=PEM, target=TARGET, token=TOKEN, age=0, sent=None, url=None):
        """Status and answer of a post of `body`; `sent` goes in its place, with the same signature."""
        stamp = str(int((time.time() - age) * 1000))
        headers = {
            "x-eventbridge-signature-timestamp": stamp,
            "x-eventbridge-hash-method": "SHA256",
            "x-eventbridge-signature-version": "1.0",
            "x-eventbridge-signature-url": pem,
            "x-eventbridge-signature-token": token,
        }
        lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
        text = f"{target}\n{lines}{body}".encode()
        signature = openssl(self.folder, "dgst", "-sha256", "-sign", f"{signer}.key", text=text)
        headers["x-eventbridge-signature-v2"] = base64.b64encode(signature).decode()
        headers["content-type"] = "application/cloudevents+json"
        if url:
            headers["x-eventbridge-signature-url"] = url
        return self.ask("POST", headers, (sent or body).encode())

    def ask(self, method, headers, body=None):
        path = "/v1/sources/bridge/events"
        request = urllib.request.Request(self.herald.url + path, body, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()


def refused(bridge, what, words, status=401, **how):
    found, _, said = bridge.post(event(900), **how)
    check(found == status and words in said, f"{what}: {found}, {said.strip()}")


def inside():
    with tempfile.TemporaryDirectory(prefix="herald-bridge-") as name:
        folder = pathlib.Path(name)
        raise_loopback()
        name_hosts(folder)
        make_keys(folder)
        shelf = Shelf(folder)
        with Herald(SOURCE, {"SSL_CERT_FILE": str(folder / "ca.pem")}) as herald:
            bridge = Bridge(folder, herald)
            status, headers, _ = bridge.ask("OPTIONS", {"webhook-request-origin": ORIGIN, "webhook-request-rate": "9"})
            check(status == 200 and headers["webhook-allowed-origin"] == ORIGIN, "the handshake is agreed to")
            check(headers["webhook-allowed-rate"] == "*", "at any rate")
            status, _, _ = bridge.ask("OPTIONS", {"webhook-request-origin": "else.example.com"})
            check(status == 403, "with nobody else")

            refused(bridge, "a wrong token", "wants its token", token="another-token-012345")
            refused(bridge, "an old signature", "`window` is 1m", age=61)
            refused(bridge, "a signature ahead of its time", "`window` is 1m", age=-62)
            for url in (
                f"https://{OTHER_HOST}/x509.pem", f"http://{HOST}/x509.pem", f"https://{HOST}:8443/x509.pem",
                f"https://{HOST}.example.com/x509.pem", f"https://x@{HOST}/x509.pem", "https://127.0.0.1/x509.pem",
            ):  # fmt: skip
                refused(bridge, f"a certificate from {url}", "no address of a certificate", pem=url)
            check(not shelf.asked, "until then no certificate was fetched")

            # Nobody can make Herald ask again and again for what cannot be had.
            shelf.status = 503
            for _ in range(3):
                refused(bridge, "the certificate cannot be had", "cannot be had", status=503)
            check(len(shelf.asked) == 1, "it was asked for once")
            shelf.status = 200
            time.sleep(5.1)

            ids = []
            for number in range(5):
                status, _, said = bridge.post(event(number))
                (result,) = json.loads(said)["results"]
                check(status == 200 and result["status"] == "accepted", f"a signed event is accepted: {said.strip()}")
                ids.append(result["id"])
            check(shelf.asked[1:] == [(HOST, "/x509.pem")], f"the certificate was fetched once: {shelf.asked[1:]}")
            _, _, said = bridge.post(event(0))
            check(json.loads(said)["results"][0] == {"index": 0, "status": "duplicate", "id": ids[0]}, "a repeat is one")

            refused(bridge, "a stranger's signature", "the signature is wrong", signer="stranger")
            refused(bridge, "another body", "the signature is wrong", sent=event(901))
            refused(bridge, "another target", "the signature is wrong", target=TARGET + "/")
            refused(bridge, "another address signed", "the signature is wrong", url=f"https://{HOST}/y509.pem")
            _, _, said = bridge.post(event(7, account="1690700000000031"))
            check("foreign-account" in said, f"another customer's event: {said.strip()}")

            found = herald.ask("/v1/events")["events"]
            check(sorted(one["id"] for one in found) == sorted(ids), "what was accepted is in the journal, no more")
            check(found[0]["event"]["intake"]["source"] == "bridge", "with its source")
            lines = herald.text("/metrics").splitlines()
            count = next(line for line in lines if line.startswith('herald_door_turned_away_total{reason="signature"}'))
            check(int(count.split()[-1]) == 16, f"and who was turned away was counted: {count}")


def body():
    if os.environ.get(INSIDE):
        inside()
    else:
        enter()


main(body)
