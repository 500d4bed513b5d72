"""Callbacks over TLS as OpenSSL speaks it: private authorities, client certificates that the server
demands, names and dates that are not right."""

import contextlib
import datetime
import http.server
import pathlib
import ssl
import tempfile
import threading

import trustme

from herald import Far, Herald, check, failed_attach, main, outcomes

PAST = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)


class TlsServer:
    """An HTTPS server that keeps who asked: the common name of the client's certificate, or None."""

    def __init__(self, certificate, client_authority=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)
        if client_authority:
            client_authority.configure_trust(self.context)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.asked = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                shown = self.connection.getpeercert() or {}
                names = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
                asked.append(names[0] if names else None)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = self.context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        # A handshake that fails is the client's to tell.
        self.server.handle_error = lambda *_: None
        self.port = self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def sink(name, address, more=""):
    return f"""
[sink.{name}]
kind = "callback"
url = "{address}/eni"
allow_addresses = ["127.0.0.0/8", "::1"]
{more}
"""


def body():
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="herald-real-")))
        authority, stranger = trustme.CA(), trustme.CA()

        def file(name, blob):
            blob.write_to_path(str(folder / name))
            return folder / name

        def identity(name, by):
            """The keys that show a certificate of `by` for `name`."""
            made = by.issue_cert(f"{name}@example.com", common_name=name)
            chain = file(f"{name}.pem", made.cert_chain_pems[0])
            key = file(f"{name}.key", made.private_key_pem)
            return f'client_cert = "{chain}"\nclient_key = "{key}"'

        ca = f'ca = "{file("ca.pem", authority.cert_pem)}"'
        ours, theirs = identity("herald", authority), identity("stranger", stranger)

        def serve(certificate, client_authority=None):
            return stack.enter_context(TlsServer(certificate, client_authority))

        open_to_all = serve(authority.issue_cert("localhost"))
        demanding = serve(authority.issue_cert("localhost"), authority)
        misnamed = serve(authority.issue_cert("elsewhere.example.com"))
        expired = serve(authority.issue_cert("localhost", not_after=PAST))
        plain = stack.enter_context(Far(lambda _: (204, b"")))

        def https(server):
            return f"https://localhost:{server.port}"

        sinks = (
            sink("trusted", https(open_to_all), ca)
            + sink("no-authority", https(open_to_all))
            + sink("with-certificate", https(demanding), f"{ca}\n{ours}")
            + sink("without-certificate", https(demanding), ca)
            + sink("strange-certificate", https(demanding), f"{ca}\n{theirs}")
            + sink("misnamed", https(misnamed), ca)
            + sink("expired", https(expired), ca)
            + sink("not-tls", f"https://{plain.address}", ca)
        )
        herald = stack.enter_context(Herald(sinks))
        event = herald.send(failed_attach(1))

        def first(name):
            delivery = herald.delivery_when(event, name, f"attempt of `{name}`", lambda one: any(outcomes(one)))
            return delivery["attempts"][0]

        for name in ("trusted", "with-certificate"):
            check(first(name)["outcome"] == "delivered", f"{name}: delivered")
        check(open_to_all.asked == [None], "no certificate was shown to a server that wants none")
        for name, words in [
            ("no-authority", "not trusted here; name its file in `ca`"),
            ("without-certificate", "wants a client certificate"),
            ("strange-certificate", "wants a client certificate"),
            ("misnamed", "for another name"),
            ("expired", "has expired"),
            ("not-tls", "does not answer in TLS"),
        ]:
            attempt = first(name)
            check(attempt["outcome"] == "sink-fault" and not attempt["charged"], f"{name}: the sink's fault")
            check(words in attempt["reason"], f"{name}: {attempt['reason']}")
        check(demanding.asked == ["herald"], "the demanding server was asked with the right certificate alone")


main(body)
