"""Mail over STARTTLS and over TLS from the first byte, with a private authority and AUTH, to npm's
`smtp-server`, which judges every recipient by itself: who accepted is mailed once, whatever becomes of
the others."""

import json
import os
import pathlib
import queue
import subprocess
import tempfile
import threading

import trustme

from herald import Herald, Wrong, check, failed_attach, main, outcomes, until

PASSWORD = "correct horse battery staple"


class Certificate:
    """For localhost, by an authority of its own, in files."""

    def __init__(self, folder):
        self.authority = str(folder / "ca.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        server = authority.issue_cert("localhost")
        self.chain, self.key = str(folder / "cert.pem"), str(folder / "key.pem")
        for blob in server.cert_chain_pems:
            blob.write_to_path(self.chain, append=True)
        server.private_key_pem.write_to_path(self.key)


class MailServer:
    def __init__(self, certificate, **more):
        self.authority = certificate.authority
        self.environment = {
            **os.environ,
            "TLS_CERT": certificate.chain,
            "TLS_KEY": certificate.key,
            "SMTP_PASSWORD": PASSWORD,
            **more,
        }
        self.told = []

    def __enter__(self):
        script = pathlib.Path(__file__).with_name("mail_server.mjs")
        self.process = subprocess.Popen(
            ["node", str(script)],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = queue.Queue()

        def read():
            for line in self.process.stdout:
                told = json.loads(line)
                self.told.append(told)
                if "port" in told:
                    ready.put(told["port"])

        threading.Thread(target=read, daemon=True).start()
        try:
            self.port = ready.get(timeout=30)
        except queue.Empty:
            raise Wrong("the mail server did not start") from None
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def mails(self, to):
        mails = [one["mail"] for one in list(self.told) if "mail" in one]
        return [mail for mail in mails if mail["to"] == [to]]

    def delivered(self, to):
        """The mails to somebody who has one: the server tells of it a moment after it took it."""
        return until(f"mail to {to}", lambda: self.mails(to))


def sink(name, server, to, more=""):
    recipients = ", ".join(f'"{one}"' for one in to)
    return f"""
[sink.{name}]
kind = "email"
server = "localhost:{server.port}"
username = "herald"
password = "${{env:SMTP_PASSWORD}}"
from = "Herald <herald@example.com>"
to = [{recipients}]
{more}
"""


def body():
    with tempfile.TemporaryDirectory(prefix="herald-real-") as folder:
        certificate = Certificate(pathlib.Path(folder))
        with (
            MailServer(certificate) as server,
            MailServer(certificate, IMPLICIT_TLS="1", AUTH_METHODS="LOGIN") as implicit,
        ):
            deliver(server, implicit)


def deliver(server, implicit):
    ca = f'ca = "{server.authority}"\n'
    retry = 'retry = { first = "200ms" }\n'
    sinks = (
        sink("chinese", server, ["ops@example.com"], ca + 'language = "zh"')
        + sink("refused", server, ["here@example.com", "gone@example.com"], ca)
        + sink("deferred", server, ["now@example.com", "later@example.com"], ca + retry)
        + sink("implicit", implicit, ["ops@example.com"], ca + 'tls = "implicit"')
        + sink("no-authority", server, ["nobody@example.com"])
        + sink("wrong-password", server, ["nobody@example.com"], ca).replace(
            "${env:SMTP_PASSWORD}", "wrong password"
        )
    )
    with Herald(sinks, {"SMTP_PASSWORD": PASSWORD}) as herald:
        event = herald.send(failed_attach(1))

        def over(name):
            return herald.delivery_when(
                event, name, f"end of the delivery to `{name}`", lambda one: one["state"] != "pending"
            )

        chinese = over("chinese")
        check(chinese["state"] == "delivered", "delivered over STARTTLS, with a private authority and AUTH")
        mail = server.delivered("ops@example.com")
        check(len(mail) == 1 and mail[0]["secure"], "the server had one mail, encrypted")
        check(
            mail[0]["subject"] == "[WARN] 绑定弹性网卡失败：eni-00000001（cn-hangzhou）",
            f"mailparser decodes the Chinese subject: {mail[0]['subject']}",
        )
        check("操作      AttachNetworkInterface\n" in mail[0]["text"], "and the Chinese text")
        logins = [one for one in server.told if "auth" in one]
        check(logins and all(one["secure"] for one in logins), "no password crossed before TLS")

        check(over("implicit")["state"] == "delivered", "delivered over TLS from the first byte")
        check(len(implicit.delivered("ops@example.com")) == 1, "that server had one mail too")
        login = [(one["method"], one["right"], one["secure"]) for one in implicit.told if "auth" in one]
        check(login == [("LOGIN", True, True)], "after AUTH LOGIN, the only way it offers")

        refused = over("refused")
        check(refused["state"] == "dead", "550 for one of two recipients: the delivery is a dead letter")
        check(
            "gone@example.com" in refused["reason"] and "no such mailbox" in refused["reason"],
            "which names the refused one with the server's words",
        )
        check("here@example.com" not in refused["reason"], "and not the other")
        check(len(server.delivered("here@example.com")) == 1, "who was mailed once")

        deferred = over("deferred")
        check(deferred["state"] == "delivered", "451 for one of two recipients: delivered in the end")
        check(outcomes(deferred) == ["transient", "delivered"], "at the second attempt")
        check(len(server.delivered("now@example.com")) == 1, "who accepted at the first was not mailed again")
        check(len(server.delivered("later@example.com")) == 1, "and the other was mailed once")

        for name, words in [
            ("no-authority", "not trusted here; name its file in `ca`"),
            ("wrong-password", "535 5.7.8 authentication failed (user or password is wrong"),
        ]:
            fault = herald.delivery_when(
                event,
                name,
                f"attempt of `{name}`",
                lambda one: one["attempts"] and one["attempts"][0]["outcome"],
            )
            check(
                outcomes(fault)[0] == "sink-fault" and fault["state"] == "pending",
                f"{name}: the sink's fault, and the delivery waits",
            )
            said = fault["attempts"][0]["reason"]
            check(words in said, f"{name}: {said}")
        check(not server.mails("nobody@example.com"), "neither of them sent a mail")
        told = json.dumps(herald.ask("/v1/deliveries")) + "\n".join(herald.log)
        check(PASSWORD not in told, "the password is told nowhere")


main(body)
