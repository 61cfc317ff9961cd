"""The real ClerkJS in Chromium, served by the local Clerk, on the site's own pages and under their content policy."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.limits import Limits
from clerk_sync.emulator.server import RunningClerk
from tests.browser.conftest import wait_for_another_cookie
from tests.clients.conftest import CLIENTS

TOKEN_LIFETIME = 15  # seconds; ClerkJS renews a token in the last ten of its life


@pytest.fixture
def running(live_server: LiveServer, settings: Settings) -> Iterator[RunningClerk]:
    """ClerkJS knows a test instance by the host in its key, and reaches this one as if it were behind a proxy."""
    site = f"http://localhost:{live_server.thread.port}"
    host = "manageros.clerk.accounts.dev"
    instance = Instance(key_host=host, allowed_origins=(site,), token_lifetime=TOKEN_LIFETIME)
    clerk = LocalClerk(instance, limits=Limits.off(), clerk_js=CLIENTS / "clerk-js" / "dist")
    with RunningClerk(clerk) as running:
        settings.CLERK_API_URL = running.backend_api_url
        settings.CLERK_AUTHORIZED_PARTIES = [site]
        settings.CLERK_FRONTEND_API_URL = running.url
        settings.CLERK_JWT_KEY = running.clerk.signer.public_pem
        settings.CLERK_PUBLISHABLE_KEY = instance.publishable_key
        settings.CLERK_SECRET_KEY = instance.secret_key
        settings.CLERK_SIGN_IN_URL = f"{running.url}/sign-in"
        clerk.store.create_user(emails=[("mira@example.com", True)], first_name="Mira", last_name="Vale")
        yield running


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser says against the page: a refused script, an error that nobody caught."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def test_page_of_the_site_stays_signed_in(page: Page, running: RunningClerk, complaints: list[str]) -> None:
    [site] = running.clerk.instance.allowed_origins
    page.goto(f"{site}/sign-in/")
    page.get_by_role("button", name="Mira Vale").click()
    page.wait_for_url(f"{site}/dashboard/")
    expect(page.locator("html")).to_have_attribute("data-clerk", "loaded")
    assert page.evaluate("Clerk.user.fullName") == "Mira Vale"
    token = page.evaluate("Clerk.session.getToken({ skipCache: true })")
    assert token in page.evaluate("document.cookie")
    wait_for_another_cookie(page, "__session", token)
    assert page.evaluate("fetch('/api/v1/me/').then(answer => answer.status)") == 200
    assert not [each for each in complaints if "img.clerk.com" not in each and "ERR_NAME_NOT_RESOLVED" not in each]


def test_its_own_component_signs_in(page: Page, running: RunningClerk) -> None:
    [site] = running.clerk.instance.allowed_origins
    page.goto(site)
    expect(page.locator("html")).to_have_attribute("data-clerk", "loaded")
    page.evaluate("Clerk.openSignIn({ fallbackRedirectUrl: '/dashboard/' })")
    page.get_by_label("Email address").fill("mira@example.com")
    page.get_by_role("button", name="Continue", exact=True).click()
    page.get_by_label("Enter verification code").press_sequentially("424242")
    page.wait_for_url(f"{site}/dashboard/")
    expect(page.get_by_role("banner").get_by_role("button", name="Sign out")).to_be_visible()
