"""Processes of the demo: each with a log of its own, all of them ended together."""

import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STARTS_WITHIN = 60.0  # seconds, on a slow machine; usually two
ENDS_WITHIN = 10.0  # seconds after a polite request, before the process is killed
MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


class DemoError(Exception):
    """The demo cannot start, or a part of it ended by itself. The text is for people."""


@dataclass(kw_only=True)
class Processes:
    """Management commands that run at the same time, with their logs in `folder`. `stopping` ends every wait."""

    folder: Path
    environment: Mapping[str, str]
    stopping: threading.Event
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def spawn(self, name: str, *command: str) -> None:
        with self.log(name).open("wb") as output:
            self.running[name] = subprocess.Popen(  # noqa: S603  our own commands
                [sys.executable, str(MANAGE), *command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A terminal sends Ctrl-C to its whole group: these get it from us, in order, and no second time.
                start_new_session=True,
            )

    def run(self, name: str, *command: str) -> None:
        """To its end."""
        self.spawn(name, *command)
        if self.running.pop(name).wait():
            raise DemoError(f"{name} failed:\n{self.last_lines(name)}")

    def wait_until_answering(self, url: str) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.stopping.is_set() and not answers(url):
            self.require_all_running()
            if time.monotonic() > deadline:
                raise DemoError(f"{url} does not answer. The logs are in {self.folder}.")
            self.stopping.wait(0.1)

    def require_all_running(self) -> None:
        for name, process in self.running.items():
            if process.poll() is not None:
                raise DemoError(f"The {name} ended by itself:\n{self.last_lines(name)}")

    def stop(self) -> None:
        """Asked in the reverse order of their start, killed where they do not listen."""
        processes = list(reversed(self.running.values()))
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + ENDS_WITHIN
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def log(self, name: str) -> Path:
        return self.folder / f"{name.lower().replace(' ', '-')}.log"

    def last_lines(self, name: str) -> str:
        return "\n".join(self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  an address of our own
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


@contextmanager
def ending_by_signal(stopping: threading.Event) -> Iterator[None]:
    """Ctrl-C, a closed terminal and a polite kill each set `stopping`."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
