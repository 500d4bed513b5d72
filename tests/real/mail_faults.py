"""Debian's `smtp-sink` refuses, closes, cuts and dawdles: what Herald makes of each, and that a mail
gets through once the server takes it."""

import contextlib

from herald import Herald, check, failed_attach, main, outcomes, until
from smtp_sink import SmtpSink

# Name of the sink, what smtp-sink does, the first outcome, and words of its reason.
FAULTS = [
    ("greylisted", ["-r", "RCPT", "-b", "451 4.7.1 greylisted"], "transient", "451 4.7.1 greylisted"),
    ("busy", ["-r", "CONNECT", "-b", "421 4.3.2 too many connections"], "transient", "421 4.3.2 too many"),
    ("no-room", ["-r", ".", "-b", "452 4.3.1 no room"], "transient", "452 4.3.1 no room"),
    ("leaving", ["-Q", "MAIL"], "transient", "421"),
    ("cut-greeting", ["-q", "CONNECT"], "transient", "the server closed the connection"),
    ("cut-before-text", ["-q", "DATA"], "transient", "asking to send the text"),
    ("cut-after-dot", ["-q", "."], "unknown", "while sending the text"),
    ("silent-after-dot", ["-W", ".:60"], "unknown", "no answer within 2s while sending the text"),
    ("slow", ["-W", ".:1"], "delivered", "250"),
    ("plain", ["-a", "-8", "-E", "-N", "-p"], "delivered", "250"),
    ("no-mailbox", ["-f", "RCPT", "-B", "550 5.1.1 no such mailbox"], "permanent", "550 5.1.1 no such mailbox"),
    ("spam", ["-f", ".", "-B", "554 5.7.1 spam"], "permanent", "554 5.7.1 spam"),
    ("not-from-here", ["-f", "MAIL", "-B", "550 5.7.1 sender refused"], "sink-fault", "550 5.7.1 sender refused"),
]


def sink(name, server):
    # Long enough for a busy machine where an answer comes.
    timeout = "2s" if name.startswith("silent") else "20s"
    return f"""
[sink.{name}]
kind = "email"
server = "127.0.0.1:{server.port}"
tls = "none"
from = "Herald <herald@example.com>"
to = ["{name}@example.com"]
timeout = "{timeout}"
retry = {{ first = "1s", factor = 1.0 }}
"""


def body():
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(SmtpSink(*options)) for name, options, _, _ in FAULTS}
        sinks = "".join(sink(name, server) for name, server in servers.items())
        herald = stack.enter_context(Herald(sinks))
        event = herald.send(failed_attach(1))
        for name, options, outcome, words in FAULTS:
            delivery = herald.delivery_when(
                event, name, f"attempt of `{name}`", lambda one: any(outcomes(one))
            )
            first = delivery["attempts"][0]
            check(first["outcome"] == outcome, f"{' '.join(options)}: {outcome}")
            said = first["reason"] or first["reply"] or ""
            check(words in said, f"{name}: {said}")

        # The servers come to their senses.
        again = [name for name, _, outcome, _ in FAULTS if outcome in ("transient", "unknown", "sink-fault")]
        for name in again:
            servers[name].stop()
            servers[name].start()
        for name in again:
            delivery = herald.delivery_when(
                event, name, f"delivery by `{name}`", lambda one: one["state"] == "delivered"
            )
            mails = until(f"mail of `{name}`", servers[name].mails)
            keys = {mail["Message-ID"] for mail in mails}
            check(len(keys) == 1, f"{name}: {len(mails)} copies reached it, under one Message-ID")
            messages = {attempt["message"] for attempt in delivery["attempts"]}
            check(len(messages) == 1, f"{name}: {len(delivery['attempts'])} attempts of one message")
        for name in ("no-mailbox", "spam"):
            delivery = herald.delivery(event, name)
            check(delivery["state"] == "dead" and outcomes(delivery) == ["permanent"], f"{name}: dead at once")
        for name in ("slow", "plain"):
            check(outcomes(herald.delivery(event, name)) == ["delivered"], f"{name}: delivered at once")


main(body)
