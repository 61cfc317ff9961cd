"""Clerk's rate limits: https://clerk.com/docs/guides/how-clerk-works/system-limits"""

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from clerk_sync.emulator.errors import Refusal


@dataclass(frozen=True)
class Rate:
    calls: int
    seconds: float


@dataclass(kw_only=True)
class Limits:
    """How often what may be called; None is no limit. As Clerk's own for a test instance."""

    instance: Rate | None = Rate(100, 10)
    user_writes: Rate | None = Rate(10, 10)  # of one user: PATCH user, PATCH and PUT metadata
    invitations: Rate | None = Rate(100, 3600)
    sign_ins: Rate | None = Rate(5, 10)  # of one address: creating sign-ins and sign-ups
    attempts: Rate | None = Rate(3, 10)  # of one address: attempting one

    @classmethod
    def live(cls) -> "Limits":
        return cls(instance=Rate(1000, 10))

    @classmethod
    def off(cls) -> "Limits":
        return cls(instance=None, user_writes=None, invitations=None, sign_ins=None, attempts=None)


@dataclass
class RateLimiter:
    """Counts calls in a sliding window. A refused call does not count."""

    calls: dict[str, deque[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, *limits: tuple[str, Rate | None]) -> None:
        """Count one call under every named limit, or under none and raise 429 where one of them is reached."""
        now = time.monotonic()
        with self.lock:
            admitted = []
            for name, rate in limits:
                if rate is None:
                    continue
                calls = self.calls.setdefault(name, deque())
                while calls and calls[0] <= now - rate.seconds:
                    calls.popleft()
                if len(calls) >= rate.calls:
                    wait = math.ceil(calls[0] + rate.seconds - now)
                    raise too_many_requests(max(1, wait))
                admitted.append(calls)
            for calls in admitted:
                calls.append(now)


def too_many_requests(retry_after: int) -> Refusal:
    return Refusal(
        429,
        "too_many_requests",
        "Too many requests",
        "Too many requests. Please try again in a bit.",
        retry_after=retry_after,
    )
