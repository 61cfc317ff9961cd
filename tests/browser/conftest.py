"""Chromium for tests: Debian's package, driven by Playwright."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.chromium import FLAGS, MISSING, PATIENCE, executable
from tests.end_to_end.demo import RunningDemo, running_demo
from tests.end_to_end.fixtures import database_url, ports

__all__ = ["database_url", "ports"]

TOKEN_LIFETIME = 2  # seconds; the site accepts a token for 5 more


def wait_for_another_cookie(page: Page, name: str, value: str) -> None:
    """Until the cookie has another value. Asked from outside: waiting in the page is code that its policy refuses."""
    deadline = time.monotonic() + PATIENCE / 1000
    while any(cookie["name"] == name and cookie["value"] == value for cookie in page.context.cookies()):
        assert time.monotonic() < deadline, f"The cookie {name} did not change."
        page.wait_for_timeout(100)


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """Its absence skips the test, which tests/conftest.py makes a failure in CI.

    Started for each test, because Playwright keeps an event loop running in this thread as long as it lives, in which
    Django refuses to touch the database: tests of anything else would fail after the first of the browser's.
    """
    found = executable()
    if found is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile, with no cookies of another test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, database_url: str, ports: tuple[str, ...]) -> Iterator[RunningDemo]:
    """The whole product, with tokens so short that a test can outlive them."""
    options = (*ports, "--database-url", database_url, "--token-lifetime", str(TOKEN_LIFETIME))
    with running_demo(tmp_path_factory.mktemp("demo"), *options) as demo:
        yield demo
