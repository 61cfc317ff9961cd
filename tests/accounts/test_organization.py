"""An organization has an owner from the start and a slug of its own."""

import pytest

from accounts.models import Organization
from tests.accounts.factories import a_user, an_organization

pytestmark = pytest.mark.django_db


def test_creator_owns_the_organization_and_works_in_it() -> None:
    user = a_user()
    an_organization("First", owner=user)

    acme = Organization.objects.create_with_owner(name="Acme", owner=user)

    assert [(m.organization, m.role) for m in user.memberships.filter(is_active=True)] == [(acme, "owner")]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme Rockets", "acme-rockets"),
        ("Ünïcode & Söhne", "unicode-sohne"),
        ("株式会社", "organization"),
        ("!!!", "organization"),
        ("x" * 100, "x" * 63),
    ],
)
def test_slug_is_made_from_the_name(name: str, slug: str) -> None:
    assert Organization.objects.create(name=name).slug == slug


def test_slug_of_the_same_name_gets_a_number() -> None:
    slugs = [Organization.objects.create(name="Acme").slug for _ in range(3)]

    assert slugs == ["acme", "acme-2", "acme-3"]


def test_numbered_slug_still_fits() -> None:
    slugs = [Organization.objects.create(name="x" * 100).slug for _ in range(2)]

    assert slugs == ["x" * 63, "x" * 56 + "-2"]


def test_form_without_a_slug_is_valid() -> None:
    organization = Organization(name="Acme")

    organization.full_clean()

    assert organization.slug == "acme"


def test_renaming_keeps_the_slug() -> None:
    organization = an_organization("Acme")
    organization.name = "Apex"
    organization.save()

    assert organization.slug == "acme"
