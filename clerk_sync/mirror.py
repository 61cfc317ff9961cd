"""Makes a local user what Clerk's last word says, whichever way the word came: webhook, first request, or pull.

Order is by Clerk's own clock: a word older than what the row knows changes nothing. A deletion is later than every
word. Users are recognized by their Clerk id; a verified primary email links a Clerk user to a row that has none yet.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.models import Membership, User
from clerk_sync.clerk_user import ClerkUser
from clerk_sync.freshness import announce_readmitted, announce_signed_out
from clerk_sync.models import DeletedClerkUser, MetadataSync
from clerk_sync.turns import OvertakenError, again_if_overtaken, take_turns

logger = logging.getLogger(__name__)

# What the mirror writes of a row, and what must not have changed since it was read.
MIRRORED = ("name", "email", "is_active", "deactivated_by_clerk", "clerk_updated_at")
# `clerk_updated_at` of a user deleted at Clerk: no word is newer, so none that comes late is applied.
END_OF_TIME = 2**63 - 1


class Outcome(StrEnum):
    CREATED = "created"
    LINKED = "linked"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What came of it. `user_id` is the local row's, None where there is none: the user was deleted at Clerk."""

    outcome: Outcome
    user_id: UUID | None


def mirror_user(payload: Mapping[str, Any]) -> Mirrored:
    """Mirror Clerk's User, as the Backend API gives it, in a transaction of its own. Raises MalformedPayloadError."""
    clerk_user = ClerkUser.parse(payload)

    def attempt() -> Mirrored:
        held = find_held(clerk_user)
        with transaction.atomic():
            return apply_user(clerk_user, held)

    return again_if_overtaken(attempt)


def mirror_deleted_user(clerk_user_id: str, at: datetime) -> Outcome:
    """Mirror that the user was deleted at Clerk, in a transaction of its own."""

    def attempt() -> Outcome:
        with transaction.atomic():
            return apply_deletion(clerk_user_id, at)

    return again_if_overtaken(attempt)


def find_held(clerk_user: ClerkUser, **also: Any) -> dict[str, Any] | None:
    """What the row of this Clerk user holds, None if there is no row. One query, which also evaluates `also`."""
    whose = Q(clerk_user_id=clerk_user.id)
    if clerk_user.email:
        whose |= Q(email=clerk_user.email)
    fields = ("pk", "clerk_user_id", "metadata_sync__state", *MIRRORED)
    rows: list[dict[str, Any]] = list(User.objects.filter(whose).annotate(**also).values(*fields, *also))
    held = next((row for row in rows if row["clerk_user_id"] == clerk_user.id), None)
    return held and held | {"email_is_taken": len(rows) > 1}


def is_current(clerk_user: ClerkUser, held: Mapping[str, Any]) -> bool:
    """Whether the row says already what Clerk says, so that nobody need ask who else has the email."""
    return held["email"] == clerk_user.email and not _changes(clerk_user, held, email=clerk_user.email)


def apply_user(clerk_user: ClerkUser, held: dict[str, Any] | None) -> Mirrored:
    """Apply what Clerk says to what is held. Inside the caller's transaction, which OvertakenError must roll back."""
    if held is None:
        return _admit(clerk_user)
    outcome = _update(clerk_user, held)
    # What the confirmation asks for itself is known already: without it two queries would find out that there is none.
    if outcome != Outcome.STALE and held["metadata_sync__state"] == MetadataSync.State.SYNCED:
        MetadataSync.objects.confirm(clerk_user.id, clerk_user.public_metadata, clerk_user.updated_at)
    return Mirrored(outcome, held["pk"])


def apply_deletion(clerk_user_id: str, at: datetime) -> Outcome:
    """Deactivate the user and end their memberships, inside the caller's transaction.

    The rows stay: the user's as a tombstone, and that of each Person, who is unlinked, as HR data. An organization may
    be left without an owner. The email is given free for whoever has it at Clerk now.
    """
    take_turns(clerk_user_id)
    _, buried = DeletedClerkUser.objects.get_or_create(clerk_user_id=clerk_user_id, defaults={"deleted_at": at})
    user = User.objects.select_for_update().filter(clerk_user_id=clerk_user_id).first()
    if user is None or user.clerk_updated_at == END_OF_TIME:
        return Outcome.UPDATED if buried else Outcome.UNCHANGED
    Membership.objects.filter(user=user).delete_even_last_owners()
    user.email = None
    user.is_active = False
    user.deactivated_by_clerk = True
    user.clerk_updated_at = END_OF_TIME
    user.save(update_fields=["email", "is_active", "deactivated_by_clerk", "clerk_updated_at"])
    # Nothing can be delivered to a user whom Clerk has no more.
    MetadataSync.objects.filter(pk=clerk_user_id).delete()
    transaction.on_commit(partial(announce_signed_out, clerk_user_id))
    return Outcome.UPDATED


