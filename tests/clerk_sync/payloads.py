"""What Clerk sends, built on its published examples (tests/data)."""

import copy
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

EXAMPLES: Mapping[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent.parent / "data" / "clerk-webhook-examples.json").read_text(encoding="utf-8")
)["events"]

NOW = 1_716_883_500_000  # milliseconds: `updated_at` of the published user.updated


def published(event_type: str) -> dict[str, Any]:
    """The published example of an event, as published."""
    return copy.deepcopy(EXAMPLES[event_type][0])


def email_address(address: str, *, status: str | None = "verified", id: str = "idn_1") -> dict[str, Any]:  # noqa: A002
    verification = None if status is None else {"status": status, "strategy": "email_code"}
    return {"id": id, "object": "email_address", "email_address": address, "verification": verification}


def clerk_user(
    clerk_user_id: str = "user_ada", email: str | None = None, *, updated_at: int = NOW, **fields: Any
) -> dict[str, Any]:
    """Clerk's User with `email` as its verified primary address; None is a user without any."""
    user: dict[str, Any] = published("user.updated")["data"]
    addresses = [email_address(email)] if email else []
    primary = "idn_1" if email else None
    user |= {"id": clerk_user_id, "email_addresses": addresses, "primary_email_address_id": primary}
    return user | {"updated_at": updated_at} | fields


def event(event_type: str, data: Mapping[str, Any], *, at: int | datetime = NOW) -> dict[str, Any]:
    """A webhook's body that says this. `at`: milliseconds or seconds since the epoch, both of which Clerk sends."""
    timestamp = int(at.timestamp() * 1000) if isinstance(at, datetime) else at
    return published("user.updated") | {"type": event_type, "data": dict(data), "timestamp": timestamp}


def deletion(clerk_user_id: str = "user_ada", *, at: int = NOW) -> dict[str, Any]:
    return event("user.deleted", {"object": "user", "id": clerk_user_id, "deleted": True}, at=at)
