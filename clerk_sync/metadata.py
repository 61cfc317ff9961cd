"""What a Clerk user's public metadata should hold: the six session claims, computed from the database."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from accounts.models import User
from clerk_sync.claims import CLAIMS

Metadata = Mapping[str, str | None]

# For a user who is gone, deactivated or linked to another Clerk user: None removes the key at Clerk.
NO_METADATA: Metadata = MappingProxyType(dict.fromkeys(CLAIMS))


def read_metadata(users: Any, *fields: str) -> Iterator[tuple[Metadata, tuple[Any, ...]]]:
    """What Clerk should hold for each user of the queryset, and these fields of theirs: one query, streamed."""
    rows = users.with_identity().values_list("is_active", *CLAIMS.values(), *fields)
    for is_active, *values in rows.iterator(chunk_size=2000):
        claims, rest = values[: len(CLAIMS)], tuple(values[len(CLAIMS) :])
        yield _metadata(claims) if is_active else NO_METADATA, rest


def desired_metadata(user_ids: Collection[UUID]) -> dict[UUID, Metadata]:
    """What Clerk should hold for these users, in one query."""
    rows = read_metadata(User.objects.filter(pk__in=user_ids).order_by(), "pk")
    return {pk: metadata for metadata, (pk,) in rows}


def _metadata(values: Iterable[Any]) -> Metadata:
    return {claim: None if value is None else str(value) for claim, value in zip(CLAIMS, values, strict=True)}


def digest(public_metadata: Mapping[str, Any]) -> str:
    """SHA-256 of our keys in it. Absent equals None, because Clerk removes a key that is set to None."""
    return hashlib.sha256(json.dumps([public_metadata.get(claim) for claim in CLAIMS]).encode()).hexdigest()
