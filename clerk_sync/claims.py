"""The six session claims that carry a user's identity, and where each comes from.

The same JSON is set once in Clerk's dashboard, under Sessions, Customize session token. Each claim is a key of the
Clerk user's public metadata, which the metadata sync writes.
"""

from collections.abc import Mapping
from types import MappingProxyType

# claim and metadata key -> attribute of ManagerOSUser, and of a row of User.objects.with_identity()
CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "managerOSUserId": "id",
        "organizationId": "organization_id",
        "organizationName": "organization_name",
        "organizationSlug": "organization_slug",
        "personId": "person_id",
        "role": "role",
    }
)

SESSION_TOKEN_TEMPLATE: Mapping[str, str] = MappingProxyType(
    {name: f"{{{{user.public_metadata.{name}}}}}" for name in CLAIMS}
)
