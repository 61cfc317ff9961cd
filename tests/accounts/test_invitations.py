"""Whoever proves to own an invited address may become a member, once."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import Invitation, Membership, Organization, Role, User
from tests.accounts.factories import a_user, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organization:
    return an_organization("Acme")


@pytest.fixture
def owner(acme: Organization) -> User:
    return acme.memberships.get().user


@pytest.fixture
def invitation(acme: Organization, owner: User) -> Invitation:
    return Invitation.objects.invite(acme, "Mira@Example.com", Role.ADMIN, by_id=owner.pk)


def test_invited_user_becomes_a_member_in_the_role_offered(invitation: Invitation) -> None:
    mira = a_user(email="mira@example.com")

    membership = invitation.accept(mira)

    assert (membership.user, membership.role, membership.is_active) == (mira, "admin", True)
    assert not Invitation.objects.open_for(mira.pk).exists()


def test_invitations_are_found_by_the_verified_address_alone(invitation: Invitation) -> None:
    assert list(Invitation.objects.open_for(a_user(email="mira@example.com").pk)) == [invitation]
    assert not Invitation.objects.open_for(a_user(email=None).pk).exists()
    assert not Invitation.objects.open_for(a_user(email="other@example.com").pk).exists()


def test_nobody_else_can_accept(invitation: Invitation) -> None:
    with pytest.raises(ValidationError, match="no longer open"):
        invitation.accept(a_user(email="other@example.com"))

    assert Membership.objects.count() == 1


@pytest.mark.parametrize("end", ["accepted", "revoked", "expired"])
def test_invitation_that_ended_admits_nobody(invitation: Invitation, end: str) -> None:
    mira = a_user(email="mira@example.com")
    match end:
        case "accepted":
            invitation.accept(mira).delete()
        case "revoked":
            invitation.revoke()
        case "expired":
            Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(ValidationError, match="no longer open"):
        invitation.accept(mira)

    assert not mira.memberships.exists()


def test_inviting_again_renews_the_one_invitation(invitation: Invitation, acme: Organization, owner: User) -> None:
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))

    again = Invitation.objects.invite(acme, "mira@example.com", Role.MEMBER, by_id=owner.pk)

    assert (again.pk, again.role, again.is_expired) == (invitation.pk, "member", False)


def test_revoked_address_can_be_invited_anew(invitation: Invitation, acme: Organization, owner: User) -> None:
    invitation.revoke()

    assert Invitation.objects.invite(acme, "mira@example.com", Role.MEMBER, by_id=owner.pk) != invitation


def test_member_is_not_invited(acme: Organization, owner: User) -> None:
    with pytest.raises(ValidationError, match="is a member already"):
        Invitation.objects.invite(acme, str(owner.email), Role.MEMBER, by_id=owner.pk)


def test_member_who_accepts_keeps_their_role(invitation: Invitation, acme: Organization) -> None:
    mira = a_user(email="mira@example.com")
    Membership.objects.create(user=mira, organization=acme, role=Role.OWNER)

    assert invitation.accept(mira).role == Role.OWNER
