"""Short loads by wrk: what was answered `accepted` is recorded, and nothing else is, over HTTP and HTTPS,
also where the queue is too short for the load and most of it is answered 503, and while the certificate
is renewed again and again.

No figure is asserted; the rates that wrk prints are for looking at.
"""

import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading

import trustme

from herald import Far, Herald, Wrong, check, main, until

CONNECTIONS = 64

SINK = """
[sink.far]
kind = "callback"
url = "http://{far}/"
allow_addresses = ["127.0.0.1/32"]
"""


def load(herald, name, seconds=3):
    """Runs wrk and gives how many were accepted and how many not."""
    before = herald.totals()
    script = str(pathlib.Path(__file__).with_suffix(".lua"))
    ran = subprocess.run(
        [os.environ["WRK"], "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, herald.url, "--", name],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    line = next(line for line in ran.stdout.splitlines() if line.startswith("RESULT "))
    _, accepted, other, errors, latency, *last = line.split(" ", 5)
    accepted, other, errors = int(accepted), int(other), int(errors)
    rate = next(line for line in ran.stdout.splitlines() if "Requests/sec" in line)
    print(f"   {name}: {rate.strip()}, p99 {float(latency) / 1000:.1f} ms")
    check(errors == 0, f"{name}: no connection failed")
    check(accepted > 100, f"{name}: {accepted} were accepted")
    after = herald.totals()
    recorded = after["events"] - before["events"]
    # wrk drops what is under way at its end: one request per connection.
    most = accepted + CONNECTIONS
    check(accepted <= recorded <= most, f"{name}: {recorded} are recorded")
    planned = after["planned"] - before["planned"]
    check(planned == recorded * herald.sink_count, f"{name}: each is planned once: {planned}")
    return accepted, other, " ".join(last)


class Counting(Herald):
    sink_count = 0

    def totals(self):
        status = self.ask("/v1/status")
        if not status["conserved"]:
            raise Wrong(f"not conserved: {status['totals']}")
        return status["totals"]


def body():
    with Far(lambda request: (200, b"{}")) as far:
        with Counting(SINK.format(far=far.address)) as herald:
            herald.sink_count = 1
            _, other, last = load(herald, "plain")
            check(other == 0, f"nothing else was answered: {last}")
            delivered = herald.totals()["delivered"]
            until("deliveries that go on", lambda: herald.totals()["delivered"] > delivered)

    with Counting("", server="queue_max = 2\n") as herald:
        accepted, other, last = load(herald, "short-queue")
        check(other > 0 and "503" in last and "refused" in last, f"{other} were answered {last[:80]}")
        check(accepted + other > 100, "and the connections went on")

    authority = trustme.CA()
    with tempfile.TemporaryDirectory(prefix="herald-tls-") as folder:
        renew(authority, folder)
        tls = f'\n[server.tls]\ncert = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n'
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        with Counting("", server=tls) as herald:
            herald.trust(f"{folder}/ca.pem")
            over = threading.Event()
            renewing = threading.Thread(target=keep_renewing, args=(authority, folder, over))
            renewing.start()
            _, other, last = load(herald, "tls")
            over.set()
            renewing.join()
            check(other == 0, f"nothing else was answered while certificates were renewed: {last}")
            newest = renew(authority, folder)
            until("the newest certificate", lambda: shown(herald, f"{folder}/ca.pem") == newest)
            taken = sum("the configuration was reloaded" in line for line in herald.log)
            check(taken >= 2, f"certificates were taken {taken} times")


def renew(authority, folder):
    """Writes a certificate and then its key, as a program that renews them does; gives the first."""
    identity = authority.issue_cert("127.0.0.1")
    for number, part in enumerate(identity.cert_chain_pems):
        part.write_to_path(f"{folder}/cert.pem", append=number > 0)
    identity.private_key_pem.write_to_path(f"{folder}/key.pem")
    return ssl.PEM_cert_to_DER_cert(identity.cert_chain_pems[0].bytes().decode())


def keep_renewing(authority, folder, over):
    while not over.wait(0.7):
        renew(authority, folder)


def shown(herald, authority):
    """The certificate that a new connection gets."""
    context = ssl.create_default_context(cafile=authority)
    host, port = herald.url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), 10) as plain:
        with context.wrap_socket(plain, server_hostname=host) as stream:
            return stream.getpeercert(binary_form=True)


main(body)
