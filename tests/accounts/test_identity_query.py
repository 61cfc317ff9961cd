"""One query answers who a user is in the organization they work in."""

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership, Organization, Person, User

pytestmark = pytest.mark.django_db


def test_identity_is_the_active_organization_and_the_person_in_it(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    user = User.objects.create(clerk_user_id="user_1", email="Ada@Example.com", name="Ada")
    acme = Organization.objects.create(name="Acme", slug="acme")
    other = Organization.objects.create(name="Other", slug="other")
    Membership.objects.create(user=user, organization=acme, role="admin", is_active=True)
    Membership.objects.create(user=user, organization=other, role="owner", is_active=False)
    person = Person.objects.create(organization=acme, user=user, name="Ada")
    Person.objects.create(organization=other, user=user, name="Ada elsewhere")

    with django_assert_num_queries(1):
        found = User.objects.with_identity().get(clerk_user_id="user_1")

    assert (found.organization_id, found.organization_name, found.organization_slug) == (acme.pk, "Acme", "acme")
    assert (found.person_id, found.role, found.email) == (person.pk, "admin", "ada@example.com")


def test_identity_without_an_active_membership_is_empty() -> None:
    user = User.objects.create(clerk_user_id="user_1")
    acme = Organization.objects.create(name="Acme", slug="acme")
    Membership.objects.create(user=user, organization=acme, is_active=False)
    Person.objects.create(organization=acme, user=user, name="Ada")

    found = User.objects.with_identity().get()

    assert (found.organization_id, found.organization_name, found.person_id, found.role) == (None, None, None, None)
