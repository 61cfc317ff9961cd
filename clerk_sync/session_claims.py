"""What a signed token must say to be one of Clerk's, of use now: each claim there, and of the type it must have."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.conf import settings

from clerk_sync.refusals import Reason, TokenRefused
from clerk_sync.strict_jwt import ReadOnlyObject

# Seconds that clocks may differ, as Clerk's own SDKs allow.
LEEWAY = 5
# No time of Clerk's is beyond this; arithmetic with what is could overflow.
LATEST = 2**53
# Clerk's ids are about 32 characters of [A-Za-z0-9_]. They become cache keys and query parameters.
MAX_ID_LENGTH = 64


class Kind(Enum):
    """What a token is for: a session of a browser or app, or whatever its author made a JWT template for."""

    SESSION = "session"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True, eq=False)  # each is itself: what follows from one is kept beside it
class SessionClaims:
    """The verified claims of a token. Times are seconds since the epoch by Clerk's clock.

    `assembled_at` is when Clerk read the user's metadata for them, which a token minted at its edge carries over from
    an older one. `payload` is the whole of them, read-only all the way down.
    """

    kind: Kind
    clerk_user_id: str
    session_id: str | None
    issued_at: int
    assembled_at: int
    expires_at: int
    authorized_party: str | None
    actor: str | None
    payload: Mapping[str, Any]


def session_claims(header: Mapping[str, Any], payload: Mapping[str, Any], *, issuer: str) -> SessionClaims:
    """The claims of a signed token, each of the type it must have; raises TokenRefused for the first that is not."""
    kind = token_kind(header, payload)
    expires_at, issued_at = _time(payload, "exp"), _time(payload, "iat")
    if not issuer or _text(payload, "iss") != issuer:
        raise TokenRefused(Reason.TOKEN_ISSUER)
    clerk_user_id = _identifier(payload, "sub")
    if clerk_user_id.startswith("mch_"):
        raise TokenRefused(Reason.TOKEN_KIND, "It is a machine's.")
    session_id = _identifier(payload, "sid") if kind is Kind.SESSION or "sid" in payload else None
    authorized_party = _text(payload, "azp") if "azp" in payload else None
    actor = _identifier(_object(payload, "act"), "sub") if "act" in payload else None
    assembled_at = _time(header, "oiat") if "oiat" in header else issued_at
    check_times(payload)
    if kind is Kind.SESSION and payload.get("sts", "active") != "active":
        pending = payload["sts"] == "pending"
        raise TokenRefused(Reason.SESSION_PENDING if pending else Reason.TOKEN_CLAIM_INVALID)
    return SessionClaims(
        kind=kind,
        clerk_user_id=clerk_user_id,
        session_id=session_id,
        issued_at=issued_at,
        assembled_at=min(assembled_at, issued_at),
        expires_at=expires_at,
        authorized_party=authorized_party,
        actor=actor,
        payload=payload,
    )


def check_times(payload: Mapping[str, Any]) -> None:
    """Raise TokenRefused unless now is within what `exp`, `iat` and `nbf` say, of those that are there."""
    now = time.time()
    if "exp" in payload and now > _time(payload, "exp") + LEEWAY:
        raise TokenRefused(Reason.TOKEN_EXPIRED)
    if "iat" in payload and now < _time(payload, "iat") - LEEWAY:
        raise TokenRefused(Reason.TOKEN_FROM_FUTURE)
    if "nbf" in payload and now < _time(payload, "nbf") - LEEWAY:
        raise TokenRefused(Reason.TOKEN_NOT_YET_VALID)


def token_kind(header: Mapping[str, Any], payload: Mapping[str, Any]) -> Kind:
    """What the header's `cat` says; where it says nothing, only sessions have a `sid`."""
    categories = settings.CLERK_TOKEN_CATEGORIES
    category = header.get("cat", categories["unspecified"])
    if category == categories["session"]:
        return Kind.SESSION
    if category == categories["template"]:
        return Kind.TEMPLATE
    if category == categories["unspecified"]:
        return Kind.SESSION if "sid" in payload else Kind.TEMPLATE
    raise TokenRefused(Reason.TOKEN_KIND)


def _required(members: Mapping[str, Any], name: str) -> Any:
    if name not in members:
        raise TokenRefused(Reason.TOKEN_CLAIM_MISSING, f"The claim is {name}.")
    return members[name]


def _time(members: Mapping[str, Any], name: str) -> int:
    value = _required(members, name)
    if type(value) is not int or not 0 <= value <= LATEST:
        raise _invalid(name)
    return value


def _text(members: Mapping[str, Any], name: str) -> str:
    value = _required(members, name)
    if not isinstance(value, str) or not value:
        raise _invalid(name)
    return value


def _identifier(members: Mapping[str, Any], name: str) -> str:
    value = _text(members, name)
    if len(value) > MAX_ID_LENGTH or not value.isascii() or not value.replace("_", "").replace("-", "").isalnum():
        raise _invalid(name)
    return value


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members[name]
    if not isinstance(value, ReadOnlyObject):
        raise _invalid(name)
    return value


def _invalid(name: str) -> TokenRefused:
    return TokenRefused(Reason.TOKEN_CLAIM_INVALID, f"The claim is {name}.")
