"""Finds who is out of step: by our records of what was delivered, or by reading what Clerk really holds.

Marks queue every change that the ORM makes. What no hook can see (raw SQL here, an edit in Clerk's dashboard there) is
found here. Both ways read in pages and keep nothing from one to the next, so they can be interrupted and run again.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from clerk_sync import backend_api
from clerk_sync.claims import CLAIMS
from clerk_sync.marking import chunked, link, mark
from clerk_sync.metadata import NO_METADATA, Metadata, desired_metadata, digest, read_metadata
from clerk_sync.models import DeliveryState, MetadataSync
from clerk_sync.pull import with_retries
from clerk_sync.tasks import task

logger = logging.getLogger(__name__)

# Of our own rows, read at once: for a smaller page PostgreSQL reads the tables beside the users' just as whole, and all
# the pages together would take longer than their number grows. 20,000 take some 25 MB, were all of them out of step.
PAGE = 20_000
NAMED = 100  # users that Clerk lets one call name

State = MetadataSync.State


@dataclass
class Comparison:
    """What a page of users came to: how many were looked at, and what Clerk should hold for those out of step."""

    seen: int = 0
    differences: dict[str, Metadata] = field(default_factory=dict)
    user_ids: list[UUID] = field(default_factory=list)


def compare_with_records(users: Any) -> Iterator[Comparison]:
    """Which of these users wait for a delivery, failed, or hold other metadata at Clerk than we delivered."""
    last = None
    fields = ("pk", "clerk_user_id", "metadata_sync__state", "metadata_sync__held_digest", "metadata_sync__pk")
    users = users.filter(clerk_user_id__isnull=False).order_by("pk")
    while True:
        page = Comparison()
        rows = users if last is None else users.filter(pk__gt=last)
        for metadata, (last, clerk_user_id, state, held, row) in read_metadata(rows[:PAGE], *fields):
            page.seen += 1
            if state != State.SYNCED or row != clerk_user_id or held != digest(metadata):
                page.differences[clerk_user_id] = metadata
                page.user_ids.append(last)
        if page.seen:
            yield page
        if page.seen < PAGE:
            return


def mark_out_of_step(page: Comparison) -> None:
    """Queue a delivery for whoever is out of step and has none queued; one that backs off is due now."""
    for chunk in chunked(zip(page.user_ids, page.differences, strict=True)):
        user_ids, clerk_user_ids = zip(*chunk, strict=True)
        with transaction.atomic():
            link(User.objects.filter(pk__in=user_ids))
            rows = MetadataSync.objects.filter(pk__in=clerk_user_ids)
            rows.hurry()
            mark(rows.exclude(state=State.PENDING))


@dataclass
class Verification:
    """What Clerk holds, user by user. `gone` is known only after all of Clerk's users were read."""

    seen: int = 0
    pending: int = 0
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        names = ("missing", "different", "orphaned", "gone")
        return Counter({name: len(getattr(self, name)) for name in names})


def verify_everyone(*, repair: bool) -> Iterator[Verification]:
    """Read all of Clerk's users, and queue repairs; yields the same `Verification` after each page."""
    found, began, cursor = Verification(), timezone.now(), None
    while True:
        page = read_page(starting_after=cursor)
        verify_page(page, found, repair=repair)
        if len(page) < backend_api.PAGE_SIZE:
            break
        yield found
        cursor = page[-1]["id"]
    found.gone = unseen_since(began)
    yield found


def verify_users(users: Any, *, repair: bool) -> Iterator[Verification]:
    """Read these users from Clerk, and queue repairs; yields the same `Verification` after each page."""
    found = Verification()
    clerk_user_ids = list(users.filter(clerk_user_id__isnull=False).values_list("clerk_user_id", flat=True))
    for start in range(0, len(clerk_user_ids), NAMED):
        named = clerk_user_ids[start : start + NAMED]
        page = read_page(user_ids=named)
        verify_page(page, found, repair=repair)
        found.gone += sorted(set(named) - {user["id"] for user in page})
        yield found


@task()
def verify_chosen(clerk_user_ids: list[str]) -> None:
    """Compare these users with what Clerk really holds, and queue repairs: in a worker."""
    for found in verify_users(User.objects.filter(clerk_user_id__in=clerk_user_ids), repair=True):
        logger.info("Verified %d of %d users: %s", found.seen, len(clerk_user_ids), dict(found.counts))


def read_page(**query: Any) -> list[dict[str, Any]]:
    """A page of Clerk's users. It counts towards Clerk's limit, and need not wait for it: it does the work of 500."""
    with transaction.atomic(durable=True):
        DeliveryState.objects.locked().spend(1, timezone.now())
    return with_retries(lambda: backend_api.list_users(**query))


def verify_page(page: list[dict[str, Any]], found: Verification, *, repair: bool) -> None:
    """Compare what Clerk holds with what it should hold; what the comparison may have outrun is left alone.

    That is, rows with a delivery queued, and rows that were delivered after Clerk made up its answer.
    """
    users = {user["id"]: user for user in page}
    read_at = timezone.now()
    owners = dict(User.objects.filter(clerk_user_id__in=users).values_list("clerk_user_id", "pk"))
    desired = desired_metadata(owners.values())
    rows = MetadataSync.objects.in_bulk(users)
    in_step: list[str] = []
    to_repair: list[str] = []
    for clerk_user_id, user in users.items():
        found.seen += 1
        public_metadata, row = user.get("public_metadata") or {}, rows.get(clerk_user_id)
        if row and (row.state == State.PENDING or (row.claims_after or 0) > (user.get("updated_at") or 0)):
            found.pending += 1
            continue
        should = desired.get(owners[clerk_user_id], NO_METADATA) if clerk_user_id in owners else NO_METADATA
        if (held := digest(public_metadata)) == digest(should):
            if row and row.state == State.SYNCED:
                in_step.append(clerk_user_id)
                continue
        elif clerk_user_id not in owners:
            found.orphaned.append(clerk_user_id)
        elif any(public_metadata.get(claim) is not None for claim in CLAIMS):
            found.different.append(clerk_user_id)
        else:
            found.missing.append(clerk_user_id)
        if row or held != digest(should):
            to_repair.append(clerk_user_id)
    MetadataSync.objects.filter(pk__in=in_step, state=State.SYNCED).update(confirmed_at=read_at)
    if repair and to_repair:
        queue_repairs(to_repair, owners.values(), rows)


def queue_repairs(clerk_user_ids: Collection[str], owners: Collection[UUID], known: Collection[str]) -> None:
    with transaction.atomic():
        link(User.objects.filter(pk__in=owners))
        strangers = [MetadataSync(clerk_user_id=pk) for pk in clerk_user_ids if pk not in known]
        MetadataSync.objects.bulk_create(strangers, ignore_conflicts=True)
        rows_to_repair = MetadataSync.objects.filter(pk__in=clerk_user_ids).exclude(state=State.PENDING)
        rows_to_repair.update(held_digest="")  # or the delivery would find in our records that none is needed
        mark(rows_to_repair)


def unseen_since(moment: datetime) -> list[str]:
    """Users whom we delivered to before, and whom Clerk did not list after that moment."""
    seen_later = Q(confirmed_at__gte=moment) | Q(delivered_at__gte=moment) | Q(pending_since__gte=moment)
    rows = MetadataSync.objects.filter(state=State.SYNCED, user__isnull=False).exclude(seen_later)
    return list(rows.values_list("pk", flat=True))
