"""nginx before Herald, as people run it: TLS, X-Forwarded-For, a buffer for bodies. Over HTTP to Herald
and over HTTPS with a certificate that it checks.
"""

import contextlib
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time

import trustme

from herald import Herald, Wrong, check, failed_attach, free_port, main, until, wait_for_port

TOKEN = "nginx-token-0123456789"

SINKS = f"""
[source.near]
kind = "http"
allow_from = ["127.0.0.2/32"]
[source.guarded]
kind = "http"
token = "{TOKEN}"
"""

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 16m;
  upstream herald {{ server {upstream}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name herald.test;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    location / {{
      proxy_pass {scheme}://herald;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      {more}
    }}
  }}
}}
"""


class Nginx:
    """A proxy of Debian's making on a free port, before `upstream`."""

    def __init__(self, authority, upstream, more=""):
        self.authority = authority
        self.scheme, _, self.upstream = upstream.partition("://")
        self.more = more

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-nginx-")
        folder = pathlib.Path(self.folder.name)
        identity = self.authority.issue_cert("herald.test", "127.0.0.1")
        identity.private_key_pem.write_to_path(str(folder / "server.key"))
        for number, part in enumerate(identity.cert_chain_pems):
            part.write_to_path(str(folder / "server.pem"), append=number > 0)
        self.ca = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca)
        self.port = free_port()
        file = folder / "nginx.conf"
        file.write_text(
            NGINX.format(
                folder=folder,
                # Started by root its workers would be another user, to whom the folder is closed.
                user="user root;" if os.geteuid() == 0 else "",
                upstream=self.upstream,
                port=self.port,
                scheme=self.scheme,
                more=self.more.format(ca=self.ca),
            )
        )
        self.process = subprocess.Popen(
            [os.environ["NGINX_PROGRAM"], "-c", str(file), "-p", str(folder), "-e", str(folder / "start.log")],
            stdin=subprocess.DEVNULL,
        )
        wait_for_port(self.port)
        return self

    def __exit__(self, kind, *_):
        self.process.terminate()
        self.process.wait(10)
        if kind is not None:
            for log in ("start.log", "error.log"):
                with contextlib.suppress(OSError):
                    print(log, pathlib.Path(self.folder.name, log).read_text()[-2000:])
        self.folder.cleanup()

    def post(self, path, event, come_from="127.0.0.1", **headers):
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=context, source_address=(come_from, 0)
        )
        with contextlib.closing(connection):
            headers = {"host": "herald.test", "content-type": "application/json", **headers}
            body = event if isinstance(event, bytes) else json.dumps(event).encode()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


def proxied(herald, nginx):
    status, body = nginx.post("/v1/events", failed_attach(1))
    check(status == 200 and body["results"][0]["status"] == "accepted", f"taken behind nginx: {body}")
    near = "/v1/sources/near/events"
    for come_from, forged, expected in (
        ("127.0.0.2", {}, 200),
        ("127.0.0.1", {}, 403),
        ("127.0.0.3", {"x-forwarded-for": "127.0.0.2"}, 403),
        ("127.0.0.3", {"x-forwarded-for": "127.0.0.2, 127.0.0.1"}, 403),
        ("127.0.0.2", {"x-forwarded-for": "198.51.100.1"}, 200),
    ):
        status, body = nginx.post(near, failed_attach(2), come_from, **forged)
        check(status == expected, f"from {come_from} with {forged}: {status}")
    status, _ = nginx.post(f"/v1/sources/guarded/{TOKEN}/events", failed_attach(3))
    check(status == 200, "a token in the path passes the proxy")
    status, _ = nginx.post("/v1/sources/guarded/events", failed_attach(3))
    check(status == 401, "and is needed there")
    status, body = nginx.post("/v1/events", b" " * (5 << 20))
    named = status == 413 and "server.body_max" in body["results"][0]["reason"]
    check(named, "a body that is too long is refused by Herald, not by nginx, and by name")
    status, body = nginx.post("/v1/events", failed_attach(4), host="evil.example.com")
    check(status == 403, "the host that nginx was asked for is judged")
    check(not any(TOKEN in line for line in herald.log), "Herald logs no token")


def restarted(herald, nginx):
    """`herald send` through nginx, over a kill of Herald: 502s on the way, each event once."""
    before = herald.ask("/v1/status")["totals"]["events"]
    count = 3000
    lines = "\n".join(json.dumps(failed_attach(1000 + number)) for number in range(count))
    sending = subprocess.Popen(
        [herald.program, "send", "--url", f"https://127.0.0.1:{nginx.port}", "--ca", nginx.ca, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = {}
    talking = threading.Thread(target=lambda: said.update(all=sending.communicate(lines, 60)))
    talking.start()
    until("some of them", lambda: herald.ask("/v1/status")["totals"]["events"] > before + 200)
    herald.process.kill()
    herald.process.wait()
    time.sleep(0.5)
    herald.restart()
    talking.join()
    out, err = said["all"]
    if sending.returncode != 0:
        raise Wrong(f"send ended with {sending.returncode}: {out} {err}")
    check("trying again" in err, "it was interrupted")
    check(out.startswith(f"{count} sent: "), f"and brought all: {out.strip()}")
    events = herald.ask("/v1/status")["totals"]["events"] - before
    check(events == count, f"each event is there once: {events}")


def body():
    authority = trustme.CA()
    trusted = 'trusted_proxies = ["127.0.0.1"]\nhosts = ["herald.test"]\n'
    with Herald(SINKS, server=trusted) as herald, Nginx(authority, herald.url) as nginx:
        proxied(herald, nginx)
        restarted(herald, nginx)
    with Herald(SINKS, server='hosts = ["herald.test"]\n') as herald:
        with Nginx(authority, herald.url) as nginx:
            status, _ = nginx.post("/v1/sources/near/events", failed_attach(2), "127.0.0.2")
            check(status == 403, "a proxy that is not named is not believed")

    with tempfile.TemporaryDirectory(prefix="herald-tls-") as folder:
        identity = authority.issue_cert("herald.inside")
        identity.private_key_pem.write_to_path(f"{folder}/key.pem")
        for number, part in enumerate(identity.cert_chain_pems):
            part.write_to_path(f"{folder}/cert.pem", append=number > 0)
        tls = f'\n[server.tls]\ncert = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n'
        more = (
            "proxy_ssl_trusted_certificate {ca}; proxy_ssl_verify on; "
            "proxy_ssl_name herald.inside; proxy_ssl_server_name on;"
        )
        with Herald(SINKS, server=trusted + tls) as herald:
            check(herald.url.startswith("https://"), "Herald speaks HTTPS")
            with Nginx(authority, herald.url, more) as nginx:
                status, body = nginx.post("/v1/events", failed_attach(1))
                check(status == 200, f"nginx trusts Herald's certificate: {body}")
                status, _ = nginx.post("/v1/sources/near/events", failed_attach(2), "127.0.0.2")
                check(status == 200, "and the sender behind it counts")
            with Nginx(trustme.CA(), herald.url, more) as nginx:
                try:
                    status, _ = nginx.post("/v1/events", failed_attach(3))
                except json.JSONDecodeError:
                    status = 502
                check(status == 502, "a certificate of another authority is not trusted")


main(body)
