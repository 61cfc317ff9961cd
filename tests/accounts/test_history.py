"""What was done to whom, and by whom, is written by whoever does it: pages, admin, shell, bulk operations."""

import pytest
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from accounts.acting import acting_middleware
from accounts.identity import ManagerOSUser
from accounts.models import Change, Membership, Organization, Person, Role, User
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organization:
    organization = an_organization("Acme")
    Change.objects.all().delete()
    return organization


def told(organization: Organization) -> list[str]:
    return [str(change) for change in organization.changes.order_by("pk")]


def test_joining_role_and_leaving_are_written(acme: Organization) -> None:
    membership = a_member(acme, user=a_user("Mira"))
    membership.role = Role.ADMIN
    membership.save(update_fields=["role"])
    membership.delete()

    assert told(acme) == [
        "Mira became a member: Member",
        "Mira got another role: Member → Admin",
        "Mira is no longer a member",
    ]


def test_bulk_changes_are_written_one_by_one(acme: Organization) -> None:
    users = [a_user("Mira"), a_user("Otto")]
    Membership.objects.bulk_create(Membership(user=user, organization=acme) for user in users)
    acme.memberships.filter(user__in=users).update(role=Role.ADMIN)

    assert sorted(told(acme)) == [
        "Mira became a member: Member",
        "Mira got another role: Member → Admin",
        "Otto became a member: Member",
        "Otto got another role: Member → Admin",
    ]


def test_links_are_written_and_so_is_their_end_with_the_membership(acme: Organization) -> None:
    membership = a_member(acme, user=a_user("Mira"))
    person = a_person(acme, "Mira Holt")
    person.user = membership.user
    person.save()
    membership.delete()

    assert told(acme)[1:] == [
        "Mira Holt was linked to a user",
        "Mira Holt was unlinked",
        "Mira is no longer a member",
    ]


def test_saving_without_a_change_writes_nothing(acme: Organization) -> None:
    owner = acme.memberships.get()
    person = a_person(acme)

    owner.save()
    person.save()
    Person.objects.filter(pk=person.pk).update(user=None)

    assert told(acme) == []


def test_refused_change_is_not_written(acme: Organization) -> None:
    owner = acme.memberships.get()
    owner.role = Role.MEMBER

    with pytest.raises(ValidationError):
        owner.save()

    assert told(acme) == []


def test_renaming_and_deactivation_are_written(acme: Organization) -> None:
    person = a_person(acme, "Mira")
    person.status = Person.Status.INACTIVE
    person.save(update_fields=["status"])
    acme.name = "Apex"
    acme.save(update_fields=["name"])

    assert told(acme) == [
        "Mira has another status: Inactive",
        "Apex is the organization's new name: it was Acme",
    ]


def test_bulk_renaming_is_written(acme: Organization) -> None:
    Organization.objects.filter(pk=acme.pk).update(name="Apex")

    assert told(acme) == ["Apex is the organization's new name: it was Acme"]


def in_request(act: object, *, who: object) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        act()  # type: ignore[operator]
        return HttpResponse()

    request = RequestFactory().post("/")
    request.manageros_user = who  # type: ignore[attr-defined]
    acting_middleware(view)(request)


def test_changes_name_who_is_signed_in_and_who_acts_on_their_behalf(acme: Organization) -> None:
    otto: User = a_user("Otto")
    who = ManagerOSUser(is_authenticated=True, id=str(otto.pk), actor="user_support")

    in_request(lambda: a_member(acme), who=who)

    change = acme.changes.get()
    assert (change.by, change.impersonator) == (otto, "user_support")


def test_changes_while_the_identity_is_being_found_name_nobody(acme: Organization) -> None:
    def never() -> None:
        raise AssertionError("a change asked who the request comes from")

    in_request(lambda: a_member(acme), who=SimpleLazyObject(never))

    assert acme.changes.get().by is None


def test_the_next_request_is_not_taken_for_the_last(acme: Organization) -> None:
    in_request(lambda: None, who=ManagerOSUser(is_authenticated=True, id=str(a_user().pk)))

    a_member(acme)

    assert acme.changes.get().by is None
