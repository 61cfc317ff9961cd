"""What a request may see and touch: the rows of the organization its user works in now, and nothing else.

Every page and every API resource starts from these querysets. Another organization's id is therefore "not found",
whatever the verb, and there is no second place where that could be forgotten.
"""

from typing import TypeVar

from django.db.models import Model, QuerySet

from accounts.identity import ManagerOSUser
from accounts.models import Change, Invitation, Membership, Organization, Person
from accounts.models.change import ChangeQuerySet
from accounts.models.invitation import InvitationQuerySet
from accounts.models.membership import MembershipQuerySet
from accounts.models.organization import OrganizationQuerySet
from accounts.models.person import PersonQuerySet

Q = TypeVar("Q", bound=QuerySet[Model])


def organizations(who: ManagerOSUser) -> OrganizationQuerySet:
    """The one organization the user works in, or none."""
    return Organization.objects.filter(pk=who.organization_id) if who.organization_id else Organization.objects.none()


def memberships(who: ManagerOSUser) -> MembershipQuerySet:
    """Everybody's memberships of that organization."""
    return within(Membership.objects.all(), who)


def people(who: ManagerOSUser) -> PersonQuerySet:
    return within(Person.objects.all(), who)


def invitations(who: ManagerOSUser) -> InvitationQuerySet:
    return within(Invitation.objects.all(), who)


def changes(who: ManagerOSUser) -> ChangeQuerySet:
    return within(Change.objects.all(), who)


def within(rows: Q, who: ManagerOSUser) -> Q:
    return rows.filter(organization_id=who.organization_id) if who.organization_id else rows.none()


# --- The user's own, of whatever organization: to move between them


def own_memberships(who: ManagerOSUser) -> MembershipQuerySet:
    if who.id is None:
        return Membership.objects.none()
    return Membership.objects.filter(user_id=who.id).select_related("organization")


def own_invitations(who: ManagerOSUser) -> InvitationQuerySet:
    if who.id is None:
        return Invitation.objects.none()
    return Invitation.objects.open_for(who.id).select_related("organization")
