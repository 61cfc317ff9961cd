"""A Clerk instance for tests: a real RSA key that signs tokens, and a real Svix secret that signs webhooks."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from django.conf import settings
from django.test import AsyncClient, Client
from svix.webhooks import Webhook

from accounts.models import User
from clerk_sync.claims import CLAIMS
from clerk_sync.instance import clerk_instance

SESSION_CATEGORY = "cl_B7d4PD111AAA"
ISSUER = "https://clerk.manageros.test"


@dataclass
class ClerkInstance:
    """Mints what Clerk would mint. A claim or header given as None is left out; `claims` may hold None itself."""

    issuer: str = ISSUER
    key_id: str = "ins_tests"
    key: RSAPrivateKey = field(default_factory=lambda: generate_private_key(public_exponent=65537, key_size=2048))

    @property
    def public_pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(encoding, form).decode()

    @property
    def jwks(self) -> dict[str, Any]:
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**jwk, "kid": self.key_id, "alg": "RS256", "use": "sig"}]}

    def token(
        self,
        sub: str | None = "user_1",
        *,
        claims: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        **registered: Any,
    ) -> str:
        """A session token of version 2 that lives for 60 seconds, with what is given in place of its own."""
        now = int(time.time())
        payload = {
            "azp": "http://testserver",
            "exp": now + 60,
            "fva": [0, -1],
            "iat": now,
            "iss": self.issuer,
            "jti": f"jti_{time.monotonic_ns()}",
            "nbf": now - 10,
            "sid": "sess_1",
            "sts": "active",
            "sub": sub,
            "v": 2,
        } | registered
        payload = {name: value for name, value in payload.items() if value is not None} | dict(claims or {})
        header = {"cat": SESSION_CATEGORY, "kid": self.key_id, "typ": "JWT"} | dict(headers or {})
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(payload, self.key, algorithm="RS256", headers=header)


def signed_webhook(
    event: Mapping[str, Any] | bytes, *, svix_id: str = "msg_1", secret: str | None = None, at: datetime | None = None
) -> tuple[bytes, dict[str, str]]:
    """A body and the headers with which Svix would send it, for `client.post(**{"headers": headers})`."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    at = at or datetime.now(UTC)
    secret = secret or settings.CLERK_WEBHOOK_SIGNING_SECRET[0]
    signature = Webhook(secret).sign(svix_id, at, body.decode("utf-8", "surrogateescape"))
    headers = {
        "svix-id": svix_id,
        "svix-timestamp": str(int(at.timestamp())),
        "svix-signature": signature,
        "content-type": "application/json",
    }
    return body, headers


def sign_in(client: Client | AsyncClient, token: str, *, client_uat: int = 1) -> None:
    """Give a test client the cookies that Clerk's own script would set in a browser of a development instance."""
    cookies = {"__session": token, "__client_uat": str(client_uat), "__clerk_db_jwt": "dvb_tests"}
    suffix = clerk_instance().cookie_suffix
    for name, value in cookies.items():
        client.cookies[name] = client.cookies[f"{name}_{suffix}"] = value


def claims_of(user: User) -> dict[str, str | None]:
    """The six claims as they would be once the metadata sync had delivered what the database says now."""
    row = User.objects.with_identity().get(pk=user.pk)
    values = {name: getattr(row, attribute) for name, attribute in CLAIMS.items()}
    return {name: None if value is None else str(value) for name, value in values.items()}
