"""System checks of the Clerk settings: which is wrong, why, and where Clerk's dashboard shows the right one."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

from clerk_sync.instance import LIVE_PREFIX, TEST_PREFIX, frontend_api_host

API_KEYS = "Clerk's dashboard shows it under Configure, Developers, API keys: https://dashboard.clerk.com/~/api-keys"
WEBHOOKS = (
    "Clerk's dashboard shows it under Configure, Developers, Webhooks, on the endpoint's page, as Signing Secret: "
    "https://dashboard.clerk.com/~/webhooks"
)
PARTIES_EXPLAINED = "https://clerk.com/docs/guides/sessions/manual-jwt-verification"
IDENTIFY = "clerk_sync.middleware.ClerkSessionMiddleware"
PASSWORDS = "django.contrib.auth.middleware.AuthenticationMiddleware"
# Enough that nobody guesses it: 16 random bytes have 22 characters of base64.
METRICS_TOKEN_LENGTH = 20
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
PER_PROCESS_CACHES = {
    "manageros.caches.InProcessCache",
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
}


@register()
def publishable_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.E001 and E002: the publishable key is missing, or is not one."""
    key = settings.CLERK_PUBLISHABLE_KEY
    hint = f"{API_KEYS} (Publishable key: pk_test_… or pk_live_…). `make demo` needs none."
    if not key:
        return [Error("CLERK_PUBLISHABLE_KEY is not set.", hint=hint, id="clerk_sync.E001")]
    if not frontend_api_host(key):
        problem = "CLERK_PUBLISHABLE_KEY is not pk_test_ or pk_live_ and the base64 of a host name that ends in $."
        return [Error(problem, hint=f"Copy it whole: {hint}", id="clerk_sync.E002")]
    return []


@register()
def secret_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.E003 to E005: the secret key is missing, is not one, or is of the other kind of instance."""
    key, public = settings.CLERK_SECRET_KEY, settings.CLERK_PUBLISHABLE_KEY
    hint = f"{API_KEYS} (Secret keys: sk_test_… or sk_live_…)."
    if not key:
        return [Error("CLERK_SECRET_KEY is not set.", hint=hint, id="clerk_sync.E003")]
    if not key.startswith(("sk_test_", "sk_live_")) or not key.isascii() or any(map(str.isspace, key)):
        return [Error("CLERK_SECRET_KEY does not look like sk_test_… or sk_live_….", hint=hint, id="clerk_sync.E004")]
    if public.startswith((TEST_PREFIX, LIVE_PREFIX)) and key[3:7] != public[3:7]:
        problem = f"CLERK_SECRET_KEY is of a {key[3:7]} instance and CLERK_PUBLISHABLE_KEY of a {public[3:7]} one."
        return [Error(problem, hint=f"Take both from the same page. {hint}", id="clerk_sync.E005")]
    return []


@register()
def jwt_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.E006: a key for networkless verification that is not an RSA public key."""
    if not settings.CLERK_JWT_KEY:
        return []
    try:
        key = load_pem_public_key(settings.CLERK_JWT_KEY.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPublicKey):
        return []
    hint = f"{API_KEYS} (JWKS Public Key), from -----BEGIN PUBLIC KEY----- on; line ends may be written as \\n."
    return [Error("CLERK_JWT_KEY is not an RSA public key in PEM form.", hint=hint, id="clerk_sync.E006")]


