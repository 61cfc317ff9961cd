"""The keys: whether the instance can be reached, both of its APIs are the same instance's, and the clocks agree."""

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings

from clerk_sync import backend_api
from clerk_sync.backend_api import ClerkError, Misconfigured
from clerk_sync.doctor.findings import Finding, error, fine, warning
from clerk_sync.instance import clerk_instance
from clerk_sync.jwks import DEADLINE, fetched_keys, published_keys
from clerk_sync.refusals import IdentityUnavailable
from clerk_sync.session_claims import LEEWAY
from clerk_sync.tokens import PemKey

SAME_PAGE = "Take the publishable key, the secret key and the JWKS public key from the same page: API keys."


def examine_keys() -> Iterator[Finding]:
    if not clerk_instance().frontend_api_url:
        return  # the settings say why
    url = published_keys(clerk_instance().issuer).url
    try:
        yield from _examine_clock(url)
        published = fetched_keys(url)
    except (requests.RequestException, ValueError) as problem:
        yield _unreachable(url, problem)
        published = {}
    else:
        yield fine("jwks", f"{url} publishes {len(published)} key(s).")
    if published and settings.CLERK_JWT_KEY:
        yield from _examine_pem(published)
    yield from _examine_secret_key(published)


def _examine_clock(url: str) -> Iterator[Finding]:
    """Clerk's `Date` is of whole seconds, and the answer takes its time: half of both is given."""
    started = time.time()
    with requests.get(url, timeout=DEADLINE, stream=True, allow_redirects=False) as answer:
        date = answer.headers.get("Date", "")
    ended = time.time()
    try:
        clerks = parsedate_to_datetime(date).timestamp() + 0.5
    except ValueError:
        return
    offset = (started + ended) / 2 - clerks
    if abs(offset) - (ended - started) / 2 - 0.5 > LEEWAY:
        yield error(
            "clock",
            f"The clock of this machine is {abs(offset):.0f} seconds {'ahead of' if offset > 0 else 'behind'} Clerk's. "
            f"Tokens are forgiven {LEEWAY}.",
            "Have it set by NTP: `timedatectl set-ntp true`; in a container or virtual machine, that of its host.",
        )
    else:
        yield fine("clock", "The clock of this machine agrees with Clerk's.")


def _unreachable(url: str, problem: Exception) -> Finding:
    text = f"No keys could be fetched from {url}: {problem}"
    fix = "Is CLERK_PUBLISHABLE_KEY that of an existing instance, and does a proxy or firewall let this machine out?"
    if settings.CLERK_JWT_KEY:
        return warning("jwks-unreachable", f"{text} Tokens are verified with CLERK_JWT_KEY meanwhile.", fix)
    return error("jwks-unreachable", text, f"{fix} With CLERK_JWT_KEY set, tokens are verified without the network.")


def _examine_pem(published: Mapping[str, RSAPublicKey]) -> Iterator[Finding]:
    try:
        numbers = PemKey(settings.CLERK_JWT_KEY).get("").public_numbers()
    except IdentityUnavailable:
        return  # clerk_sync.E006
    if any(key.public_numbers() == numbers for key in published.values()):
        yield fine("jwt-key", "CLERK_JWT_KEY is a key that the instance publishes.")
    else:
        text = "CLERK_JWT_KEY is no key of this instance: every token is refused as token_signature_invalid."
        yield error("jwt-key-of-another-instance", text, f"{SAME_PAGE} Or leave CLERK_JWT_KEY empty.")


def _examine_secret_key(published: Mapping[str, RSAPublicKey]) -> Iterator[Finding]:
    """The Backend API shows the keys of the instance that the secret key belongs to."""
    try:
        keys = backend_api.get_jwks(timeout=DEADLINE).get("keys")
    except Misconfigured as problem:
        yield error("secret-key-refused", f"The Backend API refuses this site: {problem}", f"{SAME_PAGE}")
        return
    except ClerkError as problem:
        fix = "If it lasts: is CLERK_API_URL right, and does a proxy or firewall let this machine out?"
        yield warning("backend-api-unreachable", f"The Backend API does not answer: {problem}", fix)
        return
    ids = {key.get("kid") for key in keys if isinstance(key, dict)} if isinstance(keys, list) else set()
    if published and ids.isdisjoint(published):
        text = "CLERK_SECRET_KEY and CLERK_PUBLISHABLE_KEY belong to different instances."
        yield error("keys-of-different-instances", text, SAME_PAGE)
    else:
        yield fine("secret-key", "The Backend API accepts CLERK_SECRET_KEY.")
