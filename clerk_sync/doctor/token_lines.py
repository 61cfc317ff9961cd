"""What each member of a token says, beside what the site makes of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from accounts.models import User
from clerk_sync.claims import CLAIMS
from clerk_sync.doctor.claims import CLAIMS_BUDGET, COOKIE_BUDGET, json_size
from clerk_sync.instance import clerk_instance
from clerk_sync.models import EndedSession
from clerk_sync.refusals import Reason, TokenRefused
from clerk_sync.session_claims import check_times, token_kind
from clerk_sync.tokens import is_authorized_party

Object = Mapping[str, Any]

# What Clerk itself puts into session tokens: https://clerk.com/docs/guides/sessions/session-tokens
VERSION_1 = ("org_id", "org_permissions", "org_role", "org_slug")
VERSION_2 = ("act", "azp", "exp", "fea", "fva", "iat", "iss", "jti", "nbf", "o", "pla", "sid", "sts", "sub", "v")
CLERKS = frozenset(VERSION_1 + VERSION_2)


@dataclass(frozen=True, slots=True)
class Line:
    """`wrong` where it is a reason to refuse the token, or to ask the database instead of it."""

    part: str
    name: str
    value: Any
    remark: str = ""
    wrong: bool = False


def lines(token: str, header: Object, payload: Object) -> Iterator[Line]:
    yield from _header(header, payload)
    for name, value in payload.items():
        if name not in CLAIMS and name != "metadata":
            judge = JUDGES.get(name)
            yield judge(name, payload) if judge else Line("payload", name, value)
    yield from _missing(payload)
    yield from _claims(payload)
    yield from _misnamed(payload)
    yield from _sizes(token, payload)


def _header(header: Object, payload: Object) -> Iterator[Line]:
    for name, value in header.items():
        match name:
            case "alg":
                yield Line(
                    "header", name, value, "" if value == "RS256" else Reason.TOKEN_ALGORITHM.text, value != "RS256"
                )
            case "cat":
                try:
                    yield Line("header", name, value, f"a {token_kind(header, payload).value} token")
                except TokenRefused as refused:
                    yield Line("header", name, value, refused.refusal.reason.text, wrong=True)
            case "oiat":
                yield Line("header", name, value, f"the claims were assembled {_moment(value)}")
            case _:
                yield Line("header", name, value)


def _time(name: str, payload: Object) -> Line:
    value = payload[name]
    try:
        check_times({name: value})
    except TokenRefused as refused:
        return Line("payload", name, value, f"{_moment(value)}. {refused.refusal.reason.text}", wrong=True)
    return Line("payload", name, value, _moment(value))


def _moment(value: Any) -> str:
    if type(value) is not int or not 0 < value < 2**33:
        return "not a time"
    away = value - time.time()
    distance = f"in {away:.0f} s" if away > 0 else f"{-away:.0f} s ago"
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC, {distance}"


def _issuer(name: str, payload: Object) -> Line:
    ours = clerk_instance().issuer
    if payload[name] == ours:
        return Line("payload", name, payload[name], "this site's instance")
    return Line(
        "payload", name, payload[name], f"another instance: this site's is {ours or 'not configured'}", wrong=True
    )


def _party(name: str, payload: Object) -> Line:
    value = payload[name]
    if isinstance(value, str) and is_authorized_party(value):
        return Line("payload", name, value, "an authorized party")
    return Line("payload", name, value, Reason.TOKEN_PARTY.text, wrong=True)


def _subject(name: str, payload: Object) -> Line:
    value = payload[name]
    user = User.objects.filter(clerk_user_id=value).first() if isinstance(value, str) else None
    if user is None:
        return Line("payload", name, value, "nobody here yet: the first request fetches the user from Clerk")
    if not user.is_active:
        return Line("payload", name, value, Reason.USER_INACTIVE.text, wrong=True)
    return Line("payload", name, value, f"user {user.pk}")


def _session(name: str, payload: Object) -> Line:
    value = payload[name]
    ended = isinstance(value, str) and EndedSession.objects.filter(pk=value).exists()
    return Line("payload", name, value, Reason.SESSION_ENDED.text if ended else "", wrong=ended)


def _status(name: str, payload: Object) -> Line:
    value = payload[name]
    pending = value != "active"
    return Line("payload", name, value, Reason.SESSION_PENDING.text if pending else "", wrong=pending)


def _actor(name: str, payload: Object) -> Line:
    return Line("payload", name, payload[name], "somebody acts as this user")


JUDGES: Mapping[str, Callable[[str, Object], Line]] = {
    "exp": _time,
    "iat": _time,
    "nbf": _time,
    "iss": _issuer,
    "azp": _party,
    "sub": _subject,
    "sid": _session,
    "sts": _status,
    "act": _actor,
}


def _missing(payload: Object) -> Iterator[Line]:
    for name in ("exp", "iat", "iss", "sub"):
        if name not in payload:
            yield Line("payload", name, None, Reason.TOKEN_CLAIM_MISSING.text, wrong=True)
    if "azp" not in payload:
        yield Line("payload", "azp", None, "not there: taken from this site's own cookie, and refused in a header")


# --- The six claims


def _claims(payload: Object) -> Iterator[Line]:
    """Each beside what the database says of the user now."""
    nested = payload.get("metadata")
    if isinstance(nested, Mapping) and not payload.keys() >= CLAIMS.keys():
        part, carried = "payload.metadata", nested
    else:
        part, carried = "payload", payload
    sub = payload.get("sub")
    row = User.objects.with_identity().filter(clerk_user_id=sub).first() if isinstance(sub, str) else None
    for name, attribute in CLAIMS.items():
        value = carried.get(name)
        held = getattr(row, attribute) if row else None
        expected = None if held is None else str(held)
        remark, wrong = _claim_remark(name in carried, value, expected, known=row is not None)
        yield Line(part, name, value, remark, wrong)


def _claim_remark(present: bool, value: Any, expected: str | None, *, known: bool) -> tuple[str, bool]:
    if not present:
        return "not in the token", True
    if value is not None and not isinstance(value, str):
        return f"a {type(value).__name__} where text is due", True
    if value == "null" or (value is not None and "{{" in value):
        return "a shortcode inside a text: write it alone, in quotes", True
    if not known or value == expected:
        return ("as the database says" if known else ""), False
    if value is None:
        return f"not delivered when this was assembled: the database says {expected}", True
    return f"the database says {expected}", True


def _misnamed(payload: Object) -> Iterator[Line]:
    """Claims of ours that stand where the site does not look for them."""
    for name, value in payload.items():
        if name in CLAIMS or name in CLERKS:
            continue
        if isinstance(value, Mapping) and name != "metadata" and not CLAIMS.keys().isdisjoint(value):
            remark = "the claims are looked for at the top level, or under metadata"
            yield Line("payload", name, sorted(CLAIMS.keys() & value.keys()), remark, wrong=True)
        for claim in CLAIMS:
            if _letters(name) == _letters(claim):
                yield Line("payload", name, value, f"looked for under the name {claim}", wrong=True)


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


# --- Sizes


def _sizes(token: str, payload: Object) -> Iterator[Line]:
    custom = json_size({name: value for name, value in payload.items() if name not in CLERKS})
    too_large = "too large: browsers drop such a cookie, and nobody stays signed in"
    yield Line(
        "size", "token", len(token), too_large if len(token) > COOKIE_BUDGET else f"bytes, of {COOKIE_BUDGET}",
        wrong=len(token) > COOKIE_BUDGET,
    )  # fmt: skip
    over = custom > CLAIMS_BUDGET
    yield Line("size", "custom claims", custom, "too large" if over else f"bytes, of {CLAIMS_BUDGET}", wrong=over)
