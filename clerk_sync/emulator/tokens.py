"""Tokens as Clerk signs them: of sessions, of handshakes and of JWT templates."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from clerk_sync.emulator.answers import Json
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.shortcodes import render
from clerk_sync.emulator.state import JWTTemplate, Session, User

# The header's `cat`, by which Clerk tells kinds of tokens apart that one key signs.
SESSION_CATEGORY = "cl_B7d4PD111AAA"
TEMPLATE_CATEGORY = "cl_B7d4PD222AAA"

# No template sets these: https://clerk.com/docs/guides/sessions/jwt-templates
RESERVED_CLAIMS = {"act", "azp", "exp", "iat", "iss", "jti", "nbf", "sub"}
SESSION_ONLY_CLAIMS = {"fea", "fva", "pla", "sid", "sts", "v"}


@dataclass(frozen=True)
class AssembledClaims:
    """The custom claims of a session token, and when they were read from the user's record (seconds)."""

    claims: Json
    assembled_at: int


@dataclass(kw_only=True)
class Signer:
    """Signs what an instance issues. Times are seconds since 1970."""

    instance: Instance
    key: RSAPrivateKey = field(default_factory=lambda: generate_private_key(public_exponent=65537, key_size=2048))

    @property
    def private_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def public_pem(self) -> str:
        """What Clerk's dashboard shows as the PEM public key, for CLERK_JWT_KEY."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(encoding, form).decode()

    @property
    def jwks(self) -> Json:
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        public = {name: jwk[name] for name in ("kty", "n", "e")}
        return {"keys": [{"use": "sig", "alg": "RS256", "kid": self.instance.id, **public}]}

    def session_token(
        self,
        session: Session,
        custom: "AssembledClaims",
        *,
        now: float,
        origin: str | None = None,
        lifetime: int | None = None,
    ) -> str:
        """`origin` is that of the request which asks for it; a token minted by a navigation has none, hence no azp."""
        issued = int(now)
        claims = custom.claims | {
            "exp": issued + (lifetime or self.instance.token_lifetime),
            "fva": [max(0, (issued - session.created_at // 1000) // 60), -1],
            "iat": issued,
            "iss": self.instance.frontend_api_url,
            "jti": secrets.token_hex(10),
            "nbf": issued - 10,
            "sid": session.id,
            "sts": "pending" if session.status == "pending" else "active",
            "sub": session.user_id,
            "v": 2,
        }
        if origin:
            claims["azp"] = origin
        if session.actor:
            claims["act"] = session.actor
        return self.sign(claims, category=SESSION_CATEGORY, oiat=custom.assembled_at)

    def assembled(self, user: User, *, now: float) -> "AssembledClaims":
        return AssembledClaims(self.custom(self.instance.session_claims, user), int(now))

    def template_token(self, template: JWTTemplate, user: User, *, now: float, origin: str | None) -> str:
        issued = int(now)
        claims = self.custom(template.claims, user) | {
            "exp": issued + template.lifetime,
            "iat": issued,
            "iss": self.instance.frontend_api_url,
            "jti": secrets.token_hex(10),
            "nbf": issued - template.allowed_clock_skew,
            "sub": user.id,
        }
        if origin:
            claims["azp"] = origin
        return self.sign(claims, category=TEMPLATE_CATEGORY)

    def handshake_token(self, directives: list[str], *, now: float) -> str:
        issued = int(now)
        claims = {"handshake": directives, "iat": issued, "exp": issued + 60, "iss": self.instance.frontend_api_url}
        return self.sign(claims, category=SESSION_CATEGORY)

    def sign(self, claims: Mapping[str, Any], *, category: str, **headers: Any) -> str:
        headers = {"cat": category, "kid": self.instance.id, "typ": "JWT", **headers}
        return jwt.encode(dict(claims), self.key, algorithm="RS256", headers=headers)

    def claims_of_expired(self, token: str) -> Json | None:
        """The claims of a token that this key signed, however old; None of any other."""
        try:
            claims: Json = jwt.decode(
                token, self.key.public_key(), algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False}
            )
        except jwt.InvalidTokenError:
            return None
        return claims

    def custom(self, template: Mapping[str, Any], user: User) -> Json:
        allowed = {name: value for name, value in template.items() if name not in RESERVED_CLAIMS | SESSION_ONLY_CLAIMS}
        claims: Json = render(allowed, self.context(user))
        return claims

    @staticmethod
    def context(user: User) -> Json:
        email = user.primary_email
        return {
            "user": {
                "id": user.id,
                "external_id": user.external_id,
                "username": user.username,
                "first_name": user.first_name,
                "last_name": user.last_name,
                "full_name": user.full_name or None,
                "primary_email_address": email.address if email else None,
                "email_verified": bool(email and email.verified),
                "public_metadata": user.public_metadata,
                "unsafe_metadata": user.unsafe_metadata,
                "created_at": user.created_at // 1000,
                "updated_at": user.updated_at // 1000,
            }
        }


def signer(instance: Instance, private_pem: str | None = None) -> Signer:
    if private_pem is None:
        return Signer(instance=instance)
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("a Clerk instance signs with an RSA key")
    return Signer(instance=instance, key=key)
