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
from contextlib import contextmanager, suppress
from datetime import timedelta

from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone
from redis.exceptions import RedisError

from clerk_sync.models import EndedSession

logger = logging.getLogger(__name__)

CACHE_ERRORS = (OSError, RedisError)

EVERYONE = "clerk:everyone"
PROBED = "clerk:probed"  # written by probes
# Seconds. A stamp must outlive the longest outage of Clerk that keeps its change undelivered, because the claims that
# it concerns stay stale all that while.
STAMP_FOR = 30 * 24 * 3600

# Seconds. An ended session mints no more tokens, so this need only outlive the last one, which lives for a minute.
ENDED_FOR = 24 * 3600
# Of an ended session; and how the stamp of a user begins who may not sign in.
OUT = "out"
# Written once, and for ever: one that is gone, or another, tells that the cache has forgotten.
MEMORY = "clerk:memory"

# Sessions that ended so lately may have tokens whose claims would be believed (users.BELIEVED_FOR).
ENDED_LATELY = timedelta(minutes=10)

# Seconds between two tries to announce that the cache is back.
RETRY_EVERY = 0.1

# How often the cache was found away, and how often it had been when its return was last announced.
_absences = _announced = 0
_announcer: threading.Thread | None = None
_lock = threading.Lock()
_memory: str | None = None


def new_stamp() -> str:
    return secrets.token_hex(8)


def session_key(session_id: str) -> str:
    return f"clerk:session:{session_id}"


def announce(entries: Mapping[str, str], timeout: int) -> None:
    """Tell all processes, or as soon as the cache is back that they cannot have been told. Raises nothing."""
    with cache_errors_noticed():
        cache.set_many(dict(entries), timeout)


def is_believed() -> bool:
    """Whether what the cache does not contradict holds. Asked before the cache: its return may be announced between."""
    return _absences == _announced


def notice_absence(error: Exception | str) -> None:
    """Log why the cache is not believed, until its return is announced."""
    global _absences
    logger.warning("The cache is not believed for now, so the database is asked: %s", error)
    with _lock:
        _absences += 1
        _start_announcer()


def notice_whether_away() -> None:
    """Called every few seconds in each process of the site, which may be asked nothing while the cache is away."""
    global _memory
    with cache_errors_noticed():
        found = cache.get_or_set(MEMORY, new_stamp, None)
        if _memory not in {None, found}:
            notice_absence("it was emptied or replaced.")
        _memory = found


@contextmanager
def cache_errors_noticed() -> Iterator[None]:
    try:
        yield
    except CACHE_ERRORS as error:
        notice_absence(error)


def announce_return() -> None:
    """Make everybody's claims stale, unless the cache was not away, or is still.

    Who asks the database once is believed for all sessions: those that ended are announced again.
    """
    global _announced
    absences = _absences
    if absences == _announced:
        return
    try:
        ended = EndedSession.objects.filter(ended_at__gt=timezone.now() - ENDED_LATELY).values_list("pk", flat=True)
        cache.set_many({session_key(session_id): OUT for session_id in ended}, ENDED_FOR)
        cache.set(EVERYONE, new_stamp(), STAMP_FOR)
    except (*CACHE_ERRORS, DatabaseError):
        return  # as `notice_absence` has logged
    with _lock:
        _announced = max(_announced, absences)


def _start_announcer() -> None:
    global _announcer
    if _announcer is None or not _announcer.is_alive():
        _announcer = threading.Thread(target=_keep_announcing, name="clerk-sync-announcer", daemon=True)
        with suppress(RuntimeError):  # the process ends
            _announcer.start()


def _keep_announcing() -> None:
    global _announcer
    while True:
        time.sleep(RETRY_EVERY)
        try:
            announce_return()
        except Exception:
            logger.exception("The return of the cache cannot be announced yet.")
        finally:
            connection.close()
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
