"""What a request with cookies comes to: signed in, signed out, or to Clerk and back for fresh cookies first.

Session tokens live for a minute and pages for longer. A browser that asks for a *document* can be sent to Clerk, which
knows from its own cookie whether the session goes on, and returns it with new cookies for this site: the handshake.
Everything here is a function of its arguments; `clerk_sync.identification` brings the request and the network.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.conf import settings

from clerk_sync import cookies
from clerk_sync.backend_api import API_VERSION
from clerk_sync.instance import ClerkInstance
from clerk_sync.refusals import Reason, Refusal, TokenRefused
from clerk_sync.tokens import SessionClaims, Verifier, check_times, unverified_payload

# Redirects within the counter's life of two seconds, after which another would be a loop.
MAX_REDIRECTS = 3
REDIRECT_COUNT_LIFE = 2

# RFC 6265, 4.1.1
COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
COOKIE_VALUE = re.compile(r"[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E]*")
SECONDS = re.compile(r"-?[0-9]{1,10}")

# What Clerk and its pages put into the query, and must not stay in the address.
QUERY_NAMES = frozenset(
    {
        "__clerk_db_jwt",
        "__dev_session",
        "__clerk_handshake",
        "__clerk_handshake_nonce",
        "__clerk_help",
        "__clerk_hs_reason",
        "__clerk_synced",
        "__clerk_status",
        "__clerk_created_session",
    }
)


class Need(StrEnum):
    """Why Clerk has to be asked, in Clerk's own words (`__clerk_hs_reason`)."""

    DEV_BROWSER_SYNC = "dev-browser-sync"
    DEV_BROWSER_MISSING = "dev-browser-missing"
    NO_CLIENT_UAT = "session-token-but-no-client-uat"
    NO_SESSION = "client-uat-but-no-session-token"
    OLDER_THAN_CLIENT_UAT = "session-token-iat-before-client-uat"
    EXPIRED = "session-token-expired"
    NOT_YET_VALID = "session-token-nbf"
    FROM_FUTURE = "session-token-iat-in-the-future"


# A token that Clerk can replace. Whatever else is wrong with one, the next would be wrong in the same way.
RENEWABLE = {
    Reason.TOKEN_EXPIRED: Need.EXPIRED,
    Reason.TOKEN_NOT_YET_VALID: Need.NOT_YET_VALID,
    Reason.TOKEN_FROM_FUTURE: Need.FROM_FUTURE,
}
# What someone is told who cannot be sent to Clerk.
UNMET = {
    Need.DEV_BROWSER_SYNC: Reason.SESSION_INCOMPLETE,
    Need.DEV_BROWSER_MISSING: Reason.SESSION_INCOMPLETE,
    Need.NO_CLIENT_UAT: Reason.SESSION_INCOMPLETE,
    Need.NO_SESSION: Reason.SESSION_INCOMPLETE,
    Need.OLDER_THAN_CLIENT_UAT: Reason.SESSION_INCOMPLETE,
    Need.EXPIRED: Reason.TOKEN_EXPIRED,
    Need.NOT_YET_VALID: Reason.TOKEN_NOT_YET_VALID,
    Need.FROM_FUTURE: Reason.TOKEN_FROM_FUTURE,
}
CLOCK = "This server's clock and Clerk's differ: compare both with the right time."
HOST = (
    "The cookies that Clerk set for this site did not come back: they may have been set for another host name, be "
    "blocked, or belong to another instance than CLERK_PUBLISHABLE_KEY names."
)
LOOP_CAUSES = {
    Need.EXPIRED: CLOCK,
    Need.NOT_YET_VALID: CLOCK,
    Need.FROM_FUTURE: CLOCK,
    Need.OLDER_THAN_CLIENT_UAT: "Another site of this domain signs the browser in and out at the same time, or its "
    "cookies belong to another Clerk instance.",
}


