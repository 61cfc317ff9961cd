"""The session inspector: where the answer to "who is this" came from, and what to do where that is not the token."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.access import signed_in
from accounts.identity import IdentifiedRequest, ManagerOSUser
from clerk_sync.claims import CLAIMS, SESSION_TOKEN_TEMPLATE
from clerk_sync.models import MetadataSync

# Bytes. Browsers drop larger cookies (RFC 6265, 6.1, asks for 4096 with name and attributes); Clerk advises to keep
# custom claims under 1.2 KB of that.
COOKIE_LIMIT = 4096
CLAIMS_LIMIT = 1200


@dataclass(frozen=True, slots=True)
class Advice:
    """`level` is a class of the style sheet: good, warn or bad."""

    level: str
    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class ClaimRow:
    name: str
    shortcode: str
    state: str
    in_token: str
    answer: str | None


@require_safe
@never_cache
@signed_in
def session(request: IdentifiedRequest) -> HttpResponse:
    who = request.manageros_user
    sync = MetadataSync.objects.filter(clerk_user_id=who.clerk_user_id).first() if who.clerk_user_id else None
    context = {
        "who": who,
        "identity_queries": getattr(request, "identity_queries", None),
        "advice": advise(who, sync),
        "size_advice": advise_on_size(request),
        "claims": claim_rows(who),
        "token": token_times(who.session_claims),
        "sync": sync,
        "template": json.dumps(dict(SESSION_TOKEN_TEMPLATE), indent=2),
    }
    return render(request, "clerk_sync/session.html", context)


def advise(who: ManagerOSUser, sync: MetadataSync | None) -> Advice:
    """The source of the answer in words, and the next step where the token could carry more."""
    match who.fallback_reason:
        case None if who.source == "session_claims":
            return Advice("good", "Your session token carried the whole answer.", "Nothing to do.")
        case "claims_not_configured":
            return Advice(
                "bad",
                "Your session token carries none of the six claims: the session token was never customized.",
                "In Clerk's dashboard, under Sessions, Customize session token, paste the JSON at the end of this "
                "page. A JWT template does not help: it changes only the tokens that getToken({template}) fetches.",
            )
        case "metadata_not_synced":
            what = "The claims are in your session token, but empty: Clerk did not hold your data when it was made."
            return Advice(sync_level(sync), what, after_sync(sync))
        case "claims_stale":
            what = "Your data changed after your session token was made, or at about that time: the database answered."
            return Advice(sync_level(sync), what, after_sync(sync))
        case "claims_invalid":
            return Advice(
                "bad",
                "A claim has the wrong type or an unknown value, so the database answered.",
                "Compare the JSON in Clerk's dashboard, under Sessions, Customize session token, with the one at the "
                "end of this page: each value is one shortcode in quotes and nothing else.",
            )
        case _:
            return Advice("good", "The database answered, as CLERK_FRESHNESS=database has it.", "Nothing to do.")


def sync_level(sync: MetadataSync | None) -> str:
    return "bad" if sync is not None and sync.state == MetadataSync.State.FAILED else "warn"


def after_sync(sync: MetadataSync | None) -> str:
    if sync is None:
        return "No sync is queued for you: run manage.py sync_clerk_metadata --user with your email address."
    match sync.state:
        case MetadataSync.State.SYNCED:
            return (
                "Clerk holds your data now: where this token does not carry it, your next session token, at most a "
                "minute away, does."
            )
        case MetadataSync.State.FAILED:
            return "The sync failed. What Clerk said is below; an administrator can retry it."
        case _:
            return "Your data is waiting to be delivered. If this lasts, no worker (manage.py db_worker) is running."


def advise_on_size(request: IdentifiedRequest) -> Advice | None:
    """None while everything fits."""
    cookie = max((len(value) for name, value in request.COOKIES.items() if name.startswith("__session")), default=0)
    custom = {name: value for name, value in request.manageros_user.session_claims.items() if name not in REGISTERED}
    claims = len(json.dumps(custom, separators=(",", ":")).encode()) if custom else 0
    if cookie <= COOKIE_LIMIT * 0.9 and claims <= CLAIMS_LIMIT:
        return None
    return Advice(
        "warn",
        f"Your session cookie takes {cookie} of {COOKIE_LIMIT} bytes, its custom claims {claims} of {CLAIMS_LIMIT}.",
        "Take claims that the site does not use out of Clerk's session token: a browser drops a larger cookie.",
    )


# Clerk's own claims in a session token of version 2.
REGISTERED = frozenset(
    {"azp", "exp", "fva", "iat", "iss", "jti", "nbf", "sid", "sub", "v", "pla", "fea", "sts", "o", "act"}
)


def claim_rows(who: ManagerOSUser) -> list[ClaimRow]:
    nested = who.session_claims.get("metadata")
    carried: Mapping[str, Any] = who.session_claims
    if isinstance(nested, Mapping) and not carried.keys() >= CLAIMS.keys():
        carried = nested
    return [
        ClaimRow(
            name=name,
            shortcode=SESSION_TOKEN_TEMPLATE[name],
            state=claim_state(name, carried),
            in_token=json.dumps(carried[name], ensure_ascii=False) if name in carried else "",
            answer=getattr(who, attribute),
        )
        for name, attribute in CLAIMS.items()
    ]


def claim_state(name: str, carried: Mapping[str, Any]) -> str:
    if name not in carried:
        return "missing"
    value = carried[name]
    return "empty" if value is None else "carried" if isinstance(value, str) else "wrong type"


def token_times(claims: Mapping[str, Any]) -> dict[str, int] | None:
    """Seconds since the token was issued, and until it expires; None where there is no token."""
    if "iat" not in claims or "exp" not in claims:
        return None
    now = time.time()
    return {"age": int(now - claims["iat"]), "left": int(claims["exp"] - now)}
