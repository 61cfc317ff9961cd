"""The domain: who there is, which organizations they belong to, and in what role."""

from accounts.models.change import Change
from accounts.models.invitation import Invitation
from accounts.models.membership import Membership
from accounts.models.organization import Organization
from accounts.models.person import Person
from accounts.models.role import Role
from accounts.models.user import User

__all__ = ["Change", "Invitation", "Membership", "Organization", "Person", "Role", "User"]
