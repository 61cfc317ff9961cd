"""The cookies that Clerk sends back with a browser, and which of them this site sets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from clerk_sync import cookies
from clerk_sync.instance import ClerkInstance
from clerk_sync.refusals import Reason, TokenRefused
from clerk_sync.session_claims import check_times
from clerk_sync.strict_jwt import unverified_payload
from clerk_sync.tokens import Verifier

# RFC 6265, 4.1.1
COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
COOKIE_VALUE = re.compile(r"[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E]*")
SECONDS = re.compile(r"-?[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class CookieToSet:
    """A cookie of Clerk's for this site; the fields are `HttpResponse.set_cookie`'s."""

    name: str
    value: str
    max_age: int | None = None
    expires: str | None = None
    domain: str | None = None
    secure: bool = False
    httponly: bool = False
    samesite: str | None = "Lax"


def handshake_cookies(token: str, verifier: Verifier, instance: ClerkInstance, *, host: str) -> dict[str, CookieToSet]:
    """The cookies that a handshake payload asks for, by name, those of this instance alone.

    Raises TokenRefused unless the instance signed it as a handshake: the author of a JWT template may put a
    `handshake` claim into tokens too, and whoever holds one could plant cookies with it.
    """
    header, payload = verifier.signed_content(token)
    category = header.get("cat", settings.CLERK_TOKEN_CATEGORIES["unspecified"])
    is_handshake = category == settings.CLERK_TOKEN_CATEGORIES["session"] or (
        # Where the category says nothing, a `sub` does: no template can leave it out.
        category == settings.CLERK_TOKEN_CATEGORIES["unspecified"] and "sub" not in payload
    )
    if not is_handshake:
        raise TokenRefused(Reason.HANDSHAKE_INVALID, "It is not a handshake token.")
    check_times(payload)
    directives = payload.get("handshake")
    if not isinstance(directives, tuple) or not all(isinstance(directive, str) for directive in directives):
        raise TokenRefused(Reason.HANDSHAKE_INVALID, "It holds no cookies.")
    return _own_cookies(directives, instance, host)


def _own_cookies(directives: Sequence[str], instance: ClerkInstance, host: str) -> dict[str, CookieToSet]:
    names = (cookies.SESSION, cookies.CLIENT_UAT, cookies.REFRESH, cookies.DEV_BROWSER)
    own_names = {*names, *(f"{name}_{instance.cookie_suffix}" for name in names)}
    found = {}
    for directive in directives:
        cookie = parsed_cookie(directive, instance, host)
        if cookie is not None and cookie.name in own_names:
            found[cookie.name] = cookie
    return found


def parsed_cookie(directive: str, instance: ClerkInstance, host: str) -> CookieToSet | None:
    """A `Set-Cookie` value, taken apart; None for what is none.

    `http.cookies` would do, but drops a whole cookie for an attribute that it does not know, such as Partitioned.
    """
    pair, *attributes = directive.split(";")
    name, _, value = pair.strip().partition("=")
    if not COOKIE_NAME.fullmatch(name) or not COOKIE_VALUE.fullmatch(value):
        return None
    given = dict(map(_attribute, attributes))
    return CookieToSet(
        name=name,
        value=value,
        max_age=int(given["max-age"]) if SECONDS.fullmatch(given.get("max-age", "")) else None,
        expires=given.get("expires"),
        domain=_kept_domain(name, given.get("domain"), instance, host),
        secure="secure" in given,
        httponly="httponly" in given,
        samesite={"strict": "Strict", "none": "None"}.get(given.get("samesite", "").lower(), "Lax"),
    )


def _attribute(attribute: str) -> tuple[str, str]:
    name, _, value = attribute.partition("=")
    return name.strip().lower(), value.strip()


def _kept_domain(name: str, domain: str | None, instance: ClerkInstance, host: str) -> str | None:
    """Only the time of the sign-in is shared by the sites of a domain. Every other cookie stays with this host."""
    shared = shared_domain(instance, host)
    wanted = (domain or "").lstrip(".").lower()
    return shared if name.startswith(cookies.CLIENT_UAT) and wanted == shared else None


def shared_domain(instance: ClerkInstance, host: str) -> str | None:
    """The domain for which Clerk sets cookies in production: clerk.example.com does for example.com. None elsewhere."""
    parent = (urlsplit(instance.frontend_api_url).hostname or "").partition(".")[2]
    host = host.rsplit(":", 1)[0].lower()
    return parent if instance.is_production and (host == parent or host.endswith(f".{parent}")) else None


def is_leftover(taken: Mapping[str, CookieToSet], present: Mapping[str, str]) -> bool:
    """Whether the session that a payload brings is older than the one that the browser has by now.

    The payload's cookie is shared by the sites of a domain, and one that another site did not take would hide every
    session after it.
    """
    brought = [_issued_at(cookie.value) for name, cookie in taken.items() if name.startswith(cookies.SESSION)]
    return any(brought) and max(brought) < max(_issued_at(present.get(name, "")) for name in taken)


def _issued_at(token: str) -> int:
    issued_at = (unverified_payload(token) or {}).get("iat")
    return issued_at if type(issued_at) is int else 0


def with_cookies_set(current: Mapping[str, str], to_set: Mapping[str, CookieToSet]) -> dict[str, str]:
    """The request's cookies as they would be had the browser already taken these."""
    return {**current, **{name: cookie.value for name, cookie in to_set.items()}}
