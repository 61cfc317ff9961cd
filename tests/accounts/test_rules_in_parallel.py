"""The rules hold for two callers at once; PostgreSQL alone lets two write at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import Invitation, Membership, Organization, Person, Role, User
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def at_once(*actions: Callable[[], object]) -> list[Exception | None]:
    """Run each in a thread and a connection of its own, started together: what each raised."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], object]) -> Exception | None:
        try:
            barrier.wait()
            action()
        except (ValidationError, Membership.DoesNotExist) as error:
            return error
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(run, actions))


def demote(membership: Membership) -> None:
    membership.role = Role.MEMBER
    membership.save()


@pytest.mark.parametrize("attempt", range(5))
@pytest.mark.parametrize("go", [demote, Membership.delete])
def test_two_owners_leaving_at_once_leave_one(attempt: int, go: Callable[[Membership], object]) -> None:
    acme = an_organization()
    a_member(acme, Role.OWNER)

    outcomes = at_once(*[lambda owner=owner: go(owner) for owner in acme.memberships.all()])

    assert sorted(str(type(outcome).__name__) for outcome in outcomes) == ["NoneType", "ValidationError"]
    assert acme.memberships.filter(role=Role.OWNER).count() == 1


@pytest.mark.parametrize("attempt", range(5))
def test_two_people_made_each_others_manager_at_once(attempt: int) -> None:
    acme = an_organization()
    one, two = a_person(acme, "One"), a_person(acme, "Two")

    def report(person: Person, manager: Person) -> None:
        person.manager = manager
        person.save(update_fields=["manager"])

    outcomes = at_once(lambda: report(one, two), lambda: Person.objects.filter(pk=two.pk).update(manager=one))

    assert sorted(str(type(outcome).__name__) for outcome in outcomes) == ["NoneType", "ValidationError"]
    assert Person.objects.filter(manager__isnull=False).count() == 1


@pytest.mark.parametrize("attempt", range(5))
def test_linking_while_the_membership_ends_leaves_no_link(attempt: int) -> None:
    acme = an_organization()
    membership = a_member(acme)
    person = a_person(acme)

    at_once(membership.delete, lambda: Person.objects.filter(pk=person.pk).update(user=membership.user_id))

    person.refresh_from_db()
    assert person.user is None


def test_switching_from_two_tabs_leaves_one_active_membership() -> None:
    user = a_user()
    memberships = [a_member(an_organization(name), user=user) for name in ("A", "B", "C")]

    outcomes = at_once(*[membership.activate for membership in memberships * 2])

    assert outcomes == [None] * 6
    assert user.memberships.filter(is_active=True).count() == 1


def test_first_memberships_created_at_once_leave_one_active() -> None:
    user = a_user()
    places = [an_organization(name) for name in ("A", "B", "C", "D")]

    outcomes = at_once(*[lambda place=place: a_member(place, user=user) for place in places])

    assert outcomes == [None] * 4
    assert user.memberships.filter(is_active=True).count() == 1


def test_organizations_of_one_name_created_at_once_get_slugs_of_their_own() -> None:
    owners: list[User] = [a_user() for _ in range(4)]

    outcomes = at_once(*[lambda owner=owner: an_organization("Acme", owner=owner) for owner in owners])

    assert outcomes == [None] * 4
    assert Organization.objects.values("slug").distinct().count() == 4


def test_invitation_accepted_in_two_tabs_makes_one_membership() -> None:
    acme = an_organization()
    mira = a_user(email="mira@example.com")
    invitation = Invitation.objects.invite(acme, "mira@example.com", Role.MEMBER, by_id=acme.memberships.get().user_id)

    outcomes = at_once(*[lambda: invitation.accept(mira) for _ in range(4)])

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", *["ValidationError"] * 3]
    assert mira.memberships.count() == 1


def test_address_invited_twice_at_once_has_one_invitation() -> None:
    acme = an_organization()
    owner = acme.memberships.get().user_id

    outcomes = at_once(
        *[lambda: Invitation.objects.invite(acme, "mira@example.com", Role.MEMBER, by_id=owner) for _ in range(4)]
    )

    assert outcomes == [None] * 4
    assert acme.invitations.count() == 1
