"""Who a request is: from the claims without a query, from the database with one, under WSGI and ASGI alike."""

import socket
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import responses
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.test import AsyncClient, Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Membership, Person, User
from clerk_sync import freshness
from clerk_sync.models import EndedSession, MetadataSync
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]

NULL_CLAIMS = dict.fromkeys(
    ("managerOSUserId", "organizationId", "organizationName", "organizationSlug", "personId", "role")
)
Ask = Callable[[str], dict[str, Any]]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the read path called the network")

    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture(params=["wsgi", "asgi", "asgi with a synchronous view"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Asks the site who a token's bearer is, through each kind of server."""

    def ask_wsgi(token: str) -> dict[str, Any]:
        client = Client()
        sign_in(client, token)
        body: dict[str, Any] = client.get("/who/").json()
        return body

    async def ask_asgi(token: str) -> dict[str, Any]:
        client = AsyncClient()
        sign_in(client, token)
        response = await client.get("/who-async/" if request.param == "asgi" else "/who/")
        body: dict[str, Any] = response.json()
        return body

    return ask_wsgi if request.param == "wsgi" else async_to_sync(ask_asgi)


def test_claims_answer_without_a_query(
    ask: Ask, clerk: ClerkInstance, ada: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    claims = claims_of(ada)
    token = clerk.token(claims=claims)

    with django_assert_num_queries(0):
        who = ask(token)

    assert who["source"] == "session_claims"
    assert (who["clerk_user_id"], who["session_id"], who["id"]) == ("user_1", "sess_1", str(ada.pk))
    assert (who["organization_id"], who["organization_name"]) == (claims["organizationId"], "Acme")
    assert (who["organization_slug"], who["role"]) == ("acme", "admin")
    assert who["person_id"] == str(Person.objects.get().pk)
    assert (who["queries"], who["fallback_reason"], who["refusal"]) == (0, None, None)


def test_claims_under_metadata_answer_as_well(ask: Ask, clerk: ClerkInstance, ada: User) -> None:
    who = ask(clerk.token(claims={"metadata": {**claims_of(ada), "theme": "dark"}}))

    assert (who["source"], who["role"], who["queries"]) == ("session_claims", "admin", 0)


def test_claims_under_metadata_may_leave_out_what_there_is_not(ask: Ask, clerk: ClerkInstance, ada: User) -> None:
    who = ask(clerk.token(claims={"metadata": {"managerOSUserId": str(ada.pk)}}))

    assert (who["source"], who["id"], who["organization_id"]) == ("session_claims", str(ada.pk), None)


def test_claims_of_someone_without_an_organization_answer(ask: Ask, clerk: ClerkInstance, ada: User) -> None:
    who = ask(clerk.token(claims=NULL_CLAIMS | {"managerOSUserId": str(ada.pk)}))

    assert (who["source"], who["organization_id"], who["role"]) == ("session_claims", None, None)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "claims_not_configured"),
        ({"theme": "dark"}, "claims_not_configured"),
        ({"managerOSUserId": None, "role": None}, "claims_not_configured"),  # four of the six were not pasted
        (NULL_CLAIMS, "metadata_not_synced"),
        ({"metadata": {}}, "metadata_not_synced"),
        ({"metadata": None}, "metadata_not_synced"),
        ({"metadata": {"theme": "dark"}}, "metadata_not_synced"),
    ],
)
def test_without_claims_one_query_answers(
    clerk: ClerkInstance,
    ada: User,
    ask: Ask,
    claims: dict[str, Any],
    reason: str,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    expected = claims_of(ada)
    token = clerk.token(claims=claims)

    with django_assert_num_queries(1):
        who = ask(token)

    assert (who["source"], who["fallback_reason"], who["queries"]) == ("database", reason, 1)
    assert (who["id"], who["organization_id"]) == (expected["managerOSUserId"], expected["organizationId"])
    assert (who["organization_name"], who["organization_slug"]) == ("Acme", "acme")
    assert (who["person_id"], who["role"]) == (expected["personId"], "admin")


@pytest.mark.parametrize(
    "wrong",
    [
        {"managerOSUserId": 7},
        {"managerOSUserId": "7"},
        {"managerOSUserId": "null"},
        {"managerOSUserId": str(uuid4()).upper()},
        {"organizationId": 7},
        {"organizationId": "acme"},
        {"organizationId": None},
        {"organizationName": None},
        {"organizationName": 7},
        {"organizationSlug": ["acme"]},
        {"role": "superuser"},
        {"role": {"name": "owner"}},
        {"role": None},
        {"personId": 7},
        {"personId": "null"},
    ],
)
def test_claims_of_a_wrong_type_are_not_believed(
    clerk: ClerkInstance, ada: User, client: Client, wrong: dict[str, Any]
) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada) | wrong))

    who = client.get("/who/").json()

    assert (who["source"], who["fallback_reason"], who["role"]) == ("database", "claims_invalid", "admin")


