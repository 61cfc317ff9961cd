"""What a request with cookies comes to: signed in, signed out, or to Clerk and back for fresh cookies first.

Session tokens live for a minute and pages for longer. A browser that asks for a *document* can be sent to Clerk, which
knows from its own cookie whether the session goes on, and returns it with new cookies for this site: the handshake.
Everything here is a function of its arguments; `clerk_sync.identification` brings the request and the network.
"""

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from clerk_sync.backend_api import API_VERSION
from clerk_sync.instance import ClerkInstance
from clerk_sync.refusals import Reason, Refusal, TokenRefused
from clerk_sync.session_claims import SessionClaims
from clerk_sync.strict_jwt import unverified_payload

# Redirects within the counter's life of two seconds, after which another would be a loop.
MAX_REDIRECTS = 3
REDIRECT_COUNT_LIFE = 2

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


class Situation(NamedTuple):
    """What a request shows of its browser. `is_document`: a GET whose answer the browser will show as a page."""

    is_production: bool
    is_document: bool
    session: str | None
    client_uat: int
    has_refresh: bool = False
    has_dev_browser: bool = False
    has_dev_browser_query: bool = False
    redirects: int = 0


class Outcome(NamedTuple):
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


def is_document(method: str | None, meta: Mapping[str, Any]) -> bool:
    """Whether the answer will be shown as a page, so that a redirect to Clerk loses nothing."""
    if method != "GET" or "HTTP_HX_REQUEST" in meta:
        return False
    destination = meta.get("HTTP_SEC_FETCH_DEST")
    if destination is not None:
        return destination in {"document", "iframe"}
    return str(meta.get("HTTP_ACCEPT", "")).startswith("text/html")


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