class Action(Enum):
    SIGNED_IN = "signed in"
    SIGNED_OUT = "signed out"
    HANDSHAKE = "handshake"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a request shows of its browser. `is_document`: a GET whose answer the browser will show as a page."""

    is_production: bool
    is_document: bool
    session: str | None
    client_uat: int
    has_refresh: bool = False
    has_dev_browser: bool = False
    has_dev_browser_query: bool = False
    redirects: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    action: Action
    claims: SessionClaims | None = None
    refusal: Refusal | None = None
    need: Need | None = None


def decide(situation: Situation, verify: Callable[[str], SessionClaims]) -> Outcome:
    """Clerk's decision order for a request with cookies, after a handshake payload, if there was one, was taken in.

    `verify` returns the claims of an acceptable session token, and raises TokenRefused.
    """
    if not situation.is_production and situation.has_dev_browser_query:
        return _ask_clerk(situation, Need.DEV_BROWSER_SYNC)
    if not situation.is_production and not situation.has_dev_browser:
        return _ask_clerk(situation, Need.DEV_BROWSER_MISSING)
    if situation.session is None and not situation.client_uat:
        return _signed_out(Refusal(Reason.SIGNED_OUT))
    if situation.session is None:
        return _ask_clerk(situation, Need.NO_SESSION)
    if not situation.client_uat:
        return _ask_clerk(situation, Need.NO_CLIENT_UAT)
    try:
        claims = verify(situation.session)
    except TokenRefused as refused:
        return _refused(situation, situation.session, refused.refusal)
    if claims.issued_at < situation.client_uat:
        return _ask_clerk(situation, Need.OLDER_THAN_CLIENT_UAT)
    return Outcome(Action.SIGNED_IN, claims=claims)


def _refused(situation: Situation, session: str, refusal: Refusal) -> Outcome:
    payload = unverified_payload(session)
    if payload is None or refusal.reason is Reason.TOKEN_KIND:
        return _signed_out(refusal)
    issued_at = payload.get("iat")
    if type(issued_at) is int and issued_at < situation.client_uat:
        return _ask_clerk(situation, Need.OLDER_THAN_CLIENT_UAT)
    need = RENEWABLE.get(refusal.reason)
    if need is None:
        return _signed_out(refusal)
    if need is Need.EXPIRED and situation.has_refresh and situation.is_document:
        return Outcome(Action.REFRESH, need=need)
    return _ask_clerk(situation, need)


def _ask_clerk(situation: Situation, need: Need) -> Outcome:
    if not situation.is_document:
        nobody = situation.session is None and not situation.client_uat
        return _signed_out(Refusal(Reason.SIGNED_OUT if nobody else UNMET[need], f"Clerk calls this {need}."))
    if situation.redirects >= MAX_REDIRECTS:
        return _signed_out(Refusal(Reason.HANDSHAKE_LOOP, f"{LOOP_CAUSES.get(need, HOST)} Clerk calls this {need}."))
    return Outcome(Action.HANDSHAKE, need=need)


def _signed_out(refusal: Refusal) -> Outcome:
    return Outcome(Action.SIGNED_OUT, refusal=refusal)


def is_document(method: str | None, headers: Mapping[str, str]) -> bool:
    """Whether the answer will be shown as a page, so that a redirect to Clerk loses nothing."""
    if method != "GET" or "HX-Request" in headers:
        return False
    destination = headers.get("Sec-Fetch-Dest")
    if destination is not None:
        return destination in {"document", "iframe"}
    return headers.get("Accept", "").startswith("text/html")


def redirects_so_far(value: str | None) -> int:
    """The loop counter's value; a value that this site never wrote counts as none."""
    return int(value) if value and len(value) <= 6 and value.isascii() and value.isdigit() else 0


def handshake_url(
    instance: ClerkInstance, *, here: str, need: Need, suffixed_cookies: bool, dev_browser: str | None
) -> str:
    """Where Clerk renews the cookies and sends the browser back from. No token of a session goes into the address."""
    query = {
        "redirect_url": without_clerk_query(here),
        "format": "token",
        "suffixed_cookies": "true" if suffixed_cookies else "false",
        "__clerk_api_version": API_VERSION,
        "__clerk_hs_reason": need.value,
    }
    if dev_browser and not instance.is_production:
        query["__clerk_db_jwt"] = dev_browser
    return f"{instance.frontend_api_url}/v1/client/handshake?{urlencode(query)}"


def without_clerk_query(url: str) -> str:
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in QUERY_NAMES]
    return urlunsplit(parts._replace(query=urlencode(kept)))


# --- What Clerk sends back


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
        domain=_shared_domain(name, given.get("domain"), instance, host),
        secure="secure" in given,
        httponly="httponly" in given,
        samesite={"strict": "Strict", "none": "None"}.get(given.get("samesite", "").lower(), "Lax"),
    )


def _attribute(attribute: str) -> tuple[str, str]:
    name, _, value = attribute.partition("=")
    return name.strip().lower(), value.strip()


def _shared_domain(name: str, domain: str | None, instance: ClerkInstance, host: str) -> str | None:
    """Only the sign-in time is shared by the sites of a domain, and only in production with the Frontend API's domain
    (clerk.example.com shares with example.com). Every other cookie stays with this host."""
    domain = (domain or "").lstrip(".").lower()
    parent = (urlsplit(instance.frontend_api_url).hostname or "").partition(".")[2]
    host = host.rsplit(":", 1)[0].lower()
    is_shared = name.startswith(cookies.CLIENT_UAT) and instance.is_production
    return domain if is_shared and domain == parent and (host == domain or host.endswith(f".{domain}")) else None


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