def test_a_person_without_an_organization_is_not_believed(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=NULL_CLAIMS | {"managerOSUserId": str(ada.pk), "personId": str(uuid4())}))

    assert client.get("/who/").json()["fallback_reason"] == "claims_invalid"


def test_nobody_costs_nothing(
    ask: Ask, clerk: ClerkInstance, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = Client()

    with django_assert_num_queries(0):
        who = client.get("/who/").json()

    assert (who.pop("refusal"), who.pop("queries"), who.pop("is_authenticated")) == ("signed_out", 0, False)
    assert set(who.values()) == {None}


def test_a_view_that_does_not_ask_costs_nothing(
    clerk: ClerkInstance, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sign_in(client, "no token at all")

    with django_assert_num_queries(0):
        response = client.get("/nobody-asks/")

    assert response.content == b"nothing was asked"
    assert "Vary" not in response.headers


def test_an_answer_to_somebody_is_not_cached_for_others(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))

    answer = client.get("/who/")
    assert (answer.headers["Vary"], answer.headers["Cache-Control"]) == ("Authorization, Cookie", "private")


@pytest.mark.parametrize("path", ["/account/", "/account-async/"])
def test_request_user_is_the_same_person_read_when_touched(
    clerk: ClerkInstance, ada: User, client: Client, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))

    with django_assert_num_queries(1):
        assert client.get(path).content.decode() == str(ada.pk)


