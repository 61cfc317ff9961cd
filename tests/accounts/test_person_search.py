"""People are found by every word of their name, email or title, whatever its case."""

import pytest
from django.db import connection

from accounts.models import Organization, Person
from tests.accounts.factories import a_person, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organization:
    acme = an_organization("Acme")
    a_person(acme, "Mira Holt", email="mira@example.com", title="Engineering Director")
    a_person(acme, "Otto Brandt", email="otto@example.com", title="Engineer")
    a_person(acme, "Ünal 100% Sure", title="Designer_1")
    return acme


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["Mira Holt", "Otto Brandt", "Ünal 100% Sure"]),
        ("mira", ["Mira Holt"]),
        ("ENGINEER", ["Mira Holt", "Otto Brandt"]),
        ("engineer otto", ["Otto Brandt"]),
        ("@example.com holt", ["Mira Holt"]),
        ("Ünal", ["Ünal 100% Sure"]),
        ("%", ["Ünal 100% Sure"]),
        ("_", ["Ünal 100% Sure"]),
        ("nobody", []),
        ("'; drop table", []),
    ],
)
def test_search(acme: Organization, text: str, names: list[str]) -> None:
    assert sorted(person.name for person in acme.people.search(text)) == names


def test_search_follows_bulk_changes(acme: Organization) -> None:
    acme.people.filter(name="Otto Brandt").update(title="Astronaut")

    assert [person.name for person in Person.objects.search("astronaut")] == ["Otto Brandt"]


@pytest.mark.postgresql
def test_search_has_an_index_where_the_server_knows_trigrams(acme: Organization) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'")
        available = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname = 'person_search'")
        assert cursor.fetchone() == available
