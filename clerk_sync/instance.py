"""The Clerk instance that this site trusts, as its settings describe it."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import setting_changed

TEST_PREFIX = "pk_test_"
LIVE_PREFIX = "pk_live_"


@dataclass(frozen=True, slots=True)
class ClerkInstance:
    """What follows from the publishable key and the addresses given beside it.

    With a key that cannot be read the addresses are empty and no token verifies: `clerk_sync.checks` says so at
    start-up, and a request must not fail because of it.
    """

    publishable_key: str
    frontend_api_url: str
    sign_in_url: str
    sign_up_url: str
    cookie_suffix: str
    is_production: bool

    @property
    def issuer(self) -> str:
        return self.frontend_api_url


@lru_cache(maxsize=1)  # reading one setting costs as much as the rest of this call
def clerk_instance() -> ClerkInstance:
    """The instance of the settings as they are now."""
    key = settings.CLERK_PUBLISHABLE_KEY
    host = frontend_api_host(key)
    frontend_api_url = settings.CLERK_FRONTEND_API_URL or (f"https://{host}" if host else "")
    pages = hosted_pages_url(host, frontend_api_url)
    return ClerkInstance(
        publishable_key=key,
        frontend_api_url=frontend_api_url,
        sign_in_url=settings.CLERK_SIGN_IN_URL or f"{pages}/sign-in",
        sign_up_url=settings.CLERK_SIGN_UP_URL or f"{pages}/sign-up",
        cookie_suffix=cookie_suffix(key),
        is_production=key.startswith(LIVE_PREFIX),
    )


def on_setting_changed(**kwargs: Any) -> None:
    clerk_instance.cache_clear()


setting_changed.connect(on_setting_changed, dispatch_uid="clerk_sync.instance")


def frontend_api_host(publishable_key: str) -> str:
    """The host inside a key: `pk_test_` or `pk_live_`, then base64 of `<host>$`. Empty where that is not the form."""
    if not publishable_key.startswith((TEST_PREFIX, LIVE_PREFIX)):
        return ""
    encoded = publishable_key.removeprefix(TEST_PREFIX).removeprefix(LIVE_PREFIX).rstrip("=")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    host = decoded.removesuffix("$")
    well_formed = decoded.endswith("$") and "$" not in host and "." in host and urlsplit(f"//{host}").netloc == host
    return host if well_formed else ""


def hosted_pages_url(host: str, frontend_api_url: str) -> str:
    """Where Clerk hosts the sign-in pages of an instance; a local Clerk serves them beside its Frontend API."""
    if ".clerk.accounts." in host:
        return f"https://{host.replace('.clerk.accounts.', '.accounts.', 1)}"
    if host.startswith("clerk."):
        return f"https://accounts.{host.removeprefix('clerk.')}"
    return frontend_api_url


def cookie_suffix(publishable_key: str) -> str:
    """What tells this instance's cookies from another's on one host. The key is hashed as written, padding included."""
    digest = hashlib.sha1(publishable_key.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode()[:8]
