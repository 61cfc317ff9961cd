"""The directory on pages: found, filtered, sorted and paged; created, edited, linked; in and out as files."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership, Organization, Person
from tests.accounts.factories import a_person, an_organization

pytestmark = pytest.mark.django_db


def shown(answer: Any) -> list[str]:
    return [person.name for person in answer.context["page"]]


def test_directory_searches_filters_and_sorts(member: Client, acme: Organization, membership: Membership) -> None:
    a_person(acme, "Mira Holt", title="Director", user=membership.user)
    a_person(acme, "Otto Brandt", title="Engineer")
    a_person(acme, "Lena Vasquez", title="Engineer", status="inactive")

    assert shown(member.get("/people/")) == ["Mira Holt", "Otto Brandt"]
    assert shown(member.get("/people/?status=all&sort=-name")) == ["Otto Brandt", "Mira Holt", "Lena Vasquez"]
    assert shown(member.get("/people/?status=inactive")) == ["Lena Vasquez"]
    assert shown(member.get("/people/?q=engineer&status=all&sort=name")) == ["Lena Vasquez", "Otto Brandt"]
    assert shown(member.get("/people/?linked=yes")) == ["Mira Holt"]
    assert shown(member.get("/people/?linked=no&status=active")) == ["Otto Brandt"]


@pytest.mark.parametrize("query", ["sort=password", "status=x", "page=x", "page=-1", "page=99999", "linked=x", "q=%00"])
def test_nonsense_in_the_address_is_no_error(member: Client, acme: Organization, query: str) -> None:
    a_person(acme)

    assert member.get(f"/people/?{query}").status_code == 200


@pytest.mark.parametrize("size", [10, 10_000])
def test_directory_costs_the_same_at_any_size(
    member: Client, acme: Organization, size: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    head = a_person(acme, "Head")
    Person.objects.bulk_create(Person(organization=acme, name=f"Person {n}", manager=head) for n in range(size))

    for query in ("", "?q=person&sort=-name", "?page=2"):
        with django_assert_max_num_queries(6):
            member.get(f"/people/{query}")
    with django_assert_max_num_queries(6):
        member.get(f"/people/{head.pk}/")
    with django_assert_max_num_queries(6):
        assert member.get("/people/chart/").status_code == 200
    with django_assert_max_num_queries(6):
        assert b"".join(member.get("/people/export/")).count(b"\n") == size + 2


def test_person_shows_the_line_up_and_down(member: Client, acme: Organization) -> None:
    head = a_person(acme, "Hanna Head")
    middle = a_person(acme, "Mira Middle", manager=head)
    a_person(acme, "Rolf Report", manager=a_person(acme, "Rita Report", manager=middle))

    answer = member.get(f"/people/{middle.pk}/")

    assert [person.name for person in answer.context["line"]] == ["Hanna Head"]
    assert [(person.name, person.report_count) for person in answer.context["reports"]] == [("Rita Report", 1)]
    assert "Rolf Report" not in answer.content.decode()


def test_person_is_created_with_a_manager_named_by_email_or_name(admin: Client, acme: Organization) -> None:
    head = a_person(acme, "Hanna Head", email="hanna@example.com")

    admin.post("/people/create/", {"name": "Otto", "manager": "HANNA@example.com"})
    admin.post("/people/create/", {"name": "Lena", "manager": "hanna head"})

    assert set(head.reports.values_list("name", flat=True)) == {"Otto", "Lena"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "Otto", "manager": "Nobody"}, "Nobody of this organization has that name"),
        ({"name": "Otto", "manager": "Eve Elsewhere"}, "Nobody of this organization has that name"),
        ({"name": "Otto", "manager": "Twin"}, "Several people are called that"),
        ({"name": "Otto", "email": "not an address"}, "Enter a valid email address"),
    ],
)
def test_wrong_person_is_not_created(admin: Client, acme: Organization, fields: dict[str, str], words: str) -> None:
    a_person(an_organization("Other"), "Eve Elsewhere")
    a_person(acme, "Twin")
    a_person(acme, "Twin")

    assert words in admin.post("/people/create/", fields).content.decode()
    assert not Person.objects.filter(name="Otto").exists()


def test_editing_writes_what_was_changed_alone(admin: Client, acme: Organization, membership: Membership) -> None:
    head = a_person(acme, "Head", email="head@example.com")
    person = a_person(acme, "Otto", email="otto@example.com", manager=head)
    form = {"name": "Otto", "email": "otto@example.com", "manager": "head@example.com", "title": "Director"}
    page = admin.get(f"/people/{person.pk}/edit/").content.decode()
    assert 'value="head@example.com"' in page
    Person.objects.filter(pk=person.pk).update(user=membership.user)

    admin.post(f"/people/{person.pk}/edit/", form)

    person.refresh_from_db()
    assert (person.title, person.user, person.manager) == ("Director", membership.user, head)


def test_circle_is_an_error_of_the_form(admin: Client, acme: Organization) -> None:
    head = a_person(acme, "Head")
    below = a_person(acme, "Below", manager=head)

    answer = admin.post(f"/people/{head.pk}/edit/", {"name": "Head", "manager": "Below"})

    assert "Nobody is above themselves" in answer.content.decode()
    assert below.manager == head


def test_deactivating_and_reactivating(admin: Client, acme: Organization) -> None:
    person = a_person(acme, "Otto")

    admin.post(f"/people/{person.pk}/deactivate/")
    assert Person.objects.get().status == "inactive"
    admin.post(f"/people/{person.pk}/reactivate/")
    assert Person.objects.get().status == "active"


def test_linking_and_unlinking(admin: Client, acme: Organization, membership: Membership) -> None:
    person = a_person(acme, "Mira Holt")

    admin.post(f"/people/{person.pk}/link/", {"email": membership.user.email})
    assert Person.objects.get().user == membership.user
    admin.post(f"/people/{person.pk}/unlink/")
    assert Person.objects.get().user is None


def test_linking_a_stranger_or_twice_says_why_not(admin: Client, acme: Organization, membership: Membership) -> None:
    a_person(acme, "First", user=membership.user)
    person = a_person(acme, "Second")
    stranger = an_organization("Other").memberships.get().user

    answer = admin.post(f"/people/{person.pk}/link/", {"email": stranger.email})
    assert "No member of this organization signs in with that address" in answer.content.decode()
    answer = admin.post(f"/people/{person.pk}/link/", {"email": membership.user.email}, follow=True)
    assert "linked to another person of the organization already" in answer.content.decode()

    person.refresh_from_db()
    assert person.user is None


@pytest.mark.parametrize("path", ["create/", "import/", "{pk}/edit/", "{pk}/link/", "{pk}/unlink/", "{pk}/deactivate/"])
def test_members_look_and_admins_change(member: Client, acme: Organization, path: str) -> None:
    person = a_person(acme, "Otto")

    answer = member.post("/people/" + path.format(pk=person.pk), {"name": "Changed"})

    assert answer.status_code == 403
    assert list(acme.people.values_list("name", "status")) == [("Otto", "active")]


def test_import_shows_first_and_writes_when_confirmed(admin: Client, acme: Organization) -> None:
    text = "name,email,manager_email\nMira,mira@example.com,\nOtto,otto@example.com,mira@example.com\n"

    preview = admin.post("/people/import/", {"file": SimpleUploadedFile("people.csv", text.encode())})
    assert "2 of 2 lines add somebody" in preview.content.decode()
    assert not Person.objects.exists()
    answer = admin.post("/people/import/", {"text": preview.context["text"], "confirm": "yes"}, follow=True)

    assert "2 added, 0 updated" in answer.content.decode()
    assert acme.people.get(name="Otto").manager == acme.people.get(name="Mira")


def test_import_with_wrong_lines_cannot_be_confirmed(admin: Client) -> None:
    text = "name,email\nMira,mira@example.com\n,otto@example.com\n"

    answer = admin.post("/people/import/", {"text": text, "confirm": "yes"})

    assert answer.status_code == 422
    assert "1 of 2 lines cannot be imported" in answer.content.decode()
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe\x00", "not encoded in UTF-8"), (b"", "empty"), (b"x" * 2_000_001, "larger than 2 MB")],
)
def test_file_that_cannot_be_read_is_an_error_of_the_form(admin: Client, content: bytes, words: str) -> None:
    answer = admin.post("/people/import/", {"file": SimpleUploadedFile("people.csv", content)})

    assert words in answer.content.decode()


def test_export_is_what_the_directory_shows(member: Client, acme: Organization) -> None:
    a_person(acme, "Mira", title="Director")
    a_person(acme, "Otto", title="Engineer")
    a_person(an_organization("Other"), "Eve", title="Engineer")

    answer = member.get("/people/export/?q=engineer")

    lines = b"".join(answer).decode().splitlines()
    assert lines == ['"name","email","title","manager_email","status"', '"Otto","","Engineer","","active"']


def test_chart_shows_everybody_or_those_below(member: Client, acme: Organization) -> None:
    head = a_person(acme, "Head")
    middle = a_person(acme, "Middle", manager=head)
    a_person(acme, "Low", manager=middle)

    assert len(member.get("/people/chart/?zoom=50").context["chart"].boxes) == 3
    below = member.get(f"/people/chart/?head={middle.pk}").context["chart"].boxes
    assert {box.person.name for box in below} == {"Middle", "Low"}
    assert member.get("/people/chart/?head=nonsense&zoom=nonsense").status_code == 200