@register()
def webhook_secret(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.E007 and E008: no webhook secret, or one that is malformed."""
    secrets = settings.CLERK_WEBHOOK_SIGNING_SECRET
    if not secrets:
        problem = "CLERK_WEBHOOK_SIGNING_SECRET is not set."
        return [Error(problem, hint=f"{WEBHOOKS} (whsec_…).", id="clerk_sync.E007")]
    if not all(map(_is_webhook_secret, secrets)):
        problem = "CLERK_WEBHOOK_SIGNING_SECRET is not whsec_ and base64; several are separated by commas."
        return [Error(problem, hint=f"{WEBHOOKS} (whsec_…).", id="clerk_sync.E008")]
    return []


@register()
def addresses(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> Iterator[CheckMessage]:
    """clerk_sync.E009: an address of Clerk's that is none, or that would be reached in clear over a network."""
    hints = {
        "CLERK_FRONTEND_API_URL": "Leave it empty unless Clerk is behind a proxy or is the local one: "
        "it follows from CLERK_PUBLISHABLE_KEY.",
        "CLERK_API_URL": "Leave it empty for Clerk's own Backend API; the local Clerk's is http://127.0.0.1:PORT/v1.",
        "CLERK_SIGN_IN_URL": "Leave it empty for Clerk's hosted page. Clerk's dashboard shows it under Account Portal.",
        "CLERK_SIGN_UP_URL": "Leave it empty for Clerk's hosted page. Clerk's dashboard shows it under Account Portal.",
    }
    for name, hint in hints.items():
        value = getattr(settings, name)
        if value and not _is_safe_url(value):
            problem = f"{name} must be an https:// address; http:// is for this machine alone."
            yield Error(problem, hint=hint, id="clerk_sync.E009")


@register(Tags.security)
def authorized_parties(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.W001: tokens made for any site of the instance would be accepted."""
    if settings.CLERK_AUTHORIZED_PARTIES or "*" not in settings.ALLOWED_HOSTS:
        return []
    problem = "DJANGO_ALLOWED_HOSTS allows every host and CLERK_AUTHORIZED_PARTIES is not set."
    hint = f"Set CLERK_AUTHORIZED_PARTIES to this site's origins, such as https://app.example.com: {PARTIES_EXPLAINED}"
    return [checks.Warning(problem, hint=hint, id="clerk_sync.W001")]


@register(Tags.caches)
def shared_cache(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.W002: one process would not learn of a revocation that another was told of."""
    per_process = settings.CACHES["default"]["BACKEND"] in PER_PROCESS_CACHES
    if settings.DEBUG or not per_process or settings.CLERK_FRESHNESS == "database":
        return []
    problem = "The cache is per process: a revoked session or membership lives on in the other processes of the site."
    hint = "Set CACHE_URL to a Redis server that all processes share, or CLERK_FRESHNESS=database to ask no cache."
    return [checks.Warning(problem, hint=hint, id="clerk_sync.W002")]


@register()
def middleware(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.E010: no request would be identified, or not as the person that a password session speaks of."""
    order = [name for name in settings.MIDDLEWARE if name in {IDENTIFY, PASSWORDS}]
    if order == [PASSWORDS, IDENTIFY]:
        return []
    problem = f"MIDDLEWARE must hold {IDENTIFY}, after {PASSWORDS}."
    return [Error(problem, hint="Compare manageros/settings.py with the one you started from.", id="clerk_sync.E010")]


@register(Tags.security, deploy=True)
def instance_kind(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.W003: a development instance behind a site of production."""
    if settings.DEBUG or not settings.CLERK_PUBLISHABLE_KEY.startswith(TEST_PREFIX):
        return []
    problem = "CLERK_PUBLISHABLE_KEY is that of a development instance, which Clerk allows a tenth of the calls."
    hint = "Use the keys of a production instance: https://clerk.com/docs/guides/development/deployment/production"
    return [checks.Warning(problem, hint=hint, id="clerk_sync.W003")]


@register()
def background_work(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.W004: wake-ups that no worker gets."""
    if settings.DEBUG or not settings.TASKS["default"]["BACKEND"].endswith((".ImmediateBackend", ".DummyBackend")):
        return []
    problem = "TASKS_BACKEND has no worker: changes are delivered to Clerk inside requests, or by the cron line alone."
    hint = "Leave it empty for the database backend, which `manage.py db_worker` serves."
    return [checks.Warning(problem, hint=hint, id="clerk_sync.W004")]


@register(Tags.security)
def metrics_token(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.W005: figures that anybody could read who tries."""
    if not 0 < len(settings.METRICS_TOKEN) < METRICS_TOKEN_LENGTH:
        return []
    problem = f"METRICS_TOKEN is shorter than {METRICS_TOKEN_LENGTH} characters."
    hint = "`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one. See docs/deploy.md."
    return [checks.Warning(problem, hint=hint, id="clerk_sync.W005")]


@register(deploy=True)
def networkless_verification(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """clerk_sync.W006: keys that each process has to fetch before it can verify a token."""
    if settings.DEBUG or settings.CLERK_JWT_KEY:
        return []
    problem = "CLERK_JWT_KEY is not set: a process that starts while Clerk is away answers 503 until it is back."
    hint = f"{API_KEYS} (JWKS Public Key)."
    return [checks.Warning(problem, hint=hint, id="clerk_sync.W006")]


def _is_webhook_secret(secret: str) -> bool:
    encoded = secret.removeprefix("whsec_")
    try:
        return encoded != secret and len(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)) > 0
    except (binascii.Error, ValueError):
        return False


def _is_safe_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL_HOSTS))
