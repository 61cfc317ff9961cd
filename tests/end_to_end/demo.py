"""A demo as a user starts it: `manage.py demo` in a process of its own, on sockets and files of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


class RunningDemo:
    """`site` and `clerk` are the addresses it said; `said` is all its output so far."""

    def __init__(self, folder: Path, *options: str) -> None:
        # A shell without anything of Django's and Clerk's, and without a terminal.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "CLERK_"))}
        self.folder = folder
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, str(MANAGE), "demo", "--folder", str(folder), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=kept,
            start_new_session=True,
        )
        self.lines: Queue[str] = Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            self.lines.put(line)
        self.lines.put("")
        self.process.stdout.close()

    def wait_for(self, pattern: str, timeout: float = 90) -> str:
        while True:
            try:
                line = self.lines.get(timeout=timeout)
            except Empty:
                line = ""
            if not line:
                raise AssertionError(f"The demo never said {pattern!r}:\n{self.said}\n{self.logs()}")
            if found := re.search(pattern, line):
                return found[1]

    def started(self) -> "RunningDemo":
        self.site = self.wait_for(r"ManagerOS is at (http://localhost:\d+)/")
        self.clerk = self.wait_for(r"local Clerk is at (http://127\.0\.0\.1:\d+)/")
        return self

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self.reader.join()
        return code

    def logs(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in sorted(self.folder.glob("*.log")))


@contextmanager
def running_demo(folder: Path, *options: str) -> Iterator[RunningDemo]:
    demo = RunningDemo(folder, *options)
    try:
        yield demo.started()
    finally:
        demo.end()


def alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
