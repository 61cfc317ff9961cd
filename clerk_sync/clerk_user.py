"""Clerk's User, read from a payload: the one place that decides what its fields mean here.

The shape is that of the Backend API's `User` schema, which webhooks carry too. Clerk adds fields with time, and leaves
out or nulls others: what is not needed is not looked at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import User

ID_LENGTH = 64
NAME_LENGTH: int = User._meta.get_field("name").max_length or 0
EMAIL_LENGTH: int = User._meta.get_field("email").max_length or 0
# JSON can spell characters that no database text can hold, and metadata and names are the user's own to write.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class MalformedPayloadError(ValueError):
    """What Clerk sent cannot be understood: an id or a time is missing, or is of the wrong type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkUser:
    """What the mirror needs of a user at Clerk, as of `updated_at` (milliseconds since the epoch).

    `email` is the verified primary address in lower case, None where there is none. `is_barred` says that the user
    may not be signed in: banned, or deprovisioned by their company's directory. `locked` says less: after ten wrong
    passwords, by whoever typed them, nobody signs in *anew* for an hour, whose end no event reports. Taking it for a
    ban would let any stranger throw a user out, and leave them out (clerk.com/docs, "Lock accounts after failed
    sign-ins").
    """

    id: str
    updated_at: int
    email: str | None
    name: str
    is_barred: bool
    public_metadata: Mapping[str, Any]

    @classmethod
    def parse(cls, payload: Mapping[str, Any]) -> "ClerkUser":
        """Raises MalformedPayloadError."""
        updated_at = payload.get("updated_at")
        if not isinstance(updated_at, int) or not 0 < updated_at < 2**62:
            raise MalformedPayloadError("updated_at of the user is not a time in milliseconds.")
        metadata = payload.get("public_metadata")
        return cls(
            id=parse_id(payload),
            updated_at=updated_at,
            email=_verified_primary_email(payload),
            name=_name(payload),
            is_barred=any(payload.get(key) is True for key in ("banned", "deprovisioned")),
            public_metadata=metadata if isinstance(metadata, dict) else {},
        )


def parse_id(payload: Mapping[str, Any]) -> str:
    """The `id` of any of Clerk's objects. Raises MalformedPayloadError."""
    value = payload.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= ID_LENGTH or UNSTORABLE.search(value):
        raise MalformedPayloadError("The object has no id, or one that is not Clerk's.")
    return value


def _verified_primary_email(payload: Mapping[str, Any]) -> str | None:
    primary = payload.get("primary_email_address_id")
    addresses = payload.get("email_addresses")
    for address in addresses if isinstance(addresses, list) else []:
        if isinstance(address, dict) and isinstance(primary, str) and address.get("id") == primary:
            verification, text = address.get("verification"), address.get("email_address")
            verified = isinstance(verification, dict) and verification.get("status") == "verified"
            return _email(text) if verified and isinstance(text, str) else None
    return None


def _email(text: str) -> str | None:
    email = text.strip().lower()
    return email if 0 < len(email) <= EMAIL_LENGTH and not UNSTORABLE.search(email) else None


def _name(payload: Mapping[str, Any]) -> str:
    parts = [part for key in ("first_name", "last_name") if isinstance(part := payload.get(key), str)]
    # split() and not strip(): either part may be empty, or white space alone.
    return UNSTORABLE.sub("", " ".join(" ".join(parts).split()))[:NAME_LENGTH].rstrip()
