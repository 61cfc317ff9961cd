"""Who is asking: the value that every request carries as `request.manageros_user`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from django.http import HttpRequest

from accounts.models import Role, User

Source = Literal["session_claims", "database"]
FallbackReason = Literal["claims_not_configured", "metadata_not_synced", "claims_stale", "claims_invalid"]

NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOSUser:
    """Who is this, in which organization, in what role. Ids are UUIDs as strings; None where there is none.

    `id` is None on the anonymous value alone. `fallback_reason` says why the database was asked instead of the
    claims. `actor` is the Clerk id of an impersonator. `session_claims` are the verified claims, read-only.
    """

    is_authenticated: bool = False
    clerk_user_id: str | None = None
    session_id: str | None = None
    id: str | None = None
    organization_id: str | None = None
    organization_name: str | None = None
    organization_slug: str | None = None
    person_id: str | None = None
    role: str | None = None
    source: Source | None = None
    fallback_reason: FallbackReason | None = None
    actor: str | None = None
    session_claims: Mapping[str, Any] = field(default_factory=lambda: NO_CLAIMS, repr=False)

    def has_role(self, at_least: Role) -> bool:
        """Whether the user is a member of the active organization in this role or a higher one."""
        return self.role is not None and Role(self.role).includes(at_least)


ANONYMOUS = ManagerOSUser()


class IdentifiedRequest(HttpRequest):
    """A request as views see it, behind `ClerkSessionMiddleware`. For annotations; never instantiated."""

    if TYPE_CHECKING:
        manageros_user: ManagerOSUser
        user: User
