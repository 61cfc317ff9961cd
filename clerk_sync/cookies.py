"""Which of the Clerk cookies on a request are this instance's.

Two instances on one host (localhost, most of all) set cookies of the same names, so each also sets them with a suffix
that its publishable key gives. The choice between the two sets is Clerk's, in its eight steps.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from clerk_sync.instance import ClerkInstance
from clerk_sync.strict_jwt import unverified_payload

SESSION = "__session"
CLIENT_UAT = "__client_uat"
REFRESH = "__refresh"
DEV_BROWSER = "__clerk_db_jwt"
HANDSHAKE = "__clerk_handshake"
REDIRECT_COUNT = "__clerk_redirect_count"

NEVER: Mapping[str, Any] = {}


class ClerkCookies(NamedTuple):
    """The chosen set. `client_uat` is when the browser's sign-in state last changed (seconds), 0 when signed out."""

    session: str | None
    client_uat: int
    refresh: str | None
    dev_browser: str | None
    suffixed: bool


def chosen_cookies(cookies: Mapping[str, str], instance: ClerkInstance) -> ClerkCookies:
    suffix = f"_{instance.cookie_suffix}"
    suffixed = uses_suffixed(cookies, instance)
    ending = suffix if suffixed else ""
    return ClerkCookies(
        session=cookies.get(SESSION + ending) or None,
        client_uat=client_uat(cookies.get(CLIENT_UAT + ending)),
        refresh=cookies.get(REFRESH + suffix) or None,
        dev_browser=cookies.get(DEV_BROWSER + suffix) or cookies.get(DEV_BROWSER) or None,
        suffixed=suffixed,
    )


def uses_suffixed(cookies: Mapping[str, str], instance: ClerkInstance) -> bool:
    """Whether the suffixed set is the one to use. Nothing is verified yet: whatever is chosen, is verified after."""
    suffix = f"_{instance.cookie_suffix}"
    plain_uat, suffixed_uat = cookies.get(CLIENT_UAT), cookies.get(CLIENT_UAT + suffix)
    plain_session, suffixed_session = cookies.get(SESSION), cookies.get(SESSION + suffix)
    plain, own = _payload(plain_session), _payload(suffixed_session)
    if plain_session and not plain.get("iss"):
        return False
    if plain_session and plain["iss"] != instance.issuer:
        return True
    if not suffixed_uat and not suffixed_session:
        return False
    if suffixed_uat != "0" and plain_uat != "0" and _time(plain, "iat") > _time(own, "iat"):
        return False
    if suffixed_uat == "0" and plain_uat != "0":
        return False
    if not instance.is_production and suffixed_uat != "0" and plain_uat == "0" and _is_expired(own):
        return False
    return not (suffixed_session and not suffixed_uat)


def client_uat(value: str | None) -> int:
    """The time in the cookie; 0, which means signed out, for whatever is none."""
    return int(value) if value and len(value) <= 12 and value.isascii() and value.isdigit() else 0


def _payload(token: str | None) -> Mapping[str, Any]:
    return (token and unverified_payload(token)) or NEVER


def _time(payload: Mapping[str, Any], name: str) -> int:
    value = payload.get(name)
    return value if type(value) is int else 0


def _is_expired(payload: Mapping[str, Any]) -> bool:
    return "exp" in payload and _time(payload, "exp") <= time.time()
