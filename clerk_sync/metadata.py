"""What a Clerk user's public metadata should hold: the six session claims, computed from the database."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from accounts.models import User
from clerk_sync.claims import CLAIMS

Metadata = Mapping[str, str | None]

# For a user who is gone, deactivated or linked to another Clerk user: None removes the key at Clerk.
NO_METADATA: Metadata = MappingProxyType(dict.fromkeys(CLAIMS))


def metadata_of(users: Any) -> Iterator[tuple[User, Metadata]]:
    """Each user of the queryset with the metadata that Clerk should hold for them: one query, read as a stream."""
    for user in users.with_identity().order_by().iterator(chunk_size=2000):
        yield user, _metadata(user)


def desired_metadata(user_ids: Collection[UUID]) -> dict[UUID, Metadata]:
    """What Clerk should hold for these users, in one query."""
    return {user.pk: metadata for user, metadata in metadata_of(User.objects.filter(pk__in=user_ids))}


def _metadata(user: User) -> Metadata:
    if not user.is_active:
        return NO_METADATA
    values = {claim: getattr(user, attribute) for claim, attribute in CLAIMS.items()}
    return {claim: None if value is None else str(value) for claim, value in values.items()}


def digest(public_metadata: Mapping[str, Any]) -> str:
    """SHA-256 of our keys in it. Absent equals None, because Clerk removes a key that is set to None."""
    ours = {claim: public_metadata[claim] for claim in CLAIMS if public_metadata.get(claim) is not None}
    return hashlib.sha256(json.dumps(ours, sort_keys=True).encode()).hexdigest()