def _update(clerk_user: ClerkUser, held: dict[str, Any]) -> Outcome:
    # The same time again is applied: Clerk does not promise that every change moves it, and a ban must not be missed.
    if clerk_user.updated_at < (held["clerk_updated_at"] or 0):
        return Outcome.STALE
    email = _granted_email(clerk_user) if held["email_is_taken"] else clerk_user.email
    changes = _changes(clerk_user, held, email=email)
    if not changes:
        return Outcome.UNCHANGED
    as_held = User.objects.filter(pk=held["pk"], **{field: held[field] for field in MIRRORED})
    if not as_held.update(**changes):
        raise OvertakenError
    if "is_active" in changes:
        announce = announce_readmitted if changes["is_active"] else announce_signed_out
        transaction.on_commit(partial(announce, clerk_user.id))
    return Outcome.UPDATED


def _changes(clerk_user: ClerkUser, held: Mapping[str, Any], *, email: str | None) -> dict[str, Any]:
    wanted = {
        "name": clerk_user.name,
        "email": email,
        "clerk_updated_at": clerk_user.updated_at,
        **_admission(clerk_user, is_active=held["is_active"], by_clerk=held["deactivated_by_clerk"]),
    }
    return {field: value for field, value in wanted.items() if held[field] != value}


def _admission(clerk_user: ClerkUser, *, is_active: bool, by_clerk: bool) -> dict[str, bool]:
    """A ban takes away what is there; its end gives back what a ban took, and nothing that was taken here."""
    if clerk_user.is_barred and is_active:
        return {"is_active": False, "deactivated_by_clerk": True}
    if not clerk_user.is_barred and by_clerk:
        return {"is_active": True, "deactivated_by_clerk": False}
    return {}


def _admit(clerk_user: ClerkUser) -> Mirrored:
    """Link or create the row of a Clerk user who has none."""
    take_turns(clerk_user.id)
    if DeletedClerkUser.objects.filter(pk=clerk_user.id).exists():
        return Mirrored(Outcome.STALE, None)
    if User.objects.filter(clerk_user_id=clerk_user.id).exists():
        raise OvertakenError
    holder = _email_holder(clerk_user)
    if holder and holder.clerk_user_id is None and _may_be_linked(holder):
        return _link(holder, clerk_user)
    user = User.objects.create_user(
        clerk_user_id=clerk_user.id,
        email=_granted_email(clerk_user) if holder else clerk_user.email,
        name=clerk_user.name,
        is_active=not clerk_user.is_barred,
        deactivated_by_clerk=clerk_user.is_barred,
        clerk_updated_at=clerk_user.updated_at,
    )
    return Mirrored(Outcome.CREATED, user.pk)


def _link(user: User, clerk_user: ClerkUser) -> Mirrored:
    changes = {
        "clerk_user_id": clerk_user.id,
        "name": clerk_user.name,
        "clerk_updated_at": clerk_user.updated_at,
        **_admission(clerk_user, is_active=user.is_active, by_clerk=user.deactivated_by_clerk),
    }
    for field, value in changes.items():
        setattr(user, field, value)
    user.save(update_fields=list(changes))
    told = "Linked user %s to Clerk user %s by verified primary email."
    transaction.on_commit(partial(logger.info, told, user.pk, clerk_user.id))  # a dry run commits nothing
    return Mirrored(Outcome.LINKED, user.pk)


def _may_be_linked(user: User) -> bool:
    """Whoever controls a mailbox must not become staff by that alone."""
    return settings.CLERK_LINK_STAFF or not (user.is_staff or user.is_superuser)


def _email_holder(clerk_user: ClerkUser) -> User | None:
    if clerk_user.email is None:
        return None
    others = User.objects.exclude(clerk_user_id=clerk_user.id)
    holder: User | None = others.select_for_update().filter(email=clerk_user.email).first()
    return holder


def _granted_email(clerk_user: ClerkUser) -> str | None:
    """The user's email, taken from the row that has it, or None where that row keeps it."""
    holder = _email_holder(clerk_user)
    if holder is None:
        return clerk_user.email
    if holder.clerk_user_id is None:
        # A password goes with the address of staff; anyone else without a Clerk id cannot sign in at all.
        keeps = not _may_be_linked(holder)
    else:
        keeps = (holder.clerk_updated_at or 0) > clerk_user.updated_at
    if keeps:
        logger.warning("User %s keeps the email that Clerk user %s has.", holder.pk, clerk_user.id)
        return None
    holder.email = None
    holder.save(update_fields=["email"])
    told = "The email of user %s went to Clerk user %s."
    transaction.on_commit(partial(logger.info, told, holder.pk, clerk_user.id))
    return clerk_user.email
