"""Organizations on pages: made, renamed, switched, left, handed on, deleted; and who may do which of it."""

import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Change, Membership, Organization, Person, Role, User
from clerk_sync.models import InvitationEmail
from tests.accounts.conftest import Visitor
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db


def test_created_organization_is_owned_and_worked_in(visit: Visitor) -> None:
    user = a_user()

    answer = visit(user).post("/organization/create/", {"name": "New Works"}, follow=True)

    assert "New Works is yours" in answer.content.decode()
    assert user.memberships.get(is_active=True).role == Role.OWNER


def test_organization_needs_a_name_that_fits(visit: Visitor) -> None:
    browser = visit(a_user())

    for name in ("", "x" * 101, "   "):
        assert browser.post("/organization/create/", {"name": name}).status_code == 200

    assert not Organization.objects.exists()


def test_renaming(admin: Client, acme: Organization) -> None:
    admin.post("/organization/rename/", {"name": "Apex"})

    acme.refresh_from_db()
    assert (acme.name, acme.slug) == ("Apex", "acme")


def test_switching(membership: Membership, member: Client) -> None:
    other = a_member(an_organization("Other"), Role.ADMIN, user=membership.user)

    assert "Work in Other" in member.get("/organization/switch/").content.decode()
    answer = member.post(f"/organization/switch/{other.pk}/", follow=True)

    assert "You work in Other now" in answer.content.decode()
    assert "Other" in member.get("/organization/").content.decode()


def test_switching_by_somebody_elses_membership_is_not_found(member: Client) -> None:
    other = an_organization("Other").memberships.get()

    assert member.post(f"/organization/switch/{other.pk}/").status_code == 404


def test_leaving(membership: Membership, member: Client) -> None:
    answer = member.post("/organization/leave/", follow=True)

    assert "You have left Acme" in answer.content.decode()
    assert not Membership.objects.filter(pk=membership.pk).exists()


def test_last_owner_is_told_why_they_cannot_leave(owner: Client, acme: Organization) -> None:
    answer = owner.post("/organization/leave/", follow=True)

    assert "Acme would lose its last owner" in answer.content.decode()
    assert acme.memberships.filter(role=Role.OWNER).exists()


def test_last_owner_is_told_why_they_cannot_be_removed(owner: Client, acme: Organization) -> None:
    last = acme.memberships.get(role=Role.OWNER)

    answer = owner.post(f"/organization/members/{last.pk}/remove/", follow=True)

    assert answer.status_code == 200
    assert "Acme would lose its last owner" in answer.content.decode()
    assert acme.memberships.filter(pk=last.pk).exists()


def test_ownership_is_handed_on_to_a_member(owner: Client, acme: Organization, membership: Membership) -> None:
    owner.post("/organization/transfer/", {"email": membership.user.email})

    membership.refresh_from_db()
    assert membership.role == Role.OWNER
    assert acme.memberships.get(user__name="Olga Owner").role == Role.ADMIN


def test_ownership_is_not_handed_to_a_stranger(owner: Client, acme: Organization) -> None:
    stranger = a_user()

    answer = owner.post("/organization/transfer/", {"email": stranger.email})

    assert "No member of this organization" in answer.content.decode()
    assert acme.memberships.get().user.name == "Olga Owner"


def test_deletion_wants_the_slug_typed(owner: Client, acme: Organization) -> None:
    assert "That is not acme" in owner.post("/organization/delete/", {"slug": "Acme"}).content.decode()
    assert Organization.objects.exists()

    answer = owner.post("/organization/delete/", {"slug": "acme"}, follow=True)

    assert "has been deleted" in answer.content.decode()
    assert not Organization.objects.exists()
    assert User.objects.exists()


@pytest.mark.parametrize("path", ["/organization/delete/", "/organization/transfer/", "/organization/history/"])
def test_owners_alone(admin: Client, path: str) -> None:
    assert admin.get(path).status_code == 403
    assert admin.post(path).status_code in {403, 405}


@pytest.mark.parametrize("path", ["/organization/delete/", "/organization/transfer/", "/organization/leave/"])
def test_nobody_does_it_on_an_owners_behalf(acme: Organization, visit: Visitor, path: str) -> None:
    impersonator = visit(acme.memberships.get().user, act={"sub": "user_support"})

    assert impersonator.post(path, {"slug": "acme"}).status_code == 403
    assert Organization.objects.exists()


def test_admin_changes_a_members_role(admin: Client, membership: Membership) -> None:
    admin.post(f"/organization/members/{membership.pk}/", {"role": "admin"})

    membership.refresh_from_db()
    assert membership.role == Role.ADMIN


