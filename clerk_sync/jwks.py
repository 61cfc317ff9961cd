"""The public keys of an instance, as it publishes them.

What anybody can send must not make this site call Clerk at will: whatever tokens arrive, there is one fetch at a time
and at most one in each cool-down. Keys in hand are used while Clerk is down, and only a newer set replaces them.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from clerk_sync import tally
from clerk_sync.refusals import IdentityUnavailable, Reason, TokenRefused

logger = logging.getLogger(__name__)

COOL_DOWN = 10.0  # seconds between fetches, whatever asks for them
DEADLINE = 3.0  # seconds that a request waits for a fetch
MAX_AGE = 3600.0  # seconds after which keys are fetched again, while requests go on with those in hand
MAX_BYTES = 256 * 1024  # of a key set; Clerk's holds one or two keys, of 400 bytes each
# A key that is shorter could be factored; Clerk's have 2048 bits.
MIN_KEY_BITS = 2048


class PublishedKeys:
    """The keys behind one JWKS address. Safe to use from many threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Grows whenever the keys become others: what was verified with those before is then to be verified again.
        self.generation = 0
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._flight: threading.Event | None = None
        self._lock = threading.Lock()

    def get(self, key_id: str) -> RSAPublicKey:
        """The key with this `kid`.

        Raises TokenRefused where the instance has no such key, and IdentityUnavailable while no key could be fetched.
        """
        key = self._keys.get(key_id)
        if key is None:
            if not key_id:  # every token of Clerk's names its key
                raise TokenRefused(Reason.TOKEN_KEY_UNKNOWN)
            if flight := self._refresh():
                flight.wait(DEADLINE)
            key = self._keys.get(key_id)
        elif self.age is not None and self.age > MAX_AGE:
            self._refresh()
        if key is not None:
            return key
        if self._fetched_at is None:
            raise IdentityUnavailable(f"No keys could be fetched from {self.url}.", retry_after=int(COOL_DOWN))
        raise TokenRefused(Reason.TOKEN_KEY_UNKNOWN)

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched; None if they never were."""
        return None if self._fetched_at is None else time.monotonic() - self._fetched_at

    def _refresh(self) -> threading.Event | None:
        """The fetch under way, or a new one if the cool-down allows it. It runs in a thread of its own, because no
        socket time-out bounds the whole of an answer that comes in drops."""
        with self._lock:
            if self._flight is not None:
                return self._flight
            now = time.monotonic()
            if self._attempted_at is not None and now - self._attempted_at < COOL_DOWN:
                return None
            self._attempted_at = now
            self._flight = flight = threading.Event()
        threading.Thread(target=self._fetch_and_land, args=(flight,), name="clerk-jwks", daemon=True).start()
        return flight

    def _fetch_and_land(self, flight: threading.Event) -> None:
        try:
            keys = fetched_keys(self.url)
        except (requests.RequestException, ValueError) as error:
            logger.warning("The keys of %s could not be fetched: %s", self.url, error)
            tally.jwks_fetches.count("failed")
        else:
            are_others = _numbers(keys) != _numbers(self._keys)
            self._keys, self._fetched_at = keys, time.monotonic()
            # After the keys: what is verified with the former ones until now is forgotten with their generation.
            self.generation += are_others
            tally.jwks_fetches.count("fetched")
        finally:
            with self._lock:
                self._flight = None
            flight.set()


def _numbers(keys: Mapping[str, RSAPublicKey]) -> dict[str, RSAPublicNumbers]:
    return {key_id: key.public_numbers() for key_id, key in keys.items()}


@lru_cache(maxsize=8)
def published_keys(frontend_api_url: str) -> PublishedKeys:
    """The keys of the instance whose Frontend API this is, kept for the life of the process."""
    return PublishedKeys(f"{frontend_api_url}/.well-known/jwks.json")


# A forked worker must not wait for a fetch whose thread stayed in its parent.
os.register_at_fork(after_in_child=published_keys.cache_clear)


def fetched_keys(url: str) -> Mapping[str, RSAPublicKey]:
    """The RSA signing keys of a key set by `kid`. Raises ValueError for what is not one, or holds none."""
    keys = {}
    for jwk in _fetched_key_set(url):
        if isinstance(jwk, dict) and jwk.get("kty") == "RSA" and jwk.get("use", "sig") == "sig":
            keys.update(_key_by_id(jwk))
    if not keys:
        raise ValueError("the key set holds no RSA key")
    return keys


def _fetched_key_set(url: str) -> list[Any]:
    started = time.monotonic()
    body = b""
    with requests.get(url, timeout=DEADLINE, stream=True, allow_redirects=False) as response:
        if response.status_code != 200:
            raise ValueError(f"the answer has status {response.status_code}")
        for chunk in response.iter_content(16 * 1024):
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError("the answer is too large")
            if time.monotonic() - started > 2 * DEADLINE:
                raise ValueError("the answer is too slow")
    document = json.loads(body)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError("the answer is not a key set")  # noqa: TRY004  wrong content, not a caller's wrong type
    return keys


def _key_by_id(jwk: dict[str, Any]) -> dict[str, RSAPublicKey]:
    """The key of one JWK, or nothing: a key that cannot be used must not keep the others from being."""
    key_id = jwk.get("kid")
    try:
        key = PyJWK(jwk, "RS256").key
    except PyJWTError as error:
        logger.warning("A published key cannot be used: %s", error)
        return {}
    if not isinstance(key_id, str) or not isinstance(key, RSAPublicKey) or key.key_size < MIN_KEY_BITS:
        logger.warning("The published key %r cannot be used.", key_id)
        return {}
    return {key_id: key}
