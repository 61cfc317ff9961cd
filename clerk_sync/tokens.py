"""From a token to its claims: whether this site's instance signed it, and whether it opens this site from there."""

import os
import threading
import time
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.core.signals import setting_changed
from django.http.request import validate_host

from clerk_sync import tally
from clerk_sync.instance import clerk_instance
from clerk_sync.jwks import published_keys
from clerk_sync.refusals import IdentityUnavailable, Reason, TokenRefused
from clerk_sync.session_claims import LEEWAY, Kind, SessionClaims, session_claims
from clerk_sync.strict_jwt import Content, Keys, signed_content

# Tokens kept once verified, as many headers of cookies that they came in, and the bytes of the longest: at most 4096 of
# 4 KB of text twice, and about 6 KB parsed, = 56 MB.
MAX_CACHED = 4096
MAX_CACHED_BYTES = 4096


class Place(Enum):
    COOKIE = "cookie"
    HEADER = "header"


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


@lru_cache(maxsize=1)
def site_verifier() -> "Verifier":
    """The verifier of the settings as they are now."""
    return verifier(clerk_instance().issuer, settings.CLERK_JWT_KEY)


@lru_cache(maxsize=8)
def verifier(issuer: str, pem: str) -> "Verifier":
    """The verifier of an instance, with the tokens it has verified; a PEM key makes it need no network."""
    return Verifier(issuer, PemKey(pem) if pem else published_keys(issuer))


def forget_verifiers(**kwargs: Any) -> None:
    site_verifier.cache_clear()
    verifier.cache_clear()


setting_changed.connect(forget_verifiers, dispatch_uid="clerk_sync.tokens")
# They hold the parent's keys, which may wait for a fetch whose thread the child does not have.
os.register_at_fork(after_in_child=forget_verifiers)


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


class ClaimsCache:
    """Claims by the text that they were read from, each for as long as they are valid. The oldest make room."""

    def __init__(self) -> None:
        self.kept: dict[str, SessionClaims] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.kept)

    def get(self, text: str) -> SessionClaims | None:
        claims = self.kept.get(text)
        return claims if claims is not None and time.time() <= claims.expires_at + LEEWAY else None

    def keep(self, text: str, claims: SessionClaims) -> None:
        if len(text) > MAX_CACHED_BYTES:
            return
        with self._lock:
            while len(self.kept) >= MAX_CACHED:
                self.kept.pop(next(iter(self.kept)), None)
            self.kept[text] = claims


class Verifier:
    """Verifies the tokens of one instance, and remembers which it verified until they expire.

    Beside them it remembers which headers full of cookies came to be one of them: the choice between cookies has the
    same end for as long as its token lives.
    """

    def __init__(self, issuer: str, keys: Keys) -> None:
        self._issuer = issuer
        self._keys = keys
        self._tokens = ClaimsCache()
        self._cookies = ClaimsCache()
        self._generation = keys.generation

    def verify(self, token: str) -> SessionClaims:
        if self._generation != self._keys.generation:
            self.forget()
        claims = self._tokens.get(token)
        if claims is not None:
            return claims
        started = time.perf_counter()
        kept, generation = self._tokens, self._keys.generation
        header, payload = self.signed_content(token)
        claims = session_claims(header, payload, issuer=self._issuer)
        tally.verifications.append(time.perf_counter() - started)
        if generation == self._keys.generation:
            kept.keep(token, claims)
        return claims

    def signed_content(self, token: str) -> Content:
        """Header and payload of a token that the instance signed, whatever they say."""
        return signed_content(token, self._keys)

    def recall(self, cookie_header: str) -> SessionClaims | None:
        """Whose session these cookies were found to be of, if they were and the token has not expired.

        Not within the leeway: which of two tokens is chosen may depend on whether one has expired.
        """
        if self._generation != self._keys.generation:
            self.forget()
        claims = self._cookies.kept.get(cookie_header)
        return claims if claims is not None and time.time() < claims.expires_at else None

    def remember(self, cookie_header: str, token: str, claims: SessionClaims) -> None:
        """That these cookies come to the claims of `token`, which is one of them, for as long as those are kept."""
        cookies = self._cookies  # if what was verified is forgotten now, then these with it
        if self._tokens.get(token) is claims:
            cookies.keep(cookie_header, claims)

    def forget(self) -> None:
        self._generation = self._keys.generation
        self._tokens = ClaimsCache()
        self._cookies = ClaimsCache()
