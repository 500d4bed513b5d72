"""A mail reaches Debian's `smtp-sink` (of postfix): one envelope per recipient, sound headers."""

import email
import email.policy
import os
import pathlib
import pwd
import subprocess
import tempfile

from herald import Herald, check, failed_attach, free_port, main, until, wait_for_port

RECIPIENTS = ["ops@example.com", "oncall@example.org"]


def body():
    with tempfile.TemporaryDirectory(prefix="herald-real-") as folder:
        command = [os.environ["SMTP_SINK"]]
        if os.geteuid() == 0:
            # It refuses to run as root; the dump must lie where the other user may write.
            command += ["-u", "nobody"]
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        port = free_port()
        # Each mail goes into a file of its own, with what the envelope said in front.
        command += ["-d", "mail.", f"127.0.0.1:{port}", "16"]
        sink = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            deliver(port, pathlib.Path(folder))
        finally:
            sink.terminate()
            sink.wait(10)


def deliver(port, folder):
    to = ", ".join(f'"{one}"' for one in RECIPIENTS)
    sinks = f"""
[sink.mail]
kind = "email"
server = "127.0.0.1:{port}"
tls = "none"
from = "Herald <herald@example.com>"
to = [{to}]
"""
    with Herald(sinks) as herald:
        event = herald.send(failed_attach(1))
        delivery = herald.delivery_when(
            event, "mail", "delivery to smtp-sink", lambda one: one["state"] == "delivered"
        )
    check(True, "smtp-sink took the mail and Herald calls it delivered")

    def complete():
        files = sorted(folder.glob("mail.*"))
        return files if len(files) >= len(RECIPIENTS) else None

    files = until("file per recipient", complete)
    check(len(files) == len(RECIPIENTS), f"{len(files)} mails for {len(RECIPIENTS)} recipients")
    mails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    envelopes = [mail.get_all("X-Rcpt-Args") for mail in mails]
    check(all(len(to) == 1 for to in envelopes), "one recipient on each envelope")
    check(
        sorted(to[0].strip("<>") for to in envelopes) == sorted(RECIPIENTS),
        "and every recipient on one",
    )
    for mail, envelope in zip(mails, envelopes):
        who = envelope[0].strip("<>")
        check(mail["X-Mail-Args"].startswith("<herald@example.com>"), f"{who}: the sender is the configured one")
        check(mail["From"] == "Herald <herald@example.com>", f"{who}: From")
        check(mail["To"] == who, f"{who}: To names nobody else")
        check("AttachNetworkInterface" in mail["Subject"] and "failed" in mail["Subject"], f"{who}: Subject")
        check(mail["Date"] and mail["Message-ID"].endswith("@example.com>"), f"{who}: Date and Message-ID")
        check(mail["Auto-Submitted"] == "auto-generated", f"{who}: Auto-Submitted")
        check(mail["X-Herald-Message"] == delivery["attempts"][0]["message"], f"{who}: X-Herald-Message")
        check(event in mail["X-Herald-Event"], f"{who}: X-Herald-Event")
        for kind in ("plain", "html"):
            text = mail.get_body((kind,)).get_content()
            check("eni-00000001" in text, f"{who}: the {kind} text names the ENI")
    identities = {mail["Message-ID"] for mail in mails}
    check(len(identities) == len(RECIPIENTS), "each mail has a Message-ID of its own")


main(body)
