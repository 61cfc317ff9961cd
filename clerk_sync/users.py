"""From verified claims to the person on the request: what the token says while it holds, else one query."""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.conf import settings
from django.db.models import Exists, QuerySet
from django.http import HttpRequest

from accounts.access import NotSignedIn
from accounts.identity import FallbackReason, ManagerOSUser
from accounts.models import Role, User
from clerk_sync import freshness
from clerk_sync.claims import CLAIMS
from clerk_sync.freshness import Verdict
from clerk_sync.models import EndedSession, MetadataSync
from clerk_sync.provisioning import ClerkUnavailable, UnknownClerkUser, provision
from clerk_sync.refusals import IdentityUnavailable, Reason, TokenRefused
from clerk_sync.session_claims import SessionClaims
from clerk_sync.tokens import MAX_CACHED

# As Python writes one, and no other spelling: ids are compared, and name what is kept in the cache.
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ROLES = frozenset(Role.values)

Watching = Callable[[], AbstractContextManager[None]]


# Seconds. Session tokens live for 60; a JWT template's may live for ten years, and what a cache knows of changes does
# not: a stamp is kept for a month, and none outlives a restart of a cache that is emptied by it.
BELIEVED_FOR = 300

# A newer token will do better: the claims have changed, or have only now been written.
RENEWABLE: frozenset[FallbackReason | None] = frozenset({"claims_stale", "metadata_not_synced"})


@dataclass(frozen=True, slots=True)
class Identity:
    """The person, and their row where the database was asked."""

    user: ManagerOSUser
    account: User | None = None


def get_current_user(request: HttpRequest) -> ManagerOSUser:
    """`request.manageros_user`, for code that needs somebody; raises PermissionDenied when nobody is signed in."""
    user: ManagerOSUser = request.manageros_user  # type: ignore[attr-defined]
    if not user.is_authenticated:
        raise NotSignedIn
    return user


def claims_are_stale(user: ManagerOSUser) -> bool:
    return user.fallback_reason in RENEWABLE


def identified(claims: SessionClaims, *, watching: Watching = nullcontext) -> Identity:
    """Who these claims speak of. `watching` is entered around whatever asks the database.

    Raises TokenRefused where that person or session is out, and IdentityUnavailable where Clerk has to be asked about
    somebody new and cannot be.
    """
    carried, fallback_reason = _carried(claims)
    if carried is None:
        with watching():
            return _from_database(claims, fallback_reason)
    if settings.CLERK_FRESHNESS == "database":
        with watching():
            return _from_database(claims, None)
    if time.time() - claims.issued_at > BELIEVED_FOR:
        with watching():
            return _from_database(claims, "claims_stale")
    if settings.CLERK_FRESHNESS == "token":
        if not freshness.is_signed_out(claims.clerk_user_id, claims.session_id):
            return carried
        with watching():
            return _from_database(claims, "claims_stale")
    judged = freshness.judge(
        claims.clerk_user_id,
        session_id=claims.session_id,
        organization_id=carried.user.organization_id,
        assembled_at=claims.assembled_at,
    )
    match judged.verdict:
        case Verdict.FRESH:
            return carried
        case Verdict.SIGNED_OUT:
            raise TokenRefused(Reason.SESSION_ENDED)
    with watching():
        identity = _from_database(claims, "claims_stale")
    if judged.stamps is not None and identity.user.organization_id == carried.user.organization_id:
        _remember_if_delivered(identity, judged.stamps)
    return identity


# --- From the claims


@lru_cache(maxsize=MAX_CACHED)
def _carried(claims: SessionClaims) -> tuple[Identity | None, FallbackReason | None]:
    """Who the claims say it is, worked out once for each verified token; or None and why they cannot be used."""
    carried, fallback_reason = carried_identity(claims.payload)
    if carried is None:
        return None, fallback_reason
    user = ManagerOSUser(
        is_authenticated=True,
        clerk_user_id=claims.clerk_user_id,
        session_id=claims.session_id,
        source="session_claims",
        actor=claims.actor,
        session_claims=claims.payload,
        id=carried["id"],
        organization_id=carried["organization_id"],
        organization_name=carried["organization_name"],
        organization_slug=carried["organization_slug"],
        person_id=carried["person_id"],
        role=carried["role"],
    )
    return Identity(user), None


