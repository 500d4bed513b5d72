"""The README is true: its walk-through is run as it stands there, and prints what it says.

Every block of commands under "Five minutes" is run; the block of text after it must be found in what
they print, line by line, with ids, times and `…` standing for anything. Only the program's path and
the two ports are replaced.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from herald import PATIENCE, Wrong, check, free_port, main, wait_for_port

TOP = pathlib.Path(__file__).resolve().parents[2]


def blocks(page):
    """The fenced blocks of a page as (language, text), in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page, re.M | re.S)


def section(page, title):
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def plain(line):
    """A line without what differs from run to run."""
    line = re.sub(r"\b(evt|dlv|msg)_[0-9a-f]{32}\b", r"\1_ID", line)
    line = re.sub(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", line)
    line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line)
    return re.sub(r" {2,}", " ", line).strip()


def pattern(line):
    parts = [re.escape(part.strip()) for part in plain(line).split("…")]
    return re.compile(".*".join(parts))


def compare(expected, printed, command):
    """Every expected line stands in what was printed, in that order."""
    lines = iter([plain(line) for line in printed.splitlines()])
    for line in expected.splitlines():
        if line.strip() in ("", "…"):
            continue
        wanted = pattern(line)
        if not any(wanted.fullmatch(found) for found in lines):
            raise Wrong(f"`{command}` does not print\n    {line}\nbut\n{printed}")


class Background:
    """What the reader leaves running in another terminal."""

    def __init__(self, command, folder, environment):
        self.command = command
        self.arguments = (["bash", "-c", f"exec {command}"], folder, environment)
        self.start()

    def start(self):
        command, folder, environment = self.arguments
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def body():
    page = (TOP / "README.md").read_text(encoding="utf-8")
    demo(page)
    with tempfile.TemporaryDirectory(prefix="herald-real-") as folder:
        walk(page, pathlib.Path(folder))


def demo(page):
    """The first command, with --once; it prints the same but for the last line."""
    text = next(text for language, text in blocks(section(page, "Two commands")) if language == "text")
    told = subprocess.run(
        [os.environ["HERALD"], "demo", "--once"], capture_output=True, text=True, timeout=120, check=False
    )
    check(told.returncode == 0, "the demo ends with 0")
    for line in text.splitlines():
        if line.strip() and "Ctrl-C" not in line:
            # Sinks do not wait for each other, so the arrivals have no order.
            compare(line, told.stdout, "herald demo --once")
    check(True, "and prints what the README shows")


def walk(page, folder):
    listen, receive = free_port(), free_port()

    def adapt(text):
        text = text.replace("target/release/herald", os.environ["HERALD"])
        return text.replace("8470", str(listen)).replace("8471", str(receive))

    shutil.copytree(TOP / "examples", folder / "examples")
    config = (TOP / "config.toml").read_text(encoding="utf-8")
    (folder / "config.toml").write_text(adapt(config), encoding="utf-8")
    environment = {**os.environ, "HERALD_URL": f"http://127.0.0.1:{listen}"}

    left_running = []
    steps = blocks(section(page, "Five minutes"))
    try:
        for (language, text), (next_language, expected) in zip(steps, [*steps[1:], ("", "")]):
            if language != "sh":
                continue
            command = text.strip()
            if command.endswith("serve"):
                left_running.append(Background(adapt(command), folder, environment))
                wait_for_port(listen)
            elif command.startswith("python3"):
                # "Stop the router with Ctrl-C and start it again: the delivery is still there."
                router = left_running[0]
                check(router.stop() == 0, "Ctrl-C ends the router with 0")
                router.start()
                wait_for_port(listen)
                left_running.append(Background(adapt(command), folder, environment))
                wait_for_port(receive)
            else:
                run(command, adapt(command), expected if next_language == "text" else "", folder, environment)
    finally:
        for one in reversed(left_running):
            one.stop()


def run(shown, command, expected, folder, environment):
    # A delivery that waits arrives "within a minute"; everything else is there at once.
    deadline = time.monotonic() + 2 * PATIENCE
    while True:
        told = subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if told.returncode != 0:
            raise Wrong(f"`{shown}` ends with {told.returncode}: {told.stderr}")
        try:
            compare(expected, told.stdout, shown)
            break
        except Wrong:
            if not {"status", "show"} & set(command.split()) or time.monotonic() > deadline:
                raise
        time.sleep(1)
    for line in shown.splitlines():
        check(True, line)


main(body)
