"""Troubles to order: how a Clerk that is slow, down or unreachable behaves, for tests of whoever calls it."""

import random
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["latency", "status", "reset", "timeout", "lost_answer"]


@dataclass(kw_only=True)
class Fault:
    """What happens to calls whose `METHOD /path` matches the regular expression.

    latency: answered after `seconds`. status: answered with `status`, and `retry_after` for a 429; not applied.
    reset: the connection breaks; not applied. timeout: nothing for `seconds`, then the connection breaks; not applied.
    lost_answer: applied, then the connection breaks.
    `times` counts down and ends the fault at 0; None is without end.
    """

    kind: Kind
    match: str = ".*"
    seconds: float = 0.0
    status: int = 500
    retry_after: int | None = None
    probability: float = 1.0
    times: int | None = None


@dataclass
class Faults:
    faults: list[Fault] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  chance, not a secret
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    def add(self, *faults: Fault) -> None:
        with self.lock:
            self.faults.extend(faults)

    def clear(self) -> None:
        with self.lock:
            self.faults.clear()

    def drawn(self, method: str, path: str) -> list[Fault]:
        """The faults that strike this call, each counted down."""
        struck = []
        with self.lock:
            for fault in list(self.faults):
                if not re.search(fault.match, f"{method} {path}") or self.chance.random() >= fault.probability:
                    continue
                struck.append(fault)
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
        return struck

    def sleep(self, seconds: float) -> None:
        """Cut short when the server stops, so that stopping never waits for a pretended time-out."""
        deadline = time.monotonic() + seconds
        self.stopping.wait(max(0.0, deadline - time.monotonic()))


class ConnectionBreaks(Exception):  # noqa: N818
    """The answer never arrives."""
