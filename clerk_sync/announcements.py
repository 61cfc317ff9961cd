"""Announcements in Django's cache, and when a process believes the cache.

Whoever finds the cache away may have failed to announce a change; so may other processes, which may have ended since;
and what is in the cache when it is back may be old, or nothing. Hence a process that noticed believes nothing until it
has made everybody's claims stale: from then on they hold only for whom the database was asked since.
"""

import atexit
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.core.cache import cache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

CACHE_ERRORS = (OSError, RedisError)

EVERYONE = "clerk:everyone"
PROBED = "clerk:probed"  # written by probes
# Seconds. A stamp must outlive the longest outage of Clerk that keeps its change undelivered, because the claims that
# it concerns stay stale all that while.
STAMP_FOR = 30 * 24 * 3600

# Seconds between two tries to announce that the cache is back.
RETRY_EVERY = 0.1

# How often the cache was found away, and how often it had been when its return was last announced.
_absences = _announced = 0
_announcer: threading.Thread | None = None
_lock = threading.Lock()


def new_stamp() -> str:
    return secrets.token_hex(8)


def announce(entries: Mapping[str, str], timeout: int) -> None:
    """Tell all processes, or as soon as the cache is back that they cannot have been told. Raises nothing."""
    with cache_errors_noticed():
        cache.set_many(dict(entries), timeout)


def is_believed() -> bool:
    """Whether what the cache does not contradict holds."""
    return _absences == _announced


def notice_absence(error: Exception) -> None:
    """Log that the cache did not answer, and believe it again only once its return is announced."""
    global _absences
    logger.warning("The cache did not answer, so the database is asked: %s", error)
    with _lock:
        _absences += 1
        _start_announcer()


def notice_whether_away() -> None:
    """Called every few seconds in each process of the site, which may be asked nothing while the cache is away."""
    with cache_errors_noticed():
        cache.get(EVERYONE)


@contextmanager
def cache_errors_noticed() -> Iterator[None]:
    try:
        yield
    except CACHE_ERRORS as error:
        notice_absence(error)


def announce_return() -> None:
    """Make everybody's claims stale, unless the cache was not away, or is still."""
    global _announced
    absences = _absences
    if absences == _announced:
        return
    try:
        cache.set(EVERYONE, new_stamp(), STAMP_FOR)
    except CACHE_ERRORS:
        return  # as `notice_absence` has logged
    with _lock:
        _announced = max(_announced, absences)


def _start_announcer() -> None:
    global _announcer
    if _announcer is None or not _announcer.is_alive():
        _announcer = threading.Thread(target=_keep_announcing, name="clerk-sync-announcer", daemon=True)
        _announcer.start()


def _keep_announcing() -> None:
    global _announcer
    while True:
        time.sleep(RETRY_EVERY)
        announce_return()
        with _lock:
            if is_believed():
                _announcer = None
                return


def _begin_in_child() -> None:
    """A fork takes along neither threads nor who would release a lock."""
    global _lock, _announcer
    _lock, _announcer = threading.Lock(), None
    if not is_believed():
        _start_announcer()


os.register_at_fork(after_in_child=_begin_in_child)
atexit.register(announce_return)
