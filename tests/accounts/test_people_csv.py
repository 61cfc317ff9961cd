"""People out to a CSV file and in again: every line, or none."""

import csv
import io
import time

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts import people_csv
from accounts.models import Organization, Person
from tests.accounts.factories import a_person, an_organization

pytestmark = pytest.mark.django_db

HEADER = "name,email,title,manager_email,status\n"


@pytest.fixture
def acme() -> Organization:
    return an_organization("Acme")


def test_import_adds_and_updates_by_email(acme: Organization) -> None:
    mira = a_person(acme, "Mira", email="mira@example.com", title="Engineer")
    text = HEADER + "Mira Holt,MIRA@example.com,Director,,active\nOtto,otto@example.com,Engineer,mira@example.com,\n"

    found = people_csv.read(text, acme)
    assert (found.is_valid, found.added) == (True, 1)
    found.apply()

    mira.refresh_from_db()
    assert (mira.name, mira.title) == ("Mira Holt", "Director")
    assert acme.people.get(email="otto@example.com").manager == mira
    assert str(acme.changes.latest("at")) == "2 people came from a file: 1 added, 1 updated"


def test_managers_may_come_later_in_the_file(acme: Organization) -> None:
    people_csv.read(HEADER + "Otto,o@example.com,,m@example.com,\nMira,m@example.com,,,\n", acme).apply()

    assert [person.name for person in acme.people.get(name="Otto").managers()] == ["Mira"]


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("Mira,not an address,,,\n", "email: Enter a valid email address"),
        (",mira@example.com,,,\n", "name: This field cannot be blank"),
        ("Mira,mira@example.com,,nobody@example.com,\n", "There is no nobody@example.com to report to"),
        ("Mira,mira@example.com,,,retired\n", "status: Value 'retired' is not a valid choice"),
        ("Mira,mira@example.com,,mira@example.com,\n", "nobody is above themselves"),
        ("A,a@example.com,,b@example.com,\nB,b@example.com,,a@example.com,\n", "nobody is above themselves"),
        ("A,a@example.com,,,\nB,A@example.com,,,\n", "more than once"),
        (f"{'x' * 201},a@example.com,,,\n", "name: Ensure this value has at most 200 characters"),
    ],
)
def test_wrong_line_is_named_and_nothing_can_be_imported(acme: Organization, lines: str, error: str) -> None:
    found = people_csv.read(HEADER + lines, acme)

    assert not found.is_valid
    assert error in " ".join(" ".join(line.errors) for line in found.lines)
    assert {line.number for line in found.lines if line.errors} <= {2, 3}


def test_only_those_in_the_circle_are_refused(acme: Organization) -> None:
    lines = "A,a@x.test,,b@x.test,\nB,b@x.test,,c@x.test,\nC,c@x.test,,b@x.test,\nD,d@x.test,,,\n"

    found = people_csv.read(HEADER + lines, acme)

    assert [line.person.name for line in found.lines if line.errors] == ["B", "C"]


@pytest.mark.parametrize("shape", ["one line of managers", "everybody twice"])
def test_largest_file_is_checked_in_seconds(acme: Organization, shape: str) -> None:
    of_shape = {
        "one line of managers": lambda number: f"A,a{number}@x.test,,a{max(number - 1, 0) or ''}@x.test,",
        "everybody twice": lambda number: f"A,a{number // 2}@x.test,,,",
    }
    text = HEADER + "\n".join(map(of_shape[shape], range(people_csv.MAX_LINES)))

    started = time.process_time()
    people_csv.read(text, acme)

    assert time.process_time() - started < 5


def test_character_that_no_database_text_holds_is_refused(acme: Organization) -> None:
    found = people_csv.read(HEADER + "A\0,a@x.test,,,\n", acme)

    assert "NUL" in found.problem


@pytest.mark.parametrize("text", ["", "title\nEngineer\n", "name;email\nMira;mira@example.com\n"])
def test_file_without_the_needed_columns_is_a_problem_of_the_file(acme: Organization, text: str) -> None:
    assert "is missing" in people_csv.read(text, acme).problem


def test_manager_of_another_organization_is_not_found(acme: Organization) -> None:
    a_person(an_organization("Other"), "Eve", email="eve@example.com")

    found = people_csv.read(HEADER + "Mira,mira@example.com,,eve@example.com,\n", acme)

    assert "There is no eve@example.com" in found.lines[0].errors[0]


def test_person_of_another_organization_is_not_updated(acme: Organization) -> None:
    eve = a_person(an_organization("Other"), "Eve", email="eve@example.com")

    people_csv.read(HEADER + "Evelyn,eve@example.com,,,\n", acme).apply()

    eve.refresh_from_db()
    assert eve.name == "Eve"


def test_what_was_exported_can_be_imported(acme: Organization) -> None:
    mira = a_person(acme, "Mira, the first", email="mira@example.com", title='="formula"')
    a_person(acme, "-Otto", email="otto@example.com", manager=mira, status="inactive")
    text = "".join(people_csv.write(acme.people.order_by("name")))
    before = list(acme.people.order_by("pk").values())

    found = people_csv.read(text, acme)
    found.apply()

    assert (found.added, list(acme.people.order_by("pk").values())) == (0, before)


def test_exported_cells_are_no_formulas(acme: Organization) -> None:
    for start in people_csv.FORMULA_STARTS:
        a_person(acme, f"{start}cmd")

    rows = list(csv.reader(io.StringIO("".join(people_csv.write(acme.people.all())))))[1:]

    assert all(name.startswith("'") for name, *_ in rows)


def test_queries_do_not_grow_with_the_file(
    acme: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    lines = [f"P{number},p{number}@example.com,,p{max(number - 1, 0) // 2}@example.com," for number in range(1, 300)]
    text = HEADER + "P0,p0@example.com,,,\n" + "\n".join(lines)

    with django_assert_max_num_queries(40):  # SQLite writes 100 rows at a time
        people_csv.read(text, acme).apply()

    assert Person.objects.count() == 300
