"""The API's resources: scoped, filtered, paged by cursor, conditional, and refused by the same rules as the pages."""

import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Membership, Organization, Person, Role, User
from tests.accounts.factories import a_person, a_user, an_organization
from tests.instance import ClerkInstance

pytestmark = pytest.mark.django_db

Bearer = Callable[[User], "Api"]


class Api:
    """A client of the API with a bearer token."""

    def __init__(self, token: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {token}"})

    def __call__(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        call = getattr(self.client, method)
        if method == "get":
            return call(f"/api/v1/{path}", data, headers=headers)
        return call(f"/api/v1/{path}", data, content_type="application/json", headers=headers)


@pytest.fixture
def bearer(clerk: ClerkInstance) -> Bearer:
    return lambda user: Api(clerk.token(user.clerk_user_id, exp=int(time.time()) + 280))


@pytest.fixture
def as_owner(acme: Organization, bearer: Bearer) -> Api:
    return bearer(acme.memberships.get(role=Role.OWNER).user)


@pytest.fixture
def as_admin(admin_membership: Membership, bearer: Bearer) -> Api:
    return bearer(admin_membership.user)


@pytest.fixture
def as_member(membership: Membership, bearer: Bearer) -> Api:
    return bearer(membership.user)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [person["name"] for person in answer.json()["results"]]


def test_people_are_listed_filtered_and_ordered(as_member: Api, acme: Organization, membership: Membership) -> None:
    mira = a_person(acme, "Mira", title="Director", user=membership.user)
    a_person(acme, "Otto", title="Engineer", manager=mira)
    a_person(acme, "Lena", title="Engineer", status="inactive")

    assert names(as_member("get", "people/")) == ["Lena", "Mira", "Otto"]
    assert names(as_member("get", "people/", {"ordering": "-name"})) == ["Otto", "Mira", "Lena"]
    assert names(as_member("get", "people/", {"search": "engineer", "status": "active"})) == ["Otto"]
    assert names(as_member("get", "people/", {"manager": str(mira.pk)})) == ["Otto"]
    assert names(as_member("get", "people/", {"linked": "true"})) == ["Mira"]
    assert names(as_member("get", "people/", {"linked": "false"})) == ["Lena", "Otto"]


@pytest.mark.parametrize("query", [{"ordering": "user__password"}, {"status": "x"}, {"manager": "1"}, {"linked": "x"}])
def test_wrong_query_parameter_is_an_error(as_member: Api, query: dict[str, str]) -> None:
    answer = as_member("get", "people/", query)

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert list(answer.json()["errors"]) == list(query)


def test_pages_follow_each_other_without_gap_or_repetition(as_member: Api, acme: Organization) -> None:
    Person.objects.bulk_create(Person(organization=acme, name=f"Twin {n // 4}") for n in range(130))
    seen: list[str] = []
    path: str | None = "people/?page_size=20"

    while path:
        answer = as_member("get", path).json()
        seen += [person["id"] for person in answer["results"]]
        path = answer["next"] and answer["next"].partition("/api/v1/")[2]
        a_person(acme, "A newcomer on a page that was read")

    assert len(seen) == len(set(seen)) == 130


@pytest.mark.parametrize("position", ["p=%00", "p=%ed%a0%80", "o=99999999999999999999", "", "r=1&p="])
def test_cursor_that_nobody_was_given_is_no_error_of_ours(as_member: Api, acme: Organization, position: str) -> None:
    a_person(acme)

    answer = as_member("get", "people/", {"cursor": b64encode(position.encode()).decode()})

    assert answer.status_code in {200, 404}


@pytest.mark.parametrize("size", [10, 10_000])
def test_lists_cost_the_same_at_any_size(
    as_owner: Api, acme: Organization, size: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    users = User.objects.bulk_create(User(name=f"N{n}", email=f"n{n}@example.com") for n in range(size))
    Membership.objects.bulk_create(Membership(user=user, organization=acme) for user in users)
    head = a_person(acme, "Head")
    Person.objects.bulk_create(
        Person(organization=acme, name=f"P {user.name}", user=user, manager=head) for user in users
    )

    for path in ("people/", "people/?search=p&ordering=-title", "memberships/", "memberships/?search=n1&role=member"):
        with django_assert_max_num_queries(6):
            as_owner("get", path)


def test_person_is_created_changed_and_read(as_admin: Api, acme: Organization, membership: Membership) -> None:
    head = a_person(acme, "Head")

    created = as_admin("post", "people/", {"name": "Otto", "manager": str(head.pk)})
    assert created.status_code == 201
    path = f"people/{created.json()['id']}/"
    changed = as_admin("patch", path, {"user": str(membership.user_id), "title": "Engineer"})
    assert changed.status_code == 200

    assert as_admin("get", path).json() == changed.json()
    assert (changed.json()["name"], changed.json()["user"]) == ("Otto", str(membership.user_id))


def test_reporting_line(as_member: Api, acme: Organization) -> None:
    head = a_person(acme, "Head")
    low = a_person(acme, "Low", manager=a_person(acme, "Middle", manager=head))

    line = as_member("get", f"people/{low.pk}/reporting-line/").json()

    assert [person["name"] for person in line] == ["Middle", "Head"]


def test_rules_refuse_with_their_own_words(as_admin: Api, acme: Organization, membership: Membership) -> None:
    head = a_person(acme, "Head", user=membership.user)
    low = a_person(acme, "Low", manager=head)

    circle = as_admin("patch", f"people/{head.pk}/", {"manager": str(low.pk)})
    twice = as_admin("patch", f"people/{low.pk}/", {"user": str(membership.user_id)})

    assert (circle.status_code, twice.status_code) == (400, 400)
    assert "Nobody is above themselves" in circle.json()["errors"]["manager"][0]
    assert "linked to another person" in str(twice.json()["errors"])


def test_ids_of_another_organization_are_not_found(as_admin: Api, acme: Organization) -> None:
    other = an_organization("Other")
    stranger = a_person(other, "Eve")
    person = a_person(acme)

    assert as_admin("get", f"people/{stranger.pk}/").status_code == 404
    for field, pk in (("manager", stranger.pk), ("user", other.memberships.get().user_id)):
        answer = as_admin("patch", f"people/{person.pk}/", {field: str(pk)})
        assert "object does not exist" in answer.json()["errors"][field][0]


def test_members_read_and_admins_write(as_member: Api, acme: Organization, membership: Membership) -> None:
    person = a_person(acme)

    answers = [
        as_member("post", "people/", {"name": "New"}),
        as_member("patch", f"people/{person.pk}/", {"name": "New"}),
        as_member("patch", f"organizations/{acme.pk}/", {"name": "New"}),
        as_member("patch", f"memberships/{membership.pk}/", {"role": "owner"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert answers[0].json()["detail"] == "Only admins and owners of the organization may do this."


def test_organization_is_read_renamed_and_created(as_admin: Api, acme: Organization, bearer: Bearer) -> None:
    assert [row["name"] for row in as_admin("get", "organizations/").json()["results"]] == ["Acme"]
    assert as_admin("patch", f"organizations/{acme.pk}/", {"name": "Apex"}).json()["slug"] == "acme"

    newcomer = bearer(a_user())
    assert newcomer("get", "organizations/").json()["results"] == []
    created = newcomer("post", "organizations/", {"name": "Apex"})
    assert (created.status_code, created.json()["slug"]) == (201, "apex")
    assert newcomer("get", "me/").json()["role"] == "owner"


def test_memberships_are_listed_changed_and_ended(
    as_admin: Api, as_owner: Api, acme: Organization, membership: Membership
) -> None:
    person = a_person(acme, user=membership.user)
    [row] = as_admin("get", "memberships/", {"search": "mira"}).json()["results"]
    assert (row["user"]["name"], row["person"], row["role"]) == ("Mira Member", str(person.pk), "member")

    assert as_admin("patch", f"memberships/{membership.pk}/", {"role": "admin"}).json()["role"] == "admin"
    refused = as_admin("patch", f"memberships/{membership.pk}/", {"role": "owner"})
    assert refused.json()["errors"] == {"role": ["Nobody gives a role above their own."]}
    owner = acme.memberships.get(role=Role.OWNER)
    assert as_admin("delete", f"memberships/{owner.pk}/").status_code == 403
    last = as_owner("delete", f"memberships/{owner.pk}/")
    assert "last owner" in str(last.json()["errors"])
    assert as_admin("delete", f"memberships/{membership.pk}/").status_code == 204
    assert as_admin("get", "memberships/", {"search": "mira"}).json()["results"] == []


def test_impersonator_removes_nobody(
    clerk: ClerkInstance, admin_membership: Membership, membership: Membership
) -> None:
    api = Api(clerk.token(admin_membership.user.clerk_user_id, act={"sub": "user_support"}))

    answer = api("delete", f"memberships/{membership.pk}/")

    assert (answer.status_code, answer.json()["detail"]) == (403, "This cannot be done on somebody else's behalf.")


def test_answer_that_one_has_is_not_sent_again(as_member: Api, acme: Organization) -> None:
    person = a_person(acme)
    first = as_member("get", f"people/{person.pk}/")
    etag = first.headers["ETag"]

    again = as_member("get", f"people/{person.pk}/", **{"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert "private" in first.headers["Cache-Control"]

    Person.objects.filter(pk=person.pk).update(title="Director")
    assert as_member("get", f"people/{person.pk}/", **{"if-none-match": etag}).status_code == 200


def test_too_many_requests_are_held_up(as_member: Api, settings: Settings) -> None:
    settings.API_REQUESTS_PER_MINUTE = 2

    answers = [as_member("get", "me/") for _ in range(5)]

    assert 429 in {answer.status_code for answer in answers}
    held = next(answer for answer in answers if answer.status_code == 429)
    assert (held.json()["code"], 0 < int(held.headers["Retry-After"]) <= 60) == ("throttled", True)


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", 400), ("[" * 100_000, 400), ("[]", 400), ('{"name": "\\u0000"}', 400), ('{"name": null}', 400)],
)
def test_bad_body_is_a_problem(as_admin: Api, body: str, status: int) -> None:
    answer = as_admin.client.post("/api/v1/people/", body, content_type="application/json")

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_other_media_types_are_refused(as_admin: Api) -> None:
    assert as_admin.client.post("/api/v1/people/", {"name": "Otto"}).status_code == 415


def test_cookie_changes_need_the_csrf_token(admin: Client) -> None:
    admin.handler.enforce_csrf_checks = True

    answer = admin.post("/api/v1/people/", {"name": "Otto"}, content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert not Person.objects.exists()


def test_api_can_be_browsed(member: Client) -> None:
    answer = member.get("/api/v1/people/", headers={"accept": "text/html"})

    assert answer.status_code == 200
    assert "text/html" in answer.headers["Content-Type"]
    assert "cdn" not in answer.content.decode()


def test_documentation_is_served_by_the_site_itself(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    schema = client.get("/api/schema/?format=json").json()

    assert "https://" not in page
    assert schema["openapi"] == "3.1.0"
    assert {"/api/v1/me/", "/api/v1/people/{id}/", "/api/v1/memberships/"} <= schema["paths"].keys()
    for path in schema["paths"].values():
        for operation in path.values():
            assert {"401", "403", "404"} <= operation["responses"].keys()
