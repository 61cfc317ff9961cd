"""What Clerk keeps: plain records, written to and read from JSON as they are. Times are milliseconds since 1970."""

import secrets
import string
from dataclasses import dataclass, field
from typing import Any, Literal

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

SessionStatus = Literal["active", "ended", "expired", "removed", "revoked", "pending"]


def new_id(prefix: str) -> str:
    """An id of Clerk's form and length: nothing may depend on a shorter one."""
    return f"{prefix}_2{''.join(secrets.choice(BASE62) for _ in range(26))}"


@dataclass(kw_only=True)
class EmailAddress:
    address: str
    created_at: int
    updated_at: int
    id: str = field(default_factory=lambda: new_id("idn"))
    verified: bool = True


@dataclass(kw_only=True)
class User:
    created_at: int
    updated_at: int
    id: str = field(default_factory=lambda: new_id("user"))
    external_id: str | None = None
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None
    emails: list[EmailAddress] = field(default_factory=list)
    primary_email_address_id: str | None = None
    public_metadata: dict[str, Any] = field(default_factory=dict)
    private_metadata: dict[str, Any] = field(default_factory=dict)
    unsafe_metadata: dict[str, Any] = field(default_factory=dict)
    password_enabled: bool = False
    banned: bool = False
    locked: bool = False
    delete_self_enabled: bool = True
    create_organization_enabled: bool = True
    last_sign_in_at: int | None = None
    last_active_at: int | None = None
    legal_accepted_at: int | None = None

    @property
    def primary_email(self) -> EmailAddress | None:
        return next((email for email in self.emails if email.id == self.primary_email_address_id), None)

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(kw_only=True)
class Session:
    user_id: str
    client_id: str
    created_at: int
    updated_at: int
    last_active_at: int
    expire_at: int
    id: str = field(default_factory=lambda: new_id("sess"))
    status: SessionStatus = "active"
    actor: dict[str, Any] | None = None
    refresh_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))


@dataclass(kw_only=True)
class SignIn:
    """An attempt under way. `created_session_id` is set when it is complete."""

    user_id: str | None
    identifier: str | None
    abandon_at: int
    id: str = field(default_factory=lambda: new_id("sia"))
    code_sent: bool = False
    created_session_id: str | None = None


@dataclass(kw_only=True)
class SignUp:
    email_address: str | None
    first_name: str | None
    last_name: str | None
    abandon_at: int
    id: str = field(default_factory=lambda: new_id("sua"))
    code_sent: bool = False
    created_user_id: str | None = None
    created_session_id: str | None = None


@dataclass(kw_only=True)
class Client:
    """A browser. `token` names it: the dev browser's in a test instance, the `__client` cookie's in a live one.

    `signed_at` is in seconds: when its sign-in state last changed, what the cookie `__client_uat` says.
    """

    token: str
    created_at: int
    updated_at: int
    id: str = field(default_factory=lambda: new_id("client"))
    session_ids: list[str] = field(default_factory=list)
    last_active_session_id: str | None = None
    signed_at: int = 0
    sign_in: SignIn | None = None
    sign_up: SignUp | None = None


@dataclass(kw_only=True)
class Invitation:
    email_address: str
    created_at: int
    updated_at: int
    expires_at: int
    public_metadata: dict[str, Any] = field(default_factory=dict)
    redirect_url: str | None = None
    status: Literal["pending", "accepted", "revoked", "expired"] = "pending"
    id: str = field(default_factory=lambda: new_id("inv"))
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(32))


@dataclass(kw_only=True)
class Ticket:
    """A sign-in token or, with an `actor`, an actor token: it signs in as `user_id` once, without a password."""

    user_id: str
    created_at: int
    updated_at: int
    expires_at: int
    actor: dict[str, Any] | None = None
    session_lifetime: int | None = None  # seconds
    status: Literal["pending", "accepted", "revoked"] = "pending"
    id: str = field(default_factory=lambda: new_id("ticket"))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))


@dataclass(kw_only=True)
class JWTTemplate:
    name: str
    claims: dict[str, Any]
    created_at: int
    updated_at: int
    lifetime: int = 60  # seconds
    allowed_clock_skew: int = 5  # seconds
    id: str = field(default_factory=lambda: new_id("jtmp"))