def carried_identity(payload: Mapping[str, Any]) -> tuple[dict[str, str | None] | None, FallbackReason | None]:
    """The six claims as attributes of ManagerOSUser, or None and why they cannot be used.

    They stand at the top level, where each is present though it be null, or under `metadata`, where Clerk leaves out
    what the user's public metadata does not hold.
    """
    if payload.keys() >= CLAIMS.keys():
        claims = payload
    elif isinstance(nested := payload.get("metadata"), Mapping):
        claims = nested
    else:
        is_empty = "metadata" in payload and payload["metadata"] is None
        return None, "metadata_not_synced" if is_empty else "claims_not_configured"
    carried = {attribute: claims.get(name) for name, attribute in CLAIMS.items()}
    if carried["id"] is None:
        return None, "metadata_not_synced"
    return (carried, None) if _is_sound(carried) else (None, "claims_invalid")


def _is_sound(carried: Mapping[str, Any]) -> bool:
    """Whether the values are what the metadata sync writes: an organization and a role in it, or neither."""
    organization = [carried[name] for name in ("organization_id", "organization_name", "organization_slug", "role")]
    person_id = carried["person_id"]
    if not _is_uuid(carried["id"]):
        return False
    if organization == [None, None, None, None]:
        return person_id is None
    return (
        all(type(value) is str for value in organization)
        and _is_uuid(carried["organization_id"])
        and carried["role"] in ROLES
        and (person_id is None or _is_uuid(person_id))
    )


def _is_uuid(value: Any) -> bool:
    return type(value) is str and UUID.fullmatch(value) is not None


# --- From the database


def _from_database(claims: SessionClaims, fallback_reason: FallbackReason | None) -> Identity:
    account = _account(claims)
    if account is None:
        _provision(claims.clerk_user_id)
        account = _account(claims)
    if account is None:
        raise TokenRefused(Reason.USER_UNKNOWN)
    if not account.is_active:
        raise TokenRefused(Reason.USER_INACTIVE)
    if account.session_has_ended:
        if claims.session_id is not None:
            freshness.remember_ended(claims.session_id)
        raise TokenRefused(Reason.SESSION_ENDED)
    user = ManagerOSUser(
        is_authenticated=True,
        clerk_user_id=claims.clerk_user_id,
        session_id=claims.session_id,
        source="database",
        fallback_reason=fallback_reason,
        actor=claims.actor,
        session_claims=claims.payload,
        **{attribute: _text(getattr(account, attribute)) for attribute in CLAIMS.values()},
    )
    return Identity(user, account)


def _account(claims: SessionClaims) -> Any:
    """The user's row with their organization, person and sync, and whether the session has ended: one query."""
    ended = EndedSession.objects.filter(session_id=claims.session_id)
    return _accounts().annotate(session_has_ended=Exists(ended)).filter(clerk_user_id=claims.clerk_user_id).first()


@cache
def _accounts() -> QuerySet[User]:
    """Put together once, because that takes Django as long as the rest of the query; whoever asks works on a copy."""
    accounts: QuerySet[User] = User.objects.with_identity().select_related("metadata_sync")
    return accounts


def _provision(clerk_user_id: str) -> None:
    try:
        provision(clerk_user_id)
    except UnknownClerkUser:
        raise TokenRefused(Reason.USER_UNKNOWN) from None
    except ClerkUnavailable as error:
        raise IdentityUnavailable(str(error), retry_after=max(1, round(error.retry_after))) from error


def _remember_if_delivered(identity: Identity, stamps: tuple[str, ...]) -> None:
    """What the database just said holds for later claims too, if Clerk has been told all of it."""
    account = identity.account
    sync: MetadataSync | None = getattr(account, "metadata_sync", None)
    if account is not None and sync is not None and sync.state == MetadataSync.State.SYNCED:
        freshness.remember_fresh(sync.clerk_user_id, stamps, sync.claims_after)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