def test_admin_can_neither_make_nor_touch_owners(admin: Client, membership: Membership, acme: Organization) -> None:
    assert admin.post(f"/organization/members/{membership.pk}/", {"role": "owner"}).status_code == 200
    owner = acme.memberships.get(role=Role.OWNER)
    assert admin.post(f"/organization/members/{owner.pk}/", {"role": "member"}).status_code == 403
    assert admin.post(f"/organization/members/{owner.pk}/remove/").status_code == 403

    assert acme.memberships.filter(role=Role.OWNER).get() == owner


def test_member_removes_nobody_but_may_go(member: Client, admin_membership: Membership, membership: Membership) -> None:
    assert member.post(f"/organization/members/{admin_membership.pk}/remove/").status_code == 403
    member.post(f"/organization/members/{membership.pk}/remove/")

    assert set(Membership.objects.values_list("role", flat=True)) == {"owner", "admin"}


def test_removal_ends_access_at_once_and_unlinks(
    admin: Client, member: Client, membership: Membership, acme: Organization
) -> None:
    person = a_person(acme, user=membership.user)
    assert member.get("/people/").status_code == 200

    admin.post(f"/organization/members/{membership.pk}/remove/")

    assert member.get("/people/").status_code == 403
    assert Person.objects.get(pk=person.pk).user is None


def test_history_names_who_did_what(owner: Client, admin: Client, membership: Membership) -> None:
    admin.post(f"/organization/members/{membership.pk}/", {"role": "admin"})

    page = owner.get("/organization/history/").content.decode()

    assert "Member → Admin" in page
    assert "Adam Admin" in page


def test_history_names_the_impersonator(owner: Client, admin_membership: Membership, visit: Visitor) -> None:
    visit(admin_membership.user, act={"sub": "user_support"}).post("/organization/rename/", {"name": "Apex"})

    assert Change.objects.get(kind="renamed").impersonator == "user_support"
    assert "on their behalf: user_support" in owner.get("/organization/history/").content.decode()


def test_inviting_renewing_and_revoking(admin: Client, acme: Organization) -> None:
    admin.post("/organization/invitations/", {"email": "New@Example.com", "role": "member"})
    invitation = acme.invitations.get()
    assert "new@example.com" in admin.get("/organization/invitations/").content.decode()

    admin.post(f"/organization/invitations/{invitation.pk}/renew/")
    admin.post(f"/organization/invitations/{invitation.pk}/revoke/")

    assert not acme.invitations.open().exists()


def test_invitation_whose_email_was_not_sent_says_so(admin: Client) -> None:
    admin.post("/organization/invitations/", {"email": "new@example.com", "role": "member"})
    assert "email not sent" not in admin.get("/organization/invitations/").content.decode()

    InvitationEmail.objects.update(state="failed", error="the reason is for staff")

    page = admin.get("/organization/invitations/").content.decode()
    assert "email not sent" in page
    assert "the reason" not in page


@pytest.mark.parametrize("state", ["pending", "sent"])
def test_invitations_tell_nobody_who_has_an_account(admin: Client, state: str) -> None:
    def row(email: str) -> str:
        page = admin.get("/organization/invitations/").content.decode()
        (found,) = [each for each in page.split("<tr>")[1:] if email in each]
        ids_and_tokens = rf'{email}|[0-9a-f-]{{36}}|value="\w+"'
        return re.sub(ids_and_tokens, "", found.partition("</tr>")[0])

    stranger, known = "new@example.com", a_user("Sol").email
    for email in (stranger, known):
        admin.post("/organization/invitations/", {"email": email, "role": "member"})
    InvitationEmail.objects.update(state=state, sent_at=datetime(2026, 11, 3, tzinfo=UTC))

    assert row(stranger) == row(known)


def test_inviting_a_member_says_that_they_are_one(admin: Client, membership: Membership) -> None:
    answer = admin.post("/organization/invitations/", {"email": membership.user.email, "role": "member"})

    assert "is a member already" in answer.content.decode()


def test_admin_invites_no_owner(admin: Client, acme: Organization) -> None:
    admin.post("/organization/invitations/", {"email": "new@example.com", "role": "owner"})

    assert not acme.invitations.exists()


@pytest.mark.parametrize("path", ["/organization/members/", "/organization/members/?q=user", "/organization/history/"])
@pytest.mark.parametrize("size", [10, 10_000])
def test_lists_cost_the_same_at_any_size(
    owner: Client, acme: Organization, path: str, size: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    users = User.objects.bulk_create(User(name=f"N{n}", email=f"user-n{n}@example.com") for n in range(size))
    Membership.objects.bulk_create(Membership(user=user, organization=acme) for user in users)
    Person.objects.bulk_create(Person(organization=acme, user=user, name=user.name) for user in users[:20])

    with django_assert_max_num_queries(6):
        answer = owner.get(path)

    assert len(answer.context["page"]) == min(size, 50) if size > 50 else len(answer.context["page"]) >= size
