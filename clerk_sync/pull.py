"""Mirrors all of Clerk's users, for a first import or for events missed while the endpoint was disabled.

Users come in cursor pages, newest first: unlike offsets, a cursor skips nobody when users are created or deleted
meanwhile. Every user is applied by the mirror's one rule, so that a pull may run beside the webhook, or twice.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from django.db import transaction

from accounts.models import User
from clerk_sync import backend_api
from clerk_sync.clerk_user import ClerkUser, MalformedPayloadError
from clerk_sync.mirror import END_OF_TIME, MIRRORED, Outcome, is_current, mirror_deleted_user, mirror_user

T = TypeVar("T")

# Clerk allows 1000 calls in 10 seconds: what is worth a retry is over soon or for long.
ATTEMPTS = 5
WAIT = 2.0  # seconds, where Clerk names no time
LONGEST_WAIT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Page:
    """What came of one page: an outcome for each user that could be read, and why for the others."""

    outcomes: Mapping[str, Outcome]
    malformed: Mapping[str, str] = field(default_factory=dict)
    # The id to start after, for whoever goes on from here.
    cursor: str = ""


def pull_pages(
    *, starting_after: str | None = None, dry_run: bool = False, size: int = backend_api.PAGE_SIZE
) -> Iterator[Page]:
    """Mirror page after page. Raises ClerkError; what was yielded before is done, and need not be done again."""
    while True:
        users = with_retries(partial(backend_api.list_users, limit=size, starting_after=starting_after))
        page = _pull(users, dry_run=dry_run)
        yield page
        if len(users) < size or not page.cursor:
            return
        starting_after = page.cursor


def find_missing(seen: Collection[str]) -> list[str]:
    """The Clerk ids of local users whom a whole pull did not see, and who are not known to be deleted."""
    rows = User.objects.exclude(clerk_user_id=None).exclude(clerk_updated_at=END_OF_TIME)
    return sorted(set(rows.values_list("clerk_user_id", flat=True)) - set(seen))


def mirror_if_deleted(clerk_user_id: str, *, apply: bool) -> bool:
    """Whether Clerk, asked for this one user, has no such user; if so, and if told to, mirror the deletion."""
    try:
        with_retries(partial(backend_api.get_user, clerk_user_id))
    except backend_api.Permanent as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
    else:
        return False
    if apply:
        mirror_deleted_user(clerk_user_id, datetime.now(UTC))
    return True


def with_retries(call: Callable[[], T]) -> T:
    """What the call returns, after as many tries as `Retryable` errors ask for; the last of them is raised."""
    for attempt in range(1, ATTEMPTS):
        try:
            return call()
        except backend_api.Retryable as error:
            time.sleep(min(error.retry_after or WAIT * attempt, LONGEST_WAIT))
    return call()


def _pull(users: list[dict[str, Any]], *, dry_run: bool) -> Page:
    ids = [user["id"] for user in users if isinstance(user.get("id"), str)]
    rows = User.objects.filter(clerk_user_id__in=ids).values("clerk_user_id", *MIRRORED)
    held = {row["clerk_user_id"]: row for row in rows}
    outcomes: dict[str, Outcome] = {}
    malformed: dict[str, str] = {}
    for payload in users:
        try:
            clerk_user = ClerkUser.parse(payload)
        except MalformedPayloadError as error:
            malformed[str(payload.get("id"))] = str(error)
            continue
        row = held.get(clerk_user.id)
        if row and is_current(clerk_user, row):
            outcomes[clerk_user.id] = Outcome.UNCHANGED
            continue
        outcomes[clerk_user.id] = _mirror(payload, dry_run=dry_run)
    return Page(outcomes, malformed, cursor=ids[-1] if ids else "")


def _mirror(payload: dict[str, Any], *, dry_run: bool) -> Outcome:
    if not dry_run:
        return mirror_user(payload).outcome
    # The real thing, undone: no second set of rules has to agree with the first about what would happen.
    with transaction.atomic():
        outcome = mirror_user(payload).outcome
        transaction.set_rollback(True)
    return outcome
