"""Who may do what to whom, for pages and API alike. What may be seen at all is decided by `accounts.scope`."""

from accounts.identity import ManagerOSUser
from accounts.models import Membership, Role


def may_manage(who: ManagerOSUser, membership: Membership) -> bool:
    """Admins manage members and admins, owners everybody; nobody manages who ranks above them."""
    return who.has_role(Role.ADMIN) and who.has_role(Role(membership.role))


def may_grant(who: ManagerOSUser, role: Role) -> bool:
    """Nobody gives a role above their own."""
    return who.has_role(Role.ADMIN) and who.has_role(role)


def grantable_roles(who: ManagerOSUser) -> list[Role]:
    return [role for role in Role if may_grant(who, role)]


def may_end(who: ManagerOSUser, membership: Membership) -> bool:
    """Everybody may leave; whoever manages a member may remove them."""
    return str(membership.user_id) == who.id or may_manage(who, membership)
