"""Clerk's production form in a real browser: cookies of a common parent domain, and nothing in any address."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from clerk_sync.emulator.store import Store

# Chromium takes every name under .localhost for this machine, and trusts it with secure cookies.
DOMAIN = "manageros.localhost"


@pytest.fixture
def running(live_server: LiveServer, settings: Settings) -> Iterator[RunningClerk]:
    """A live instance that the site of this process trusts."""
    site = f"http://app.{DOMAIN}:{live_server.thread.port}"
    instance = Instance(kind="live", cookie_domain=DOMAIN, allowed_origins=(site,), token_lifetime=2)
    with RunningClerk(LocalClerk(instance)) as running:
        instance.frontend_api_url = f"http://clerk.{DOMAIN}:{running.port}"
        settings.ALLOWED_HOSTS = [f".{DOMAIN}"]
        settings.CLERK_API_URL = running.backend_api_url
        settings.CLERK_AUTHORIZED_PARTIES = [site]
        settings.CLERK_JWT_KEY = running.clerk.signer.public_pem  # only a browser resolves names under .localhost
        settings.CLERK_FRONTEND_API_URL = instance.frontend_api_url
        settings.CLERK_PUBLISHABLE_KEY = instance.publishable_key
        settings.CLERK_SECRET_KEY = instance.secret_key
        settings.CLERK_SIGN_IN_URL = f"{instance.frontend_api_url}/sign-in"
        yield running


@pytest.fixture
def site(running: RunningClerk) -> str:
    return running.clerk.instance.allowed_origins[0]


@pytest.fixture
def store(running: RunningClerk) -> Store:
    running.clerk.store.create_user(emails=[("mira@example.com", True)], first_name="Mira", last_name="Vale")
    return running.clerk.store


def sign_in(page: Page, site: str) -> None:
    page.goto(f"{site}/sign-in/")
    page.get_by_role("button", name="Mira Vale").click()
    page.wait_for_url(f"{site}/dashboard/")


def test_signing_in_leaves_no_token_in_any_address(page: Page, site: str, store: Store) -> None:
    visited: list[str] = []
    page.on("request", lambda request: visited.append(request.url))
    sign_in(page, site)
    expect(page.get_by_role("banner").get_by_role("button", name="Sign out")).to_be_visible()
    assert any("/v1/client/handshake" in url for url in visited)
    tokens = {cookie["value"] for cookie in page.context.cookies() if "." in cookie["value"]}
    assert tokens
    assert not [url for url in visited if any(token in url for token in tokens) or "__clerk_handshake=" in url]


def test_expired_session_is_refreshed_on_a_visit(page: Page, site: str, store: Store) -> None:
    sign_in(page, site)
    context = page.context
    page.close()
    again = context.new_page()
    again.wait_for_timeout(9_000)  # the token's two seconds, the site's leeway of five, and some
    answer = again.goto(f"{site}/dashboard/")
    assert answer is not None
    assert (answer.status, answer.request.redirected_from) == (200, None)


def test_session_ended_at_clerk_ends_here_with_the_token(page: Page, site: str, store: Store) -> None:
    sign_in(page, site)
    [session] = store.sessions.values()
    store.end_session(session.id, "revoked")
    page.wait_for_timeout(9_000)
    answer = page.goto(f"{site}/dashboard/")
    assert answer is not None
    assert answer.status == 401
