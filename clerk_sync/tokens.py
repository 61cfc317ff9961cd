"""From a token to its claims: whether Clerk's instance signed it, for this site, and whether it is of use now.

PyJWT checks the signature. The rest is read more strictly than it would: it lets duplicate keys, NaN, UTF-16, unused
bits in base64 and any `typ` pass, and two parsers that differ on one token are how tokens get forged.
"""

import binascii
import json
import math
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.http.request import validate_host
from jwt.algorithms import RSAAlgorithm

from clerk_sync import tally
from clerk_sync.instance import clerk_instance
from clerk_sync.jwks import published_keys
from clerk_sync.refusals import IdentityUnavailable, Reason, TokenRefused

# Seconds that clocks may differ, as Clerk's own SDKs allow.
LEEWAY = 5
# Bytes. A cookie holds 4 KB; a template token in a header may be longer. Nothing longer is even parsed.
MAX_TOKEN_BYTES = 16 * 1024
# Tokens kept once verified, and the bytes of the longest: at most 4096 of 4 KB of text and about 6 KB parsed, = 40 MB.
MAX_CACHED_TOKENS = 4096
MAX_CACHED_TOKEN_BYTES = 4096
# No time of Clerk's is beyond this; arithmetic with what is could overflow.
LATEST = 2**53
# Clerk's ids are about 32 characters of [A-Za-z0-9_]. They become cache keys and query parameters.
MAX_ID_LENGTH = 64

RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)


class Kind(Enum):
    """What a token is for: a session of a browser or app, or whatever its author made a JWT template for."""

    SESSION = "session"
    TEMPLATE = "template"


class Place(Enum):
    COOKIE = "cookie"
    HEADER = "header"


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


class Keys(Protocol):
    """Keys by `kid`. `generation` changes when they become others."""

    generation: int

    def get(self, key_id: str) -> RSAPublicKey: ...


def verify(token: str) -> SessionClaims:
    """The claims of a token that this site's instance signed and that is valid now, of whichever kind.

    Raises TokenRefused, and IdentityUnavailable while there is no key to verify it with. Who may send it where is for
    `admit` to say.
    """
    return site_verifier().verify(token)


def admit(claims: SessionClaims, place: Place, *, accept_templates: bool = False) -> None:
    """Raise TokenRefused unless these claims open this site from where they came.

    Tokens minted during a navigation can lack `azp`: one is believed without it only from this host's own cookie.
    """
    if claims.kind is Kind.TEMPLATE:
        if not accept_templates or place is Place.COOKIE:
            raise TokenRefused(Reason.TOKEN_KIND)
        audience = claims.payload.get("aud")
        audiences = audience if isinstance(audience, tuple) else (audience,)
        if not any(accepted in audiences for accepted in settings.CLERK_JWT_TEMPLATE_AUDIENCES):
            raise TokenRefused(Reason.TOKEN_AUDIENCE)
    if claims.authorized_party is None:
        if place is Place.HEADER:
            raise TokenRefused(Reason.TOKEN_PARTY_MISSING)
    elif not is_authorized_party(claims.authorized_party):
        raise TokenRefused(Reason.TOKEN_PARTY, f"It was made for {claims.authorized_party}.")


def is_authorized_party(origin: str) -> bool:
    if parties := settings.CLERK_AUTHORIZED_PARTIES:
        return origin in parties
    return _is_origin_of_host(origin, tuple(settings.ALLOWED_HOSTS), settings.SECURE_SSL_REDIRECT)


@lru_cache(maxsize=256)
def _is_origin_of_host(origin: str, allowed_hosts: tuple[str, ...], https_only: bool) -> bool:
    """Whether a browser sends this origin from a page of one of the hosts, served in clear only where the site is."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    bracketed = f"[{host}]" if ":" in host else host
    schemes = {"https"} if https_only else {"https", "http"}
    return (
        parts.scheme in schemes
        and not (parts.path or parts.query or parts.fragment or parts.username)
        and bool(host)
        and validate_host(bracketed, list(allowed_hosts))
    )


def site_verifier() -> "Verifier":
    """The verifier of the settings as they are now."""
    return _verifier(settings.CLERK_PUBLISHABLE_KEY, settings.CLERK_FRONTEND_API_URL, settings.CLERK_JWT_KEY)


@lru_cache(maxsize=8)
def _verifier(publishable_key: str, frontend_api_url: str, pem: str) -> "Verifier":
    return verifier(clerk_instance().issuer, pem)


@lru_cache(maxsize=8)
def verifier(issuer: str, pem: str) -> "Verifier":
    """The verifier of an instance, with the tokens it has verified; a PEM key makes it need no network."""
    return Verifier(issuer, PemKey(pem) if pem else published_keys(issuer))


class PemKey:
    """The one key of an instance that is verified without the network. Clerk's PEM names no `kid` to compare."""

    generation = 0

    def __init__(self, pem: str) -> None:
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            key = None
        self._key = key if isinstance(key, RSAPublicKey) else None

    def get(self, key_id: str) -> RSAPublicKey:
        if self._key is None:
            raise IdentityUnavailable("CLERK_JWT_KEY is not an RSA public key in PEM form.", retry_after=60)
        return self._key


