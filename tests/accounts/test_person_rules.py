"""People are linked to members, report inside their organization, and never to themselves, whoever makes the change."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership, Organization, Person, User
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organization:
    return an_organization("Acme")


@pytest.fixture
def stranger() -> User:
    """An owner, of another organization."""
    return an_organization("Other").memberships.get().user


@pytest.fixture
def line(acme: Organization) -> list[Person]:
    """Four people, each the manager of the next."""
    people: list[Person] = []
    for name in ("Head", "Second", "Third", "Fourth"):
        people.append(a_person(acme, name, manager=people[-1] if people else None))
    return people


def test_link_to_a_member(acme: Organization) -> None:
    member = a_member(acme)

    assert a_person(acme, user=member.user).user == member.user


def test_link_to_a_stranger_is_refused(acme: Organization, stranger: User) -> None:
    person = a_person(acme)

    with pytest.raises(ValidationError, match="member of their organization only"):
        a_person(acme, user=stranger)
    with pytest.raises(ValidationError, match="member of their organization only"):
        Person.objects.bulk_create([Person(organization=acme, name="Eve", user=stranger)])
    with pytest.raises(ValidationError, match="member of their organization only"):
        Person.objects.filter(pk=person.pk).update(user=stranger)
    person.user = stranger
    with pytest.raises(ValidationError, match="member of their organization only"):
        person.save(update_fields=["user"])
    with pytest.raises(ValidationError, match="member of their organization only"):
        person.full_clean()

    assert not Person.objects.filter(user=stranger).exists()


def test_second_person_of_a_user_is_refused_in_the_same_organization(acme: Organization) -> None:
    member = a_member(acme)
    a_person(acme, user=member.user)

    with pytest.raises(IntegrityError), transaction.atomic():
        a_person(acme, user=member.user)


def test_deleted_user_leaves_the_person(acme: Organization) -> None:
    member = a_member(acme)
    person = a_person(acme, user=member.user)

    member.user.delete()

    person.refresh_from_db()
    assert person.user is None


def test_manager_of_another_organization_is_refused(acme: Organization) -> None:
    person, outsider = a_person(acme), a_person(an_organization("Other"))

    with pytest.raises(ValidationError, match="person of the same organization"):
        a_person(acme, manager=outsider)
    with pytest.raises(ValidationError, match="person of the same organization"):
        Person.objects.bulk_create([Person(organization=acme, name="Eve", manager=outsider)])
    with pytest.raises(ValidationError, match="person of the same organization"):
        Person.objects.filter(pk=person.pk).update(manager=outsider)

    assert not outsider.reports.exists()


def test_person_with_reports_cannot_move_away(line: list[Person]) -> None:
    head = line[0]
    head.organization = an_organization("Other")

    with pytest.raises(ValidationError, match="person of the same organization"):
        head.save()
    with pytest.raises(ValidationError, match="person of the same organization"):
        Person.objects.filter(pk=head.pk).update(organization=head.organization)


@pytest.mark.parametrize("below", [1, 2, 3])
def test_nobody_reports_to_someone_below_them(line: list[Person], below: int) -> None:
    head = line[0]
    head.manager = line[below]

    with pytest.raises(ValidationError, match="Nobody is above themselves"):
        head.save()
    with pytest.raises(ValidationError, match="Nobody is above themselves"):
        head.full_clean()
    with pytest.raises(ValidationError, match="Nobody is above themselves"):
        Person.objects.filter(pk=head.pk).update(manager=line[below])
    with pytest.raises(ValidationError, match="Nobody is above themselves"), transaction.atomic():
        Person.objects.bulk_update([head], ["manager"])

    head.refresh_from_db()
    assert head.manager is None


def test_nobody_is_their_own_manager(line: list[Person]) -> None:
    head = line[0]
    head.manager = head

    with pytest.raises(ValidationError, match="Nobody is above themselves"):
        head.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.filter(pk=head.pk).update(manager=head)


def test_circle_of_new_people_is_refused(acme: Organization) -> None:
    one, two = Person(organization=acme, name="One"), Person(organization=acme, name="Two")
    one.manager, two.manager = two, one

    with pytest.raises(ValidationError, match="Nobody is above themselves"):
        Person.objects.bulk_create([one, two])


def test_people_created_in_bulk_may_report_to_each_other(acme: Organization) -> None:
    head = Person(organization=acme, name="Head")

    Person.objects.bulk_create([head, Person(organization=acme, name="Report", manager=head)])

    assert head.reports.get().name == "Report"


def test_reporting_line_upwards(line: list[Person]) -> None:
    assert [person.name for person in line[3].managers()] == ["Third", "Second", "Head"]
    assert line[0].managers() == []


def test_reporting_line_downwards(line: list[Person]) -> None:
    below = Person.objects.at_or_below([line[1].pk])

    assert {person.name for person in below} == {"Second", "Third", "Fourth"}


def test_saving_a_title_asks_nothing(line: list[Person], django_assert_num_queries: DjangoAssertNumQueries) -> None:
    person = line[3]
    person.title = "Engineer"

    with django_assert_num_queries(1):
        person.save(update_fields=["title"])


def test_deleted_manager_leaves_the_reports(line: list[Person]) -> None:
    line[0].delete()

    line[1].refresh_from_db()
    assert line[1].manager is None


def test_user_of_two_organizations_is_linked_in_each(acme: Organization) -> None:
    user = a_user()
    for place in (acme, an_organization("Other")):
        Membership.objects.create(user=user, organization=place)
        a_person(place, user=user)

    assert user.people.count() == 2
