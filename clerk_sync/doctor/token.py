"""Explains one token: what it says, what of it is wrong, and what the site would answer to it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from accounts.identity import FallbackReason
from accounts.models import User
from clerk_sync import freshness
from clerk_sync.doctor.remedies import FALLBACKS, FOR_FALLBACKS, FOR_REFUSALS
from clerk_sync.doctor.token_lines import Line, lines
from clerk_sync.freshness import Verdict
from clerk_sync.instance import clerk_instance
from clerk_sync.models import EndedSession
from clerk_sync.refusals import IdentityUnavailable, Reason, TokenRefused
from clerk_sync.session_claims import Kind, SessionClaims, session_claims
from clerk_sync.strict_jwt import unverified_content
from clerk_sync.tokens import Place, admit, verifier
from clerk_sync.users import BELIEVED_FOR, carried_identity


@dataclass(frozen=True, slots=True)
class Answer:
    """`source` is "session_claims", "database", or None where the token is refused. `reason` is the stable code."""

    source: str | None
    reason: str | None = None
    text: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    answer: Answer
    lines: list[Line] = field(default_factory=list)


def explained(token: str) -> Explanation:
    """Fetches nothing but keys, and provisions nobody."""
    try:
        header, payload = unverified_content(token)
    except TokenRefused as refused:
        return Explanation(_refusal(refused))
    return Explanation(_answer(token), list(lines(token, header, payload)))


def _answer(token: str) -> Answer:
    issuer = clerk_instance().issuer
    try:
        header, payload = verifier(issuer, settings.CLERK_JWT_KEY).signed_content(token)
        return _judge(header, payload, issuer)
    except TokenRefused as refused:
        return _refusal(refused)
    except IdentityUnavailable as unavailable:
        return Answer(None, "unavailable", str(unavailable), "`python manage.py clerk_doctor` says why.")


def _judge(header: Mapping[str, Any], payload: Mapping[str, Any], issuer: str) -> Answer:
    try:
        return _identified(session_claims(header, payload, issuer=issuer))
    except TokenRefused as refused:
        if refused.refusal.reason is not Reason.TOKEN_EXPIRED:
            raise
        # A token that somebody copied is old by the time it is explained: what was it worth before?
        younger = session_claims(header, {**payload, "exp": int(time.time()) + 1}, issuer=issuer)
        was, now = _identified(younger), _refusal(refused)
        return replace(
            now, text=f"{now.text} Before, it was answered from {was.source}. {was.text}", fix=was.fix or now.fix
        )


def _identified(claims: SessionClaims) -> Answer:
    """What `clerk_sync.users.identified` comes to, without its side effects."""
    place = Place.COOKIE if claims.kind is Kind.SESSION else Place.HEADER
    admit(claims, place, accept_templates=True)
    user = User.objects.filter(clerk_user_id=claims.clerk_user_id).first()
    if user is not None and not user.is_active:
        raise TokenRefused(Reason.USER_INACTIVE)
    if EndedSession.objects.filter(pk=claims.session_id).exists():
        raise TokenRefused(Reason.SESSION_ENDED)
    carried, reason = carried_identity(claims.payload)
    if carried is None:
        return _fallback(reason)
    if settings.CLERK_FRESHNESS == "database":
        return Answer("database", None, "CLERK_FRESHNESS has the database asked every time.")
    if time.time() - claims.issued_at > BELIEVED_FOR:
        return _fallback("claims_stale")
    if settings.CLERK_FRESHNESS == "token":
        signed_out = freshness.is_signed_out(claims.clerk_user_id, claims.session_id)
        return _fallback("claims_stale") if signed_out else Answer("session_claims")
    judged = freshness.judge(
        claims.clerk_user_id,
        session_id=claims.session_id,
        organization_id=carried["organization_id"],
        assembled_at=claims.assembled_at,
    )
    match judged.verdict:
        case Verdict.SIGNED_OUT:
            raise TokenRefused(Reason.SESSION_ENDED)
        case Verdict.STALE:
            return _fallback("claims_stale")
    return Answer("session_claims")


def _fallback(reason: FallbackReason | None) -> Answer:
    return Answer("database", reason, FALLBACKS[reason], FOR_FALLBACKS[reason]) if reason else Answer("database")


def _refusal(refused: TokenRefused) -> Answer:
    reason = refused.refusal.reason
    text = f"{reason.text} {refused.refusal.detail}".strip()
    return Answer(None, reason.value, text, FOR_REFUSALS[reason])
