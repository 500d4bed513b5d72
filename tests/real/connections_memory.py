"""What connections cost in memory: two thousand that idle, over HTTP and HTTPS, and five hundred senders
who each bring a body of 4 MiB slowly. Prints what it measured.
"""

import contextlib
import json
import os
import resource
import socket
import ssl
import tempfile
import threading
import time

import trustme

from herald import Herald, Wrong, check, failed_attach, main

IDLE = 2_000

# KiB of one idle connection. A debug build and an allocator that keeps what it freed are allowed for;
# what is measured is printed.
PLAIN_MAX = 32
TLS_MAX = 64

SENDERS = 500
BODY = 4 << 20
# The room of all bodies in MiB, as configured below, and what may be added to it: buffers, and pages
# that the allocator has not given back.
ROOM = 64
BESIDE = 64


def allow_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * IDLE
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def ask(connection):
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise Wrong(f"the answer was {answer}")


def address(herald):
    host, _, port = herald.url.rpartition("/")[2].partition(":")
    return host, int(port)


def idle(herald, wrap, what, most):
    """Opens connections that ask once and then wait."""
    for _ in range(50):
        with wrap(socket.create_connection(address(herald))) as connection:
            ask(connection)
    before = herald.rss()
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(IDLE):
            connection = stack.enter_context(wrap(socket.create_connection(address(herald))))
            ask(connection)
            connections.append(connection)
        each = (herald.rss() - before) / IDLE
        print(f"   {what}: {each:.1f} KiB for each of {IDLE} idle connections")
        check(each <= most, f"{what}: an idle connection costs at most {most} KiB")
        began = time.monotonic()
        ask(connections[0])
        ask(connections[-1])
        check(time.monotonic() - began < 5, f"{what}: the first and the last of them are served")


def slow(herald):
    """Senders who bring their bodies piece by piece, all at the same pace."""
    before = herald.rss()
    event = json.dumps(failed_attach(1)).encode()
    whole = memoryview(event + b" " * (BODY - len(event)))
    head = f"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {BODY}\r\n\r\n".encode()
    piece = 64 << 10
    peak = [0]
    over = threading.Event()

    def watch():
        while not over.wait(0.05):
            peak[0] = max(peak[0], herald.rss())

    watching = threading.Thread(target=watch)
    watching.start()
    answers = {}
    with contextlib.ExitStack() as stack:
        sent = {}
        for _ in range(SENDERS):
            connection = stack.enter_context(socket.create_connection(address(herald)))
            connection.sendall(head)
            connection.setblocking(False)
            sent[connection] = 0
        deadline = time.monotonic() + 60
        while sent and time.monotonic() < deadline:
            for connection, at in list(sent.items()):
                # The last piece is brought when everybody has brought all others.
                most = BODY if min(sent.values()) >= BODY - piece else BODY - piece
                with contextlib.suppress(BlockingIOError):
                    try:
                        sent[connection] += connection.send(whole[at : min(at + piece, most)])
                    except OSError as error:
                        if isinstance(error, BlockingIOError):
                            raise
                        sent.pop(connection)
                        answers["cut"] = answers.get("cut", 0) + 1
                if sent.get(connection) == BODY:
                    sent.pop(connection)
                    connection.setblocking(True)
                    connection.settimeout(60)
                    status = connection.recv(4096).split(b" ", 2)[1].decode()
                    answers[status] = answers.get(status, 0) + 1
    over.set()
    watching.join()
    grown = (peak[0] - before) / 1024
    print(f"   {SENDERS} senders of {BODY >> 20} MiB: {grown:.0f} MiB more at the peak, answers {answers}")
    check(sum(answers.values()) == SENDERS and set(answers) <= {"200", "429"}, "each was answered")
    check(answers.get("429", 0) > 0, "some were told to come again, since one sender leaves room for others")
    check(answers.get("200", 0) > 0, "and some were taken")
    check(grown <= ROOM + BESIDE, f"memory grew by at most {ROOM} + {BESIDE} MiB")


def body():
    allow_files()
    server = f'bodies_max = "{ROOM} MiB"\n'
    with Herald("", server=server) as herald:
        idle(herald, lambda connection: connection, "HTTP", PLAIN_MAX)
        slow(herald)
        check(herald.ask("/v1/status")["totals"]["events"] == 1, "it is there once")
    authority = trustme.CA()
    with tempfile.TemporaryDirectory(prefix="herald-tls-") as folder:
        identity = authority.issue_cert("127.0.0.1", "localhost")
        identity.private_key_pem.write_to_path(os.path.join(folder, "key.pem"))
        for number, part in enumerate(identity.cert_chain_pems):
            part.write_to_path(os.path.join(folder, "cert.pem"), append=number > 0)
        tls = f'\n[server.tls]\ncert = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n'
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with Herald("", server=tls) as herald:
            wrap = lambda stream: context.wrap_socket(stream, server_hostname="localhost")  # noqa: E731
            idle(herald, wrap, "HTTPS", TLS_MAX)


main(body)
