"""Clerk's own script on the pages, and the policy that lets it run and nothing else."""

import re

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.models import User
from clerk_sync import freshness
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]


def directives(header: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (directive.split() for directive in header.split("; "))}


def test_a_page_carries_clerks_script_and_its_nonce(clerk: ClerkInstance, client: Client) -> None:
    response = client.get("/page/")

    nonces = set(re.findall(r'nonce="([^"]+)"', response.text))
    assert len(nonces) == 1
    scripts = directives(response.headers["Content-Security-Policy"])["script-src"]
    assert f"'nonce-{nonces.pop()}'" in scripts
    assert "https://clerk.manageros.test" in scripts
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:"} & set(scripts)
    assert 'src="https://clerk.manageros.test/npm/@clerk/clerk-js@5/dist/clerk.browser.js"' in response.text
    assert 'data-clerk-publishable-key="pk_test_' in response.text
    assert "data-clerk-proxy-url" not in response.text


def test_each_page_has_a_nonce_of_its_own(clerk: ClerkInstance, client: Client) -> None:
    first, second = (client.get("/page/").headers["Content-Security-Policy"] for _ in range(2))

    assert first != second


def test_a_local_clerk_is_named_to_its_script(settings: Settings, clerk: ClerkInstance, client: Client) -> None:
    settings.CLERK_FRONTEND_API_URL = "http://127.0.0.1:8001"

    response = client.get("/page/")

    assert 'data-clerk-proxy-url="http://127.0.0.1:8001"' in response.text
    assert "http://127.0.0.1:8001" in directives(response.headers["Content-Security-Policy"])["connect-src"]


def test_every_answer_has_the_policy(clerk: ClerkInstance, client: Client, async_client: AsyncClient) -> None:
    for response in (client.get("/nobody-asks/"), client.get("/nowhere/"), async_to_sync(async_client.get)("/page/")):
        policy = directives(response.headers["Content-Security-Policy"])
        assert policy["default-src"] == ["'self'"]
        assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]


def test_a_page_with_stale_claims_asks_for_a_new_token(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    response = client.get("/page/")
    assert "X-ManagerOS-Claims" not in response.headers
    assert 'data-claims="stale"' not in response.text

    freshness.announce_stale(["user_1"])
    response = client.get("/page/")
    assert response.headers["X-ManagerOS-Claims"] == "stale"
    assert 'data-claims="stale"' in response.text


@pytest.mark.parametrize(("claims_hold", "header"), [(True, None), (False, "stale")])
def test_the_script_can_ask_whether_the_new_claims_hold(
    clerk: ClerkInstance, ada: User, client: Client, claims_hold: bool, header: str | None
) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    if not claims_hold:
        freshness.announce_stale(["user_1"])

    response = client.get("/account/session/freshness/", headers={"Sec-Fetch-Dest": "empty"})

    assert (response.status_code, response.headers.get("X-ManagerOS-Claims")) == (204, header)


def test_claims_that_were_never_configured_are_not_asked_for_again(
    clerk: ClerkInstance, ada: User, client: Client
) -> None:
    """No token will carry them before somebody customizes the session token."""
    sign_in(client, clerk.token())

    assert "X-ManagerOS-Claims" not in client.get("/page/").headers
