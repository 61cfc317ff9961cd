"""What to do about a refused token, and about each reason for a fallback."""

from collections.abc import Mapping

from accounts.identity import FallbackReason
from clerk_sync.doctor.claims import CUSTOMIZE
from clerk_sync.refusals import Reason

AGAIN = "Sign in again."
SAME_INSTANCE = (
    "Compare CLERK_PUBLISHABLE_KEY, CLERK_FRONTEND_API_URL and CLERK_JWT_KEY with the instance that signed it."
)
NOT_CLERKS = "Clerk makes no such token: whoever sent it made or changed it, or copied it in part."
CLOCK = "Compare the clocks: `python manage.py clerk_doctor` does."
NO_TEMPLATE = (
    "Send what `await Clerk.session.getToken()` gives, without a template. A JWT template's token is taken by the API "
    "alone, in the Authorization header, where CLERK_JWT_TEMPLATE_AUDIENCES names its `aud`."
)
PARTIES = "Add that origin to CLERK_AUTHORIZED_PARTIES, if its pages may act for the users of this site."

FOR_REFUSALS: Mapping[Reason, str] = {
    Reason.SIGNED_OUT: AGAIN,
    Reason.SESSION_INCOMPLETE: "Open a page of the site in the browser: Clerk completes the sign-in on the way.",
    Reason.SESSION_EXPIRED: "Open a page of the site in the browser: Clerk renews the session on the way.",
    Reason.SESSION_ENDED: f"It was revoked, or the user signed out. {AGAIN}",
    Reason.SESSION_PENDING: "The user has to finish what Clerk asks at sign-in, such as choosing an organization.",
    Reason.USER_INACTIVE: "The user was deactivated here (admin, Users, Active), or banned or deleted at Clerk.",
    Reason.USER_UNKNOWN: "The user was deleted at Clerk, or is of another instance than CLERK_SECRET_KEY.",
    Reason.AUTHORIZATION_MALFORMED: "Send `Authorization: Bearer <token>`, with one token and nothing else.",
    Reason.TOKEN_TOO_LARGE: f"No cookie holds it. {CUSTOMIZE}",
    Reason.TOKEN_MALFORMED: NOT_CLERKS,
    Reason.TOKEN_ALGORITHM: f"{NOT_CLERKS} A JWT template with a key of its own is not taken either.",
    Reason.TOKEN_KIND: NO_TEMPLATE,
    Reason.TOKEN_AUDIENCE: "Add its `aud` to CLERK_JWT_TEMPLATE_AUDIENCES, if the API is meant to take it.",
    Reason.TOKEN_KEY_UNKNOWN: SAME_INSTANCE,
    Reason.TOKEN_SIGNATURE: f"{SAME_INSTANCE} If they are the same: {NOT_CLERKS}",
    Reason.TOKEN_ISSUER: SAME_INSTANCE,
    Reason.TOKEN_CLAIM_MISSING: NOT_CLERKS,
    Reason.TOKEN_CLAIM_INVALID: NOT_CLERKS,
    Reason.TOKEN_EXPIRED: f"Nothing: a session token lives for a minute, and another follows. If it is new: {CLOCK}",
    Reason.TOKEN_NOT_YET_VALID: CLOCK,
    Reason.TOKEN_FROM_FUTURE: CLOCK,
    Reason.TOKEN_PARTY: PARTIES,
    Reason.TOKEN_PARTY_MISSING: "In a header the token must name its origin: fetch it with getToken() in a page.",
    Reason.HANDSHAKE_INVALID: SAME_INSTANCE,
    Reason.HANDSHAKE_LOOP: f"{CLOCK} Does the browser take cookies from this host, and is it the host of the instance?",
}

FALLBACKS: Mapping[FallbackReason, str] = {
    "claims_not_configured": "The token does not carry the claims.",
    "metadata_not_synced": "The claims are there and empty: nothing was delivered for this user before it was made.",
    "claims_stale": "Something behind the claims changed after they were assembled.",
    "claims_invalid": "A claim has a wrong type, or a value that it cannot have.",
}

FOR_FALLBACKS: Mapping[FallbackReason, str] = {
    "claims_not_configured": CUSTOMIZE,
    "metadata_not_synced": "Is a worker running? `python manage.py sync_clerk_metadata --user EMAIL` delivers it now.",
    "claims_stale": "Nothing, if the sync is delivered: the next token, at most a minute later, carries it.",
    "claims_invalid": f"Something else wrote these keys, or a shortcode stands inside a text. {CUSTOMIZE}",
}
