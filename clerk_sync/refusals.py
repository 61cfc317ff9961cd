"""Why a request is signed out: codes that clients may rely on, and what each means to the person who reads the page."""

from dataclasses import dataclass
from enum import StrEnum

# What a 401 names as the way in (RFC 9110, 11.6.1).
CHALLENGE = 'Bearer realm="ManagerOS"'


class Reason(StrEnum):
    """A stable code, and a sentence for a person."""

    text: str

    def __new__(cls, code: str, text: str) -> "Reason":
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    # Nobody is signed in
    SIGNED_OUT = "signed_out", "You are not signed in."
    SESSION_INCOMPLETE = "session_incomplete", "The sign-in of this browser is not complete."
    SESSION_EXPIRED = "session_expired", "Your session was not used for a while and has to be renewed."
    SESSION_ENDED = "session_ended", "This session was ended."
    SESSION_PENDING = "session_pending", "Clerk still asks something of you before you are signed in."
    USER_INACTIVE = "user_inactive", "This account has been deactivated."
    USER_UNKNOWN = "user_unknown", "This account does not exist any more."

    # The token is not acceptable, whoever sends it
    AUTHORIZATION_MALFORMED = "authorization_malformed", "The Authorization header is not a bearer token."
    TOKEN_TOO_LARGE = "token_too_large", "The session token is too large."
    TOKEN_MALFORMED = "token_malformed", "The session token cannot be read."
    TOKEN_ALGORITHM = "token_algorithm_not_allowed", "The session token is not signed with RS256."
    TOKEN_KIND = "token_kind_not_allowed", "The token is not a session token."
    TOKEN_AUDIENCE = "token_audience_not_allowed", "The token was made for another service."
    TOKEN_KEY_UNKNOWN = "token_key_unknown", "The session token is signed with a key that is not this instance's."
    TOKEN_SIGNATURE = "token_signature_invalid", "The signature of the session token is not valid."
    TOKEN_ISSUER = "token_issuer_not_allowed", "The session token comes from another Clerk instance."
    TOKEN_CLAIM_MISSING = "token_claim_missing", "The session token lacks a claim that every one has."
    TOKEN_CLAIM_INVALID = "token_claim_invalid", "A claim of the session token has a value that it cannot have."
    TOKEN_EXPIRED = "token_expired", "The session token has expired."
    TOKEN_NOT_YET_VALID = "token_not_yet_valid", "The session token is not valid yet."
    TOKEN_FROM_FUTURE = "token_issued_in_future", "The session token comes from the future: a clock is wrong."
    TOKEN_PARTY = "token_party_not_allowed", "The session token was made for another site."
    TOKEN_PARTY_MISSING = "token_party_missing", "The token does not say which site it was made for."

    # Going to Clerk and back did not help
    HANDSHAKE_INVALID = "handshake_invalid", "What Clerk sent back with you could not be verified."
    HANDSHAKE_LOOP = "handshake_loop", "You were sent to Clerk and back several times without being signed in."


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody is signed in. `detail` adds what an operator needs to mend it; it holds no secret."""

    reason: Reason
    detail: str = ""


class TokenRefused(Exception):  # noqa: N818  an outcome, not a fault of ours
    """The token does not say who is asking."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.text)
        self.refusal = Refusal(reason, detail)


class IdentityUnavailable(Exception):  # noqa: N818
    """Who is asking cannot be told now, and may be in `retry_after` seconds: an answer 503, never a wrong identity."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
