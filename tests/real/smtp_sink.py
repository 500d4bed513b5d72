"""Debian's `smtp-sink` (of postfix), running: a mail server that does as it is told."""

import email
import email.policy
import os
import pathlib
import pwd
import subprocess
import tempfile

from herald import free_port, wait_for_port


class SmtpSink:
    """`with SmtpSink("-r", "RCPT") as sink:` runs it with these options on `sink.port`.

    `start` and `stop` in between take its place by one with other options, on the same port."""

    def __init__(self, *options, backlog="16"):
        self.options = options
        self.backlog = backlog
        self.port = free_port()

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="herald-real-")
        self.folder = pathlib.Path(self.temporary.name)
        self.start(*self.options)
        return self

    def start(self, *options):
        command = [os.environ["SMTP_SINK"]]
        if os.geteuid() == 0:
            # It refuses to run as root; the dump must lie where the other user may write.
            command += ["-u", "nobody"]
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        # Each mail goes into a file of its own, with what the envelope said in front.
        command += [*options, "-d", "mail.", f"127.0.0.1:{self.port}", self.backlog]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def __exit__(self, *_):
        self.stop()
        self.temporary.cleanup()

    def mails(self):
        """What it took, in the order of the files' names."""
        files = sorted(self.folder.glob("mail.*"))
        return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
