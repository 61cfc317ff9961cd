"""How two transactions that mirror the same user, or two who claim one email address, come to take turns.

The common case reads without a lock and writes only if the row is still as it was read; the rest lock. Either way the
one who comes too late starts again from what the other committed.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, OperationalError, connection

T = TypeVar("T")

# A unique value that somebody else has taken is found taken by the next attempt; one that stays in the way is a fault.
ATTEMPTS = 6
LONGEST_PAUSE = 0.2  # seconds
# Seconds. Clerk's webhooks are given up after 15: no new attempt begins later than this.
DEADLINE = 8.0
# PostgreSQL gave up this transaction for another's sake: serialization_failure, deadlock_detected.
GIVEN_UP = frozenset({"40001", "40P01"})


class OvertakenError(Exception):
    """Another transaction changed what this one had read: nothing may be written on that ground."""


def again_if_overtaken(work: Callable[[], T]) -> T:
    """Run `work`, a whole transaction, again from its start where another one was in its way.

    Its last error is raised when that goes on: OvertakenError, IntegrityError, or OperationalError.
    """
    started = time.monotonic()
    attempt = 0
    while True:
        attempt += 1
        try:
            return work()
        except (OvertakenError, IntegrityError, OperationalError) as error:
            given_up = getattr(error.__cause__, "sqlstate", None) in GIVEN_UP
            if isinstance(error, OperationalError) and not given_up:
                raise
            if isinstance(error, IntegrityError) and attempt >= ATTEMPTS:
                raise
            if time.monotonic() - started > DEADLINE:
                raise
        time.sleep(random.uniform(0, min(0.02 * 2**attempt, LONGEST_PAUSE)))  # noqa: S311  a delay is no secret


def take_turns(clerk_user_id: str) -> None:
    """Wait until no other transaction has taken this user's turn; it is given back when the transaction ends.

    It orders what no row lock can: the creation of a user and the deletion of one who was never seen. On SQLite every
    transaction that writes is alone from its start.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"clerk:{clerk_user_id}"])