def test_the_database_answer_serves_request_user_too(
    clerk: ClerkInstance, ada: User, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sign_in(client, clerk.token())

    with django_assert_num_queries(1):
        assert client.get("/account/").content.decode() == str(ada.pk)


def test_request_user_is_nobody_while_inactive(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    User.objects.update(is_active=False)
    # The claims hold for as long as nobody is told; request.user reads the row, and must not.
    cache.clear()

    assert client.get("/account/").content == b"None"


def test_staff_signed_in_with_a_password_stay_so(clerk: ClerkInstance, client: Client) -> None:
    staff = User.objects.create_user("staff@example.com", "a password", is_staff=True)
    client.force_login(staff)

    assert client.get("/account/").content.decode() == str(staff.pk)
    assert client.get("/who/").json()["is_authenticated"] is False


def test_whoever_the_token_names_goes_before_a_password_session(
    clerk: ClerkInstance, ada: User, client: Client
) -> None:
    client.force_login(User.objects.create_user("staff@example.com", "a password", is_staff=True))
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.get("/account/").content.decode() == str(ada.pk)


def test_a_refused_header_does_not_fall_back_to_a_password_session(clerk: ClerkInstance, client: Client) -> None:
    client.force_login(User.objects.create_user("staff@example.com", "a password", is_staff=True))

    assert client.get("/account/", headers={"Authorization": "Bearer x.y.z"}).content == b"None"
    assert client.get("/account/", headers={"Authorization": "Bearer"}).content == b"None"


def test_a_person_who_changed_is_read_from_the_database_until_the_next_claims(
    clerk: ClerkInstance, ada: User, client: Client
) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    Membership.objects.update(role="member")
    freshness.announce_stale(["user_1"])

    who = client.get("/who/").json()

    assert (who["source"], who["fallback_reason"], who["role"]) == ("database", "claims_stale", "member")


def test_claims_assembled_after_the_delivery_hold_again(clerk: ClerkInstance, ada: User, client: Client) -> None:
    freshness.announce_stale(["user_1"])
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.get("/who/").json()["source"] == "database"
    assert client.get("/who/").json()["source"] == "session_claims"


def test_claims_stay_stale_while_the_change_is_not_delivered(clerk: ClerkInstance, ada: User, client: Client) -> None:
    freshness.announce_stale(["user_1"])
    MetadataSync.objects.update(state=MetadataSync.State.PENDING)
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert [client.get("/who/").json()["source"] for _ in range(3)] == ["database"] * 3


def test_old_claims_in_a_new_token_are_stale(clerk: ClerkInstance, ada: User, client: Client) -> None:
    """Clerk's edge mints tokens with claims that it assembled before; `oiat` says when."""
    MetadataSync.objects.update(claims_after=1_700_000_000_000)
    freshness.announce_stale(["user_1"])
    sign_in(client, clerk.token(claims=claims_of(ada), headers={"oiat": 1_699_999_990}))

    assert [client.get("/who/").json()["source"] for _ in range(2)] == ["database"] * 2


@pytest.mark.parametrize("claims", [{}, None])
def test_an_ended_session_is_signed_out(
    clerk: ClerkInstance, ada: User, client: Client, claims: dict[str, Any] | None
) -> None:
    """From the row as well as from the cache, and the row reminds the cache."""
    EndedSession.objects.create(session_id="sess_1")
    sign_in(client, clerk.token(claims={}))
    assert client.get("/who/").json()["refusal"] == "session_ended"

    sign_in(client, clerk.token(claims=claims_of(ada)))
    assert client.get("/who/").json()["refusal"] == "session_ended"


def test_another_session_of_the_same_user_goes_on(clerk: ClerkInstance, ada: User, client: Client) -> None:
    freshness.remember_ended("sess_1")
    sign_in(client, clerk.token(claims=claims_of(ada), sid="sess_2"))

    assert client.get("/who/").json()["is_authenticated"] is True


def test_an_inactive_user_is_signed_out(clerk: ClerkInstance, ada: User, client: Client) -> None:
    User.objects.update(is_active=False)
    freshness.announce_stale(["user_1"])
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.get("/who/").json()["refusal"] == "user_inactive"


@pytest.mark.parametrize(
    ("mode", "source", "queries"),
    [("cache", "database", 1), ("database", "database", 1), ("token", "session_claims", 0)],
)
def test_each_freshness_mode_answers_for_a_change_in_its_way(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client, mode: str, source: str, queries: int
) -> None:
    settings.CLERK_FRESHNESS = mode
    freshness.announce_stale(["user_1"])
    sign_in(client, clerk.token(claims=claims_of(ada)))

    who = client.get("/who/").json()

    assert (who["source"], who["queries"]) == (source, queries)


@pytest.mark.parametrize("mode", ["cache", "database", "token"])
def test_a_user_who_is_out_is_out_in_each_freshness_mode(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client, mode: str
) -> None:
    settings.CLERK_FRESHNESS = mode
    User.objects.update(is_active=False)
    freshness.announce_signed_out("user_1")
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.get("/who/").json()["is_authenticated"] is False


@pytest.mark.parametrize("mode", ["cache", "database", "token"])
def test_claims_older_than_any_session_token_are_believed_in_no_freshness_mode(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client, mode: str
) -> None:
    """As of a JWT template, whose token may live for years: whoever was put out since is out."""
    settings.CLERK_FRESHNESS = mode
    now = int(time.time())
    sign_in(client, clerk.token(claims=claims_of(ada), iat=now - 600, nbf=now - 600, exp=now + 600))
    assert client.get("/who/").json()["source"] == "database"

    User.objects.update(is_active=False)

    assert client.get("/who/").json()["refusal"] == "user_inactive"


@pytest.mark.parametrize(
    ("mode", "source"), [("cache", "database"), ("database", "database"), ("token", "session_claims")]
)
def test_with_the_cache_down_each_freshness_mode_goes_its_way(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client, mode: str, source: str
) -> None:
    backend = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {"default": backend}
    settings.CLERK_FRESHNESS = mode
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.get("/who/").json()["source"] == source


@pytest.fixture
def clerk_api(settings: Settings) -> Any:
    with responses.RequestsMock() as api:
        yield api


@pytest.mark.django_db(transaction=True)
def test_a_user_whom_clerk_does_not_know_is_signed_out(
    clerk: ClerkInstance, client: Client, clerk_api: responses.RequestsMock
) -> None:
    clerk_api.get("https://api.clerk.test/v1/users/user_1", status=404, json={"errors": []})
    sign_in(client, clerk.token())

    assert client.get("/who/").json()["refusal"] == "user_unknown"
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("accept", "kind"), [("text/html", "text/html"), ("application/json", "application/problem+json")]
)
def test_a_new_user_while_clerk_cannot_be_asked_is_503(
    clerk: ClerkInstance, client: Client, clerk_api: responses.RequestsMock, accept: str, kind: str
) -> None:
    clerk_api.get("https://api.clerk.test/v1/users/user_1", status=502)
    sign_in(client, clerk.token())

    response = client.get("/who/", headers={"Accept": accept})

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["Content-Type"].startswith(kind)
    assert not User.objects.exists()
    # The page names the user too, if there is one: it must not wait for Clerk a second time.
    assert len(clerk_api.calls) == 1
