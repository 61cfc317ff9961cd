"""An organization keeps an owner, a user works in one place, and who leaves is unlinked, whoever makes the change."""

import uuid

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership, Organization, Person, Role, User
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organization:
    return an_organization("Acme")


@pytest.fixture
def owner(acme: Organization) -> Membership:
    return acme.memberships.get()


def test_last_owner_keeps_the_role(owner: Membership) -> None:
    owner.role = Role.ADMIN

    with pytest.raises(ValidationError, match="Acme would lose its last owner"):
        owner.save()

    owner.refresh_from_db()
    assert owner.role == Role.OWNER


def test_last_owner_keeps_the_role_when_only_the_role_is_saved(owner: Membership) -> None:
    owner.role = Role.MEMBER

    with pytest.raises(ValidationError, match="last owner"):
        owner.save(update_fields=["role"])


def test_forms_say_that_the_last_owner_stays(owner: Membership) -> None:
    owner.role = Role.ADMIN

    with pytest.raises(ValidationError) as refusal:
        owner.full_clean()

    assert "role" in refusal.value.message_dict


def test_last_owner_cannot_leave(owner: Membership) -> None:
    with pytest.raises(ValidationError, match="last owner"):
        owner.delete()

    assert Membership.objects.filter(pk=owner.pk).exists()


def test_bulk_update_cannot_take_the_last_owner(acme: Organization, owner: Membership) -> None:
    with pytest.raises(ValidationError, match="last owner"):
        acme.memberships.update(role=Role.MEMBER)

    owner.role = Role.MEMBER
    with pytest.raises(ValidationError, match="last owner"), transaction.atomic():
        Membership.objects.bulk_update([owner], ["role"])

    owner.refresh_from_db()
    assert owner.role == Role.OWNER


def test_bulk_delete_cannot_take_the_last_owner(acme: Organization, owner: Membership) -> None:
    a_member(acme)

    with pytest.raises(ValidationError, match="last owner"):
        acme.memberships.all().delete()

    assert acme.memberships.count() == 2


def test_deleting_the_last_owners_user_is_refused(owner: Membership) -> None:
    with pytest.raises(ValidationError, match="last owner"):
        owner.user.delete()
    with pytest.raises(ValidationError, match="last owner"):
        User.objects.filter(pk=owner.user_id).delete()

    assert User.objects.filter(pk=owner.user_id).exists()


def test_moving_the_last_owner_away_is_refused(owner: Membership) -> None:
    with pytest.raises(ValidationError, match="last owner"):
        Membership.objects.filter(pk=owner.pk).update(organization=an_organization("Other"))


def test_one_of_two_owners_may_go(acme: Organization, owner: Membership) -> None:
    second = a_member(acme, Role.OWNER)

    owner.delete()

    assert acme.memberships.get() == second


def test_organization_without_an_owner_may_lose_members(acme: Organization) -> None:
    member = a_member(acme)
    acme.memberships.filter(role=Role.OWNER).delete_even_last_owners()

    member.delete()

    assert Organization.objects.without_owner().get() == acme


def test_deleting_the_organization_takes_its_last_owner(acme: Organization, owner: Membership) -> None:
    acme.delete()

    assert not Membership.objects.filter(pk=owner.pk).exists()


def test_deleting_organizations_in_bulk_takes_their_last_owners(acme: Organization) -> None:
    an_organization("Other")

    Organization.objects.all().delete()

    assert not Membership.objects.exists()


def test_users_deleted_at_clerk_leave_even_as_last_owner(acme: Organization, owner: Membership) -> None:
    person = a_person(acme, user=owner.user)

    Membership.objects.filter(user=owner.user).delete_even_last_owners()

    person.refresh_from_db()
    assert person.user is None
    assert not acme.memberships.exists()


def test_ownership_goes_to_another_member(acme: Organization, owner: Membership) -> None:
    heir = a_member(acme)

    owner.transfer_ownership_to(heir)

    assert set(acme.memberships.values_list("user", "role")) == {(heir.user_id, "owner"), (owner.user_id, "admin")}


def test_ownership_stays_in_the_organization(owner: Membership) -> None:
    stranger = an_organization("Other").memberships.get()

    with pytest.raises(ValidationError, match="member of the same organization"):
        owner.transfer_ownership_to(stranger)


@pytest.mark.parametrize("bulk", [False, True])
def test_ending_a_membership_unlinks_the_person_there_alone(acme: Organization, bulk: bool) -> None:
    membership = a_member(acme)
    elsewhere = a_member(an_organization("Other"), user=membership.user)
    person = a_person(acme, user=membership.user)
    other = a_person(elsewhere.organization, user=membership.user)
    colleague = a_person(acme, user=acme.memberships.get(role=Role.OWNER).user)

    if bulk:
        Membership.objects.filter(pk=membership.pk).delete()
    else:
        membership.delete()

    linked = dict(Person.objects.values_list("pk", "user"))
    assert linked == {person.pk: None, other.pk: membership.user_id, colleague.pk: colleague.user_id}


def test_first_membership_is_the_active_one_and_the_next_is_not(acme: Organization) -> None:
    user = a_user()

    first = a_member(acme, user=user)
    second = a_member(an_organization("Other"), user=user)

    assert (first.is_active, second.is_active) == (True, False)


def test_memberships_created_in_bulk_are_active_by_the_same_rule(acme: Organization) -> None:
    other = an_organization("Other")
    busy, free = a_user(), a_user()
    a_member(acme, user=busy)

    Membership.objects.bulk_create(
        [Membership(user=user, organization=place) for user in (busy, free) for place in (other, an_organization("C"))]
    )

    assert Membership.objects.filter(user=busy, is_active=True).get().organization == acme
    assert Membership.objects.filter(user=free, is_active=True).get().organization == other


def test_explicit_activity_is_respected(acme: Organization) -> None:
    membership = Membership.objects.create(user=a_user(), organization=acme, is_active=False)

    assert not membership.is_active
    a_member(an_organization("Other"), user=membership.user)
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(user=membership.user).update(is_active=True)


def test_switching_leaves_one_active_membership(acme: Organization) -> None:
    user = a_user()
    first = a_member(acme, user=user)
    second = a_member(an_organization("Other"), user=user)

    second.activate()

    first.refresh_from_db()
    assert (first.is_active, second.is_active) == (False, True)


def test_switching_to_an_ended_membership_changes_nothing(acme: Organization) -> None:
    user = a_user()
    first = a_member(acme, user=user)

    with pytest.raises(Membership.DoesNotExist):
        Membership(pk=uuid.uuid4(), user=user, organization=acme).activate()

    first.refresh_from_db()
    assert first.is_active


def test_ending_10_or_1000_memberships_takes_as_many_rule_queries(
    acme: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    users = User.objects.bulk_create(User(clerk_user_id=f"user_x{number}") for number in range(100))
    Membership.objects.bulk_create(Membership(user=user, organization=acme) for user in users)

    with django_assert_max_num_queries(25):
        Membership.objects.filter(user__in=users).delete()
