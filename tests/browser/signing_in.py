"""How someone comes to a page of the demo."""

import time

from playwright.sync_api import Page

from tests.browser.chromium import PATIENCE
from tests.end_to_end.demo import RunningDemo


def sign_in(page: Page, demo: RunningDemo, name: str) -> None:
    page.goto(f"{demo.site}/")
    page.get_by_role("banner").get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"{demo.site}/dashboard/")


def wait_for_claims(page: Page, demo: RunningDemo) -> None:
    """The page asks for a token with the claims in it by itself; a visit shows that it came."""
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        page.goto(f"{demo.site}/account/session/")
        if "session claims" in page.locator("#source").inner_text():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"No token carried the claims.\n{demo.logs()}")
