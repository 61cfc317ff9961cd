"""Who may open a view: the same rules for functions, classes, coroutines and the API."""

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from accounts.models import Membership, User
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]

GUARDED = ["/private/", "/members/", "/admins/", "/in-person/", "/admins-in-person/", "/by-function/"]
GUARDED_ASYNC = ["/private-async/", "/members-async/", "/owners-async/"]


@pytest.mark.parametrize("path", GUARDED + GUARDED_ASYNC)
def test_nobody_gets_401(clerk: ClerkInstance, client: Client, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", GUARDED + GUARDED_ASYNC)
def test_nobody_gets_401_under_asgi(clerk: ClerkInstance, async_client: AsyncClient, path: str) -> None:
    assert async_to_sync(async_client.get)(path).status_code == 401


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/members/", None, 403),
        ("/members/", "member", 200),
        ("/members-async/", None, 403),
        ("/members-async/", "member", 200),
        ("/admins/", None, 403),
        ("/admins/", "member", 403),
        ("/admins/", "admin", 200),
        ("/admins/", "owner", 200),
        ("/owners-async/", "admin", 403),
        ("/owners-async/", "owner", 200),
        ("/admins-in-person/", "member", 403),
        ("/admins-in-person/", "admin", 200),
        ("/api/admins/", None, 403),
        ("/api/admins/", "member", 403),
        ("/api/admins/", "admin", 200),
        ("/api/admins/", "owner", 200),
    ],
)
def test_a_role_opens_what_it_may(
    clerk: ClerkInstance, ada: User, client: Client, path: str, role: str | None, status: int
) -> None:
    if role is None:
        Membership.objects.update(is_active=False)
    else:
        Membership.objects.update(role=role)
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.get(path).status_code == status


def test_the_api_says_who_may(clerk: ClerkInstance, ada: User, client: Client) -> None:
    Membership.objects.update(role="member")
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert "Only admins and owners of the organization may do this." in client.get("/api/admins/").text


@pytest.mark.parametrize("path", ["/in-person/", "/admins-in-person/"])
def test_an_impersonator_is_named_and_kept_out_where_it_matters(
    clerk: ClerkInstance, ada: User, client: Client, path: str
) -> None:
    act = {"iss": clerk.issuer, "sid": "sess_support", "sub": "user_support"}
    sign_in(client, clerk.token(act=act, claims=claims_of(ada)))

    assert client.get("/who/").json()["actor"] == "user_support"
    assert client.get("/private/").status_code == 200
    assert client.get(path).status_code == 403
