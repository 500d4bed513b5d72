"""A mail reaches Debian's `smtp-sink` (of postfix): one envelope per recipient, sound headers."""

from herald import Herald, check, failed_attach, main, until
from smtp_sink import SmtpSink

RECIPIENTS = ["ops@example.com", "oncall@example.org"]


def body():
    with SmtpSink() as sink:
        deliver(sink)


def deliver(sink):
    to = ", ".join(f'"{one}"' for one in RECIPIENTS)
    sinks = f"""
[sink.mail]
kind = "email"
server = "127.0.0.1:{sink.port}"
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
        mails = sink.mails()
        return mails if len(mails) >= len(RECIPIENTS) else None

    mails = until("file per recipient", complete)
    check(len(mails) == len(RECIPIENTS), f"{len(mails)} mails for {len(RECIPIENTS)} recipients")
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
