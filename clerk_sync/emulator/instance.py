"""What identifies a Clerk instance: its addresses, its keys and the settings of its dashboard."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from clerk_sync.claims import SESSION_TOKEN_TEMPLATE

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def publishable_key(kind: str, frontend_api_host: str) -> str:
    """`pk_test_` or `pk_live_` and the host with a final `$` in base64, without padding as Clerk writes it."""
    return f"pk_{kind}_{base64.b64encode(f'{frontend_api_host}$'.encode()).decode().rstrip('=')}"


@dataclass(kw_only=True)
class Instance:
    """One Clerk instance. `kind` "test" is Clerk's development form, "live" its production form.

    `cookie_domain` is where a live instance sets the cookies that the site reads: a parent of both hosts.
    `allowed_origins` are the sites that it serves; with none listed a test instance serves every loopback address.
    `frontend_api_url` left empty becomes the server's own address when that starts. `key_host` is the host that the
    publishable key names, if it is another, as for an instance behind a proxy.
    """

    frontend_api_url: str = ""
    key_host: str = ""
    kind: Literal["test", "live"] = "test"
    id: str = field(default_factory=lambda: f"ins_{secrets.token_hex(13)}")
    secret_key: str = ""
    webhook_secret: str = ""
    cookie_domain: str | None = None
    allowed_origins: tuple[str, ...] = ()
    # Sessions, Customize session token. Empty: never customized.
    session_claims: Mapping[str, Any] = field(default_factory=lambda: dict(SESSION_TOKEN_TEMPLATE))
    token_lifetime: int = 60  # seconds
    session_lifetime: int = 7 * 24 * 3600  # seconds
    # Seconds for which tokens of a session are minted at the edge: from claims assembled before, which `oiat` dates.
    claims_kept_for: int = 0

    def __post_init__(self) -> None:
        self.secret_key = self.secret_key or f"sk_{self.kind}_{secrets.token_urlsafe(24)}"
        self.webhook_secret = self.webhook_secret or f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"

    @property
    def publishable_key(self) -> str:
        return publishable_key(self.kind, self.key_host or urlsplit(self.frontend_api_url).netloc)

    @property
    def cookie_suffix(self) -> str:
        digest = hashlib.sha1(self.publishable_key.encode(), usedforsecurity=False).digest()
        return base64.urlsafe_b64encode(digest).decode()[:8]

    @property
    def is_live(self) -> bool:
        return self.kind == "live"

    def serves(self, url: str) -> bool:
        """Whether a browser may be sent to this address with the tokens of its session."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            return False
        if f"{parts.scheme}://{parts.netloc}" in (*self.allowed_origins, self.frontend_api_url):
            return True
        return not self.allowed_origins and not self.is_live and parts.hostname in LOOPBACK
