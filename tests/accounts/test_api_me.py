import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Membership, Organization, Role
from tests.accounts.factories import a_person
from tests.instance import ClerkInstance, claims_of

pytestmark = pytest.mark.django_db


def test_me_is_who_the_site_takes_the_caller_for(acme: Organization, clerk: ClerkInstance, client: Client) -> None:
    user = acme.memberships.get().user
    person = a_person(acme, user=user)

    answer = client.get("/api/v1/me/", headers={"authorization": f"Bearer {clerk.token(user.clerk_user_id)}"})

    assert answer.json() == {
        "is_authenticated": True,
        "clerk_user_id": user.clerk_user_id,
        "session_id": "sess_1",
        "id": str(user.pk),
        "organization_id": str(acme.pk),
        "organization_name": "Acme",
        "organization_slug": "acme",
        "person_id": str(person.pk),
        "role": "owner",
        "source": "database",
        "fallback_reason": "claims_not_configured",
        "actor": None,
    }


def test_me_costs_no_query_where_the_claims_carry_it(
    membership: Membership,
    clerk: ClerkInstance,
    client: Client,
    settings: Settings,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    settings.CLERK_FRESHNESS = "token"
    token = clerk.token(membership.user.clerk_user_id, claims=claims_of(membership.user))

    with django_assert_num_queries(0):
        answer = client.get("/api/v1/me/", headers={"authorization": f"Bearer {token}"})

    assert (answer.json()["source"], answer.json()["role"]) == ("session_claims", Role.MEMBER)


def test_me_by_cookie(member: Client) -> None:
    assert member.get("/api/v1/me/").json()["role"] == "member"


def test_nobody_is_nobody(client: Client) -> None:
    client.cookies["__clerk_db_jwt"] = "dvb_tests"

    answer = client.get("/api/v1/me/")

    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert answer.json()["code"] == "not_authenticated"