class Verifier:
    """Verifies the tokens of one instance, and remembers which it verified until they expire."""

    def __init__(self, issuer: str, keys: Keys) -> None:
        self._issuer = issuer
        self._keys = keys
        self._verified: dict[str, SessionClaims] = {}
        self._generation = keys.generation
        self._lock = threading.Lock()

    def verify(self, token: str) -> SessionClaims:
        if self._generation != self._keys.generation:
            self._forget()
        claims = self._verified.get(token)
        if claims is not None and time.time() <= claims.expires_at + LEEWAY:
            return claims
        started = time.perf_counter()
        generation = self._keys.generation
        header, payload = self.signed_content(token)
        claims = session_claims(header, payload, issuer=self._issuer)
        tally.verifications.append(time.perf_counter() - started)
        if generation == self._keys.generation:
            self._remember(token, claims)
        return claims

    def signed_content(self, token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Header and payload of a token that the instance signed, whatever they say."""
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenRefused(Reason.TOKEN_TOO_LARGE)
        header_segment, payload_segment, signature = _segments(token)
        header = _parsed(_decoded(header_segment))
        key = self._keys.get(_signing_key_id(header))
        signed = token[: len(header_segment) + 1 + len(payload_segment)].encode("ascii")
        if not RS256.verify(signed, key, _decoded(signature)):
            raise TokenRefused(Reason.TOKEN_SIGNATURE)
        return header, _parsed(_decoded(payload_segment))

    def _forget(self) -> None:
        with self._lock:
            self._generation = self._keys.generation
            self._verified = {}

    def _remember(self, token: str, claims: SessionClaims) -> None:
        if len(token) > MAX_CACHED_TOKEN_BYTES:
            return
        with self._lock:
            while len(self._verified) >= MAX_CACHED_TOKENS:
                self._verified.pop(next(iter(self._verified)), None)
            self._verified[token] = claims


def unverified_payload(token: str) -> Mapping[str, Any] | None:
    """What a token says without proof, for choosing between cookies before the chosen one is verified."""
    try:
        if len(token) > MAX_TOKEN_BYTES:
            return None
        return _parsed(_decoded(_segments(token)[1]))
    except TokenRefused:
        return None


def unverified_content(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and payload without proof, for explaining a token that does not verify. Raises TokenRefused."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused(Reason.TOKEN_TOO_LARGE)
    header, payload, _ = _segments(token)
    return _parsed(_decoded(header)), _parsed(_decoded(payload))


# --- Reading a token strictly


def _segments(token: str) -> tuple[str, str, str]:
    segments = token.split(".", 3)
    if len(segments) != 3 or not token.isascii():
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return segments[0], segments[1], segments[2]


def _decoded(segment: str) -> bytes:
    """The bytes of a base64url segment, in the one spelling that they have."""
    try:
        content = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise TokenRefused(Reason.TOKEN_MALFORMED) from None
    if urlsafe_b64encode(content).rstrip(b"=").decode("ascii") != segment:
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return content


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        value = DECODER.decode(content.decode("utf-8"))
        if b"\\u" in content:
            # Half of a surrogate pair is text that no database and no response could take.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise TokenRefused(Reason.TOKEN_MALFORMED) from None
    if not isinstance(value, ReadOnlyObject):
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return value


class ReadOnlyObject(dict[str, Any]):
    """A JSON object that nobody may change: verified claims are shared by every request that brings the same token.

    A dict and not a MappingProxyType, so that json and templates take it as it is.
    """

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("verified claims cannot be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


def _frozen_object(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = {name: _frozen(value) if type(value) is list else value for name, value in pairs}
    if len(members) != len(pairs):
        raise ValueError("a name twice in one object")
    return ReadOnlyObject(members)


def _frozen(items: list[Any]) -> tuple[Any, ...]:
    return tuple([_frozen(item) if type(item) is list else item for item in items])


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError("a number too large")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_frozen_object, parse_float=_finite, parse_constant=_no_constant)


# --- What header and payload must say


def _signing_key_id(header: Mapping[str, Any]) -> str:
    """The `kid` of a header that this site accepts: RS256 alone, nothing that changes how the token is to be read."""
    if header.get("alg") != "RS256":
        raise TokenRefused(Reason.TOKEN_ALGORITHM)
    if "crit" in header or "b64" in header:
        raise TokenRefused(Reason.TOKEN_MALFORMED, "It uses an extension that this site does not know.")
    if header.get("typ", "JWT") != "JWT":
        raise TokenRefused(Reason.TOKEN_KIND)
    key_id = header.get("kid", "")
    if not isinstance(key_id, str):
        raise TokenRefused(Reason.TOKEN_MALFORMED)
    return key_id


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
