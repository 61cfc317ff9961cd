"""Signing in leads to Clerk and back to this site alone; signing out ends the session here and there."""

from collections.abc import Iterator

import pytest
import responses
from django.test import Client

from accounts.models import User
from clerk_sync.models import EndedSession
from tests.instance import ClerkInstance, sign_in

pytestmark = pytest.mark.django_db

REVOKE = "https://api.clerk.test/v1/sessions/sess_1/revoke"


@pytest.fixture
def clerk_api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as api:
        yield api


@pytest.fixture
def ada(clerk: ClerkInstance, client: Client) -> User:
    user: User = User.objects.create(clerk_user_id="user_1", email="ada@example.com")
    sign_in(client, clerk.token("user_1"))
    return user


def hosted(page: str, back: str) -> str:
    return f"https://accounts.manageros.test/{page}?redirect_url=http%3A%2F%2Ftestserver{back.replace('/', '%2F')}"


@pytest.mark.parametrize("page", ["sign-in", "sign-up"])
def test_sign_in_is_clerks_page(client: Client, page: str) -> None:
    client.cookies["__clerk_db_jwt"] = "dvb_tests"

    answer = client.get(f"/{page}/", {"next": "/people/"})

    assert answer.headers["Location"] == hosted(page, "/people/")
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "https://testserver.evil.example/",
        "\t//evil.example",
        "",
    ],
)
def test_next_never_leads_to_another_site(client: Client, elsewhere: str) -> None:
    client.cookies["__clerk_db_jwt"] = "dvb_tests"

    assert client.get("/sign-in/", {"next": elsewhere}).headers["Location"] == hosted("sign-in", "/dashboard/")


def test_who_is_signed_in_goes_on(ada: User, client: Client) -> None:
    assert client.get("/sign-in/", {"next": "/people/"}).headers["Location"] == "/people/"


def test_signing_out_ends_the_session_here_and_at_clerk(
    ada: User, client: Client, clerk: ClerkInstance, clerk_api: responses.RequestsMock
) -> None:
    clerk_api.post(REVOKE, json={"object": "session"})

    answer = client.post("/sign-out/")

    assert answer.headers["Location"] == "/"
    assert not client.cookies["__session"].value
    assert EndedSession.objects.filter(session_id="sess_1").exists()
    sign_in(client, clerk.token("user_1"))
    assert client.get("/dashboard/").status_code == 401


def test_signing_out_ends_the_session_of_a_page_that_slept(
    ada: User, client: Client, clerk: ClerkInstance, clerk_api: responses.RequestsMock
) -> None:
    clerk_api.post(REVOKE, json={"object": "session"})
    sign_in(client, clerk.token("user_1", iat=1_000, nbf=1_000, exp=1_060))

    client.post("/sign-out/")

    assert EndedSession.objects.filter(session_id="sess_1").exists()


@pytest.mark.parametrize("token", ["forged", "another instance's", "none"])
def test_nobody_ends_the_session_of_somebody_else(ada: User, client: Client, token: str) -> None:
    stranger = ClerkInstance()
    tokens = {"forged": stranger.token(exp=1_060), "another instance's": stranger.token(iss="https://x"), "none": ""}
    sign_in(client, tokens[token])

    client.post("/sign-out/")

    assert not EndedSession.objects.exists()


def test_signing_out_works_while_clerk_is_away(
    ada: User, client: Client, clerk: ClerkInstance, clerk_api: responses.RequestsMock
) -> None:
    clerk_api.post(REVOKE, status=503)

    answer = client.post("/sign-out/", follow=True)

    assert "Clerk could not be told" in answer.content.decode()
    assert EndedSession.objects.filter(session_id="sess_1").exists()


def test_signing_out_is_not_done_by_a_link(ada: User, client: Client) -> None:
    assert client.get("/sign-out/").status_code == 405
    assert not EndedSession.objects.exists()
