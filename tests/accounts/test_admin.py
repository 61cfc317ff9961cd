"""The domain's admin: refusals are messages, and lists cost the same at any size."""

from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Change, Invitation, Membership, Organization, Person, Role, User
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root@example.com", "secret"))
    return client


@pytest.fixture
def owner() -> Membership:
    return an_organization("Acme").memberships.get()


def page(name: str, pk: UUID | None = None) -> str:
    return reverse(f"admin:accounts_{name}", args=[pk] if pk else None)


def test_deleting_the_last_owner_says_why_not(staff: Client, owner: Membership) -> None:
    answer = staff.post(page("membership_delete", owner.pk), {"post": "yes"}, follow=True)

    assert "Acme would lose its last owner" in answer.content.decode()
    assert Membership.objects.filter(pk=owner.pk).exists()


def test_deleting_the_last_owner_among_others_says_why_not(staff: Client, owner: Membership) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [owner.pk], "post": "yes"}

    answer = staff.post(page("membership_changelist"), chosen, follow=True)

    assert "Acme would lose its last owner" in answer.content.decode()
    assert Membership.objects.filter(pk=owner.pk).exists()


def test_deleting_the_last_owners_user_says_why_not(staff: Client, owner: Membership) -> None:
    answer = staff.post(page("user_delete", owner.user_id), {"post": "yes"}, follow=True)

    assert "Acme would lose its last owner" in answer.content.decode()


def test_taking_the_last_owners_role_is_an_error_of_the_form(staff: Client, owner: Membership) -> None:
    answer = staff.post(page("membership_change", owner.pk), {"role": "member"})

    assert "Acme would lose its last owner" in answer.content.decode()
    assert Membership.objects.get(pk=owner.pk).role == Role.OWNER


def test_linking_a_stranger_is_an_error_of_the_form(staff: Client, owner: Membership) -> None:
    person = a_person(owner.organization)
    form = {"organization": owner.organization_id, "user": a_user().pk, "name": "Ada", "status": "active"}

    answer = staff.post(page("person_change", person.pk), form)

    assert "linked to a member of their organization only" in answer.content.decode()
    assert Person.objects.get().user is None


def test_added_membership_is_the_active_one_of_a_user_without(staff: Client, owner: Membership) -> None:
    user = a_user()

    staff.post(
        page("membership_add"), {"user": user.pk, "organization": owner.organization_id, "role": "member"}, follow=True
    )

    assert user.memberships.get().is_active


def test_memberships_are_activated_by_an_action(staff: Client, owner: Membership) -> None:
    second = a_member(an_organization("Other"), user=owner.user)

    staff.post(page("membership_changelist"), {"action": "make_active", "_selected_action": [second.pk]})

    assert owner.user.memberships.get(is_active=True) == second


def test_organizations_without_an_owner_are_found(staff: Client, owner: Membership) -> None:
    an_organization("Owned")
    Membership.objects.filter(pk=owner.pk).delete_even_last_owners()

    answer = staff.get(page("organization_changelist"), {"owner": "none"})

    assert [organization.name for organization in answer.context["cl"].result_list] == ["Acme"]
    assert "the last one was deleted at Clerk" in answer.content.decode()


def test_user_is_created_with_an_email_alone(staff: Client) -> None:
    form = {"email": "New@Example.com", "name": "New", "usable_password": "false"}

    answer = staff.post(page("user_add"), form)

    assert answer.status_code == 302, answer.context["errors"]
    assert not User.objects.get(email="new@example.com").has_usable_password()


def test_deleting_a_large_organization_names_numbers_alone(
    staff: Client, owner: Membership, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    acme = owner.organization
    Person.objects.bulk_create(Person(organization=acme, name=f"Number {n}") for n in range(500))

    with django_assert_max_num_queries(12):
        asked = staff.get(page("organization_delete", acme.pk)).content.decode()
    staff.post(page("organization_delete", acme.pk), {"post": "yes"})

    assert "500" in asked
    assert "Number 7" not in asked
    assert not Organization.objects.exists()


def test_history_is_read_only(staff: Client, owner: Membership) -> None:
    change = Change.objects.first()
    assert change is not None

    assert staff.post(reverse("admin:accounts_change_change", args=[change.pk]), {"subject": "x"}).status_code == 403
    assert staff.post(reverse("admin:accounts_change_delete", args=[change.pk]), {"post": "yes"}).status_code == 403
    assert staff.get(page("change_changelist")).status_code == 200


def test_invitations_are_revoked_by_an_action(staff: Client, owner: Membership) -> None:
    invitation = Invitation.objects.invite(owner.organization, "a@example.com", Role.MEMBER, by_id=owner.user_id)

    staff.post(page("invitation_changelist"), {"action": "revoke", "_selected_action": [invitation.pk]})

    assert not Invitation.objects.open().exists()
    assert Change.objects.filter(kind="revoked", by__email="root@example.com").exists()


@pytest.mark.parametrize("name", ["user", "organization", "membership", "person"])
def test_lists_cost_the_same_with_more_rows(
    staff: Client, owner: Membership, name: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        manager = a_person(owner.organization, user=a_member(owner.organization).user)
        a_person(Organization.objects.create(name=f"Organization {number}"))
        a_person(owner.organization, manager=manager)

    with django_assert_max_num_queries(6):
        answer = staff.get(page(f"{name}_changelist"), {"q": "a"})

    assert len(answer.context["cl"].result_list) > 10
