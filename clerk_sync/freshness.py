"""Whether a token's claims may still be believed, told between processes through Django's cache.

A change leaves a *stamp*, a new random value, on its user, its organization or everyone. Claims that no stamp concerns
hold: a user whose data never changes costs no query, whatever the cache has forgotten. Claims that a stamp concerns are
stale until the database was asked and found the change delivered; that answer is kept beside the stamps that stood
*before* it was asked. A change announced meanwhile replaces a stamp, the answer fits no longer, and the database is
asked again: no clocks are compared between our machines, and no lock is taken.
"""

from collections.abc import Collection, Mapping
from enum import Enum
from functools import lru_cache, partial
from typing import NamedTuple
from uuid import UUID

from django.core.cache import DEFAULT_CACHE_ALIAS, cache, caches
from django.db import transaction

from accounts.models import User
from clerk_sync.announcements import (
    CACHE_ERRORS,
    ENDED_FOR,
    EVERYONE,
    OUT,
    STAMP_FOR,
    announce,
    cache_errors_noticed,
    is_believed,
    new_stamp,
    notice_absence,
    session_key,
)
from clerk_sync.models import EndedSession, MetadataSync


class Verdict(Enum):
    FRESH = "fresh"
    STALE = "stale"
    SIGNED_OUT = "signed_out"


class Freshness(NamedTuple):
    """A verdict, and the stamps that stood when it was given: what `remember_fresh` needs, None if unknown."""

    verdict: Verdict
    stamps: tuple[str, ...] | None = None


def judge(clerk_user_id: str, *, session_id: str | None, organization_id: str | None, assembled_at: int) -> Freshness:
    """Judge claims that were assembled at `assembled_at` (seconds since the epoch, Clerk's clock).

    One round trip to the cache. While it is away, and until its return is announced, everything is stale, so that the
    database answers.
    """
    keys = _keys(clerk_user_id, session_id, organization_id)
    believed = is_believed()
    try:
        # As `cache`, which takes half as long again to find the backend: every request comes this way.
        found = caches[DEFAULT_CACHE_ALIAS].get_many(keys.all)
    except CACHE_ERRORS as error:
        notice_absence(error)
        return Freshness(Verdict.STALE)
    if not found and believed:
        return keys.unconcerned
    stamps = tuple([found.get(key, "") for key in keys.stamps])
    if keys.session in found:
        return Freshness(Verdict.SIGNED_OUT)
    known_stamps, claims_after = found.get(keys.fresh, (None, 0))
    # Token times are whole seconds: one in the very second of the delivery may have been assembled before it.
    holds = assembled_at * 1000 > claims_after if known_stamps == stamps else not any(stamps)
    return Freshness(Verdict.FRESH if holds and believed else Verdict.STALE, stamps)


def is_signed_out(clerk_user_id: str, session_id: str | None) -> bool:
    """Whether the cache last heard that the user or the session is out; False while it is away. One round trip."""
    keys = [_user_key(clerk_user_id)]
    if session_id is not None:
        keys.append(session_key(session_id))
    try:
        return any(stamp.startswith(OUT) for stamp in cache.get_many(keys).values())
    except CACHE_ERRORS as error:
        notice_absence(error)
        return False


def remember_fresh(clerk_user_id: str, stamps: tuple[str, ...], claims_after: int | None) -> None:
    """Keep what the database said *after* these stamps were read: nothing pending, delivered at `claims_after` (ms)."""
    with cache_errors_noticed():
        cache.set(_fresh_key(clerk_user_id), (stamps, claims_after or 0), STAMP_FOR)


# --- Announcements: call them after the commit that made them true


def announce_stale(clerk_user_ids: Collection[str]) -> None:
    """The claims of these users are out of date."""
    announce({_user_key(clerk_user_id): new_stamp() for clerk_user_id in clerk_user_ids}, STAMP_FOR)


def announce_organization_stale(organization_id: UUID | str) -> None:
    """The claims that name this organization are out of date, whoever holds them."""
    announce({_organization_key(organization_id): new_stamp()}, STAMP_FOR)


def announce_everyone_stale() -> None:
    announce({EVERYONE: new_stamp()}, STAMP_FOR)


def announce_delivered(delivered: Mapping[str, int | None]) -> None:
    """These users' metadata reached Clerk; claims assembled after the given time (ms, Clerk's clock) hold it.

    The rows are read again once the stamps are known: a change that was committed since then wins.
    """
    organizations = _delivered_to(delivered)
    if not organizations:
        return
    stamp_keys = {pk: _stamp_keys(pk, organization_id) for pk, organization_id in organizations.items()}
    with cache_errors_noticed():
        found = cache.get_many({key for keys in stamp_keys.values() for key in keys})
        unchanged = organizations.items() & _delivered_to(delivered).items()
        entries = {
            _fresh_key(pk): (tuple([found.get(key, "") for key in stamp_keys[pk]]), delivered[pk] or 0)
            for pk, _ in unchanged
        }
        cache.set_many(entries, STAMP_FOR)


def announce_signed_out(clerk_user_id: str) -> None:
    """The user may not sign in any more: the database is asked from now on, and refuses every token they hold."""
    announce({_user_key(clerk_user_id): OUT + new_stamp()}, STAMP_FOR)


def announce_readmitted(clerk_user_id: str) -> None:
    announce_stale([clerk_user_id])


def end_session(session_id: str) -> None:
    """Refuse this session's tokens from the current transaction's commit on."""
    EndedSession.objects.bulk_create([EndedSession(session_id=session_id)], ignore_conflicts=True)
    transaction.on_commit(partial(remember_ended, session_id))


def remember_ended(session_id: str) -> None:
    announce({session_key(session_id): OUT}, ENDED_FOR)


# --- How it is kept


def _user_key(clerk_user_id: str) -> str:
    return f"clerk:user:{clerk_user_id}"


def _fresh_key(clerk_user_id: str) -> str:
    return f"clerk:fresh:{clerk_user_id}"


def _organization_key(organization_id: UUID | str) -> str:
    return f"clerk:organization:{organization_id}"


def _stamp_keys(clerk_user_id: str, organization_id: UUID | str | None) -> list[str]:
    keys = [_user_key(clerk_user_id), EVERYONE]
    if organization_id is not None:
        keys.append(_organization_key(organization_id))
    return keys


class Keys(NamedTuple):
    """What is read for one request, and what follows if nothing is found. `stamps` begins with the user's."""

    stamps: tuple[str, ...]
    fresh: str
    session: str | None
    all: tuple[str, ...]
    unconcerned: Freshness


@lru_cache(maxsize=4096)
def _keys(clerk_user_id: str, session_id: str | None, organization_id: str | None) -> Keys:
    stamps = tuple(_stamp_keys(clerk_user_id, organization_id))
    fresh = _fresh_key(clerk_user_id)
    session = None if session_id is None else session_key(session_id)
    return Keys(
        stamps=stamps,
        fresh=fresh,
        session=session,
        all=(*stamps, fresh) if session is None else (*stamps, fresh, session),
        unconcerned=Freshness(Verdict.FRESH, ("",) * len(stamps)),
    )


def _delivered_to(delivered: Mapping[str, int | None]) -> dict[str, UUID | None]:
    """By user, the organization that their delivery told Clerk of; without those that are outdated, or inactive."""
    found = (
        User.objects.with_identity()
        .filter(clerk_user_id__in=delivered, is_active=True, metadata_sync__state=MetadataSync.State.SYNCED)
        .values_list("clerk_user_id", "organization_id", "metadata_sync__claims_after")
    )
    return {pk: organization_id for pk, organization_id, after in found if after == delivered[pk]}
