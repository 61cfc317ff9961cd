"""Announcements in Django's cache, and what becomes of them while it is away.

A process that cannot announce a change tries again until it can. Others may have noticed that the cache was away: they
believe nothing that it merely does not contradict until some time after its return, when what was missed is announced.
A process that was asked nothing meanwhile has not noticed, and may believe too much for as long as a retry takes.
"""

import logging
import math
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.core.cache import cache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

CACHE_ERRORS = (OSError, RedisError)

# Seconds. A stamp must outlive the longest outage of Clerk that keeps its change undelivered, because the claims that
# it concerns stay stale all that while.
STAMP_FOR = 30 * 24 * 3600

OUT = "out"
EVERYONE = "clerk:everyone"

# Seconds between two tries to announce what was missed.
RETRY_EVERY = 0.1
# Seconds after the cache is back: enough for a try of every other process, and for the half second one may wait for it.
MISTRUSTED_FOR = 5.0
# Announcements kept for a cache that is down. Past so many, everybody's claims are stale when it is back.
MOST_MISSED = 10_000

# key -> value and seconds. A change that was committed while the cache was down must not be forgotten when it is back,
# because claims from before it live on for a minute.
_missed: dict[str, tuple[str, int | None]] = {}
_announcer: threading.Thread | None = None

# time.monotonic() from which the cache is believed again: 0 for always, infinity until it answers.
_mistrusted_until = 0.0
_mistrust_lock = threading.Lock()


def new_stamp() -> str:
    return secrets.token_hex(8)


def announce(entries: Mapping[str, str], timeout: int | None) -> None:
    """Tell all processes now, or as soon as the cache is back. Raises nothing."""
    try:
        cache.set_many(dict(entries), timeout)
        for key in entries:
            _missed.pop(key, None)
    except CACHE_ERRORS as error:
        notice_absence(error)
        for key, value in entries.items():
            # That a user is out is told as a change: until then another process may have said that they are back, and
            # the database knows. A session never comes back.
            undoable = value == OUT and timeout is None
            _missed[key] = (new_stamp(), STAMP_FOR) if undoable else (value, timeout)
        if len(_missed) > MOST_MISSED:
            # Whoever is asked about in the database is found to be out there, too.
            _missed.clear()
            _missed[EVERYONE] = (new_stamp(), STAMP_FOR)
        _start_announcer()


def announce_missed() -> None:
    """Announce what could not be while the cache was down, unless it is down still."""
    try:
        for key, (value, timeout) in dict(_missed).items():
            cache.set(key, value, timeout)
            if _missed.get(key) == (value, timeout):
                del _missed[key]
    except CACHE_ERRORS:
        return  # which `announce` has logged


def notice_absence(error: Exception) -> None:
    """Log that the cache did not answer, and believe it again only some time after it does."""
    global _mistrusted_until
    logger.warning("The cache did not answer, so the database is asked: %s", error)
    with _mistrust_lock:
        _mistrusted_until = math.inf


def is_believed() -> bool:
    """Whether the cache, which has just answered, knows all that was announced."""
    global _mistrusted_until
    if not _mistrusted_until:
        return True
    with _mistrust_lock:
        now = time.monotonic()
        if _mistrusted_until == math.inf:
            _mistrusted_until = now + MISTRUSTED_FOR
        if _mistrusted_until <= now:
            _mistrusted_until = 0.0
        return not _mistrusted_until


@contextmanager
def cache_errors_noticed() -> Iterator[None]:
    try:
        yield
    except CACHE_ERRORS as error:
        notice_absence(error)


def _start_announcer() -> None:
    """One thread for this process, from the first announcement that it misses; a fork's threads are its own."""
    global _announcer
    if _announcer is None or not _announcer.is_alive():
        _announcer = threading.Thread(target=_keep_announcing, name="clerk-sync-announcer", daemon=True)
        _announcer.start()


def _keep_announcing() -> None:
    while True:
        time.sleep(RETRY_EVERY)
        announce_missed()
