"""Sessions that hold for as long as they should and no longer, in a real browser on the whole product."""

import time
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import PATIENCE
from tests.browser.conftest import TOKEN_LIFETIME
from tests.browser.signing_in import sign_in, wait_for_claims
from tests.end_to_end.demo import RunningDemo

PAST_THE_TOKEN = TOKEN_LIFETIME + 5 + 2  # seconds: its life, the site's leeway, and some


@pytest.fixture
def other(chromium: Browser) -> Iterator[BrowserContext]:
    """Somebody else's browser."""
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


def status(page: Page, path: str) -> int:
    """Of a fetch by the page's own script, which nothing redirects to Clerk."""
    result: int = page.evaluate("path => fetch(path).then(answer => answer.status)", path)
    return result


def test_signing_in_leads_to_the_dashboard_and_soon_to_claims(page: Page, demo: RunningDemo) -> None:
    sign_in(page, demo, "Rafe Dunmore")
    expect(page.get_by_text("Harborlight Robotics").first).to_be_visible()
    wait_for_claims(page, demo)
    expect(page.locator("#identity-queries")).to_have_text("0")


def test_open_page_stays_signed_in_past_the_tokens_life(page: Page, demo: RunningDemo) -> None:
    sign_in(page, demo, "Lena Oakes")
    page.wait_for_timeout(PAST_THE_TOKEN * 1000)
    assert status(page, "/api/v1/me/") == 200


def test_closed_page_is_opened_again_past_the_tokens_life_without_a_sign_in(page: Page, demo: RunningDemo) -> None:
    sign_in(page, demo, "Lena Oakes")
    context = page.context
    page.close()
    time.sleep(PAST_THE_TOKEN)
    again = context.new_page()
    answer = again.goto(f"{demo.site}/people/?q=oakes")
    assert answer is not None
    assert (answer.status, again.url) == (200, f"{demo.site}/people/?q=oakes")


def test_browser_that_lost_its_site_cookies_but_not_clerks_comes_back_by_handshake(
    page: Page, demo: RunningDemo
) -> None:
    sign_in(page, demo, "Lena Oakes")
    context = page.context
    page.close()
    context.clear_cookies(domain="localhost")
    again = context.new_page()
    again.goto(f"{demo.site}/dashboard/")
    assert again.url == f"{demo.site}/dashboard/"
    expect(again.get_by_text("Harborlight Robotics").first).to_be_visible()


def test_session_revoked_at_clerk_is_signed_out_on_the_next_request(
    page: Page, other: BrowserContext, demo: RunningDemo
) -> None:
    sign_in(page, demo, "Yara Holt")
    revoke_sessions(other, demo, "Yara Holt")
    assert status(page, "/api/v1/me/") == 401
    answer = page.goto(f"{demo.site}/dashboard/")
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()


def revoke_sessions(context: BrowserContext, demo: RunningDemo, name: str) -> None:
    """At the local Clerk's overview; done when the site has acknowledged the webhook."""
    before = revocations(demo)
    overview = context.new_page()
    overview.goto(demo.clerk)
    overview.get_by_role("row", name=name).get_by_role("button", name="Revoke sessions").click()
    deadline = time.monotonic() + PATIENCE / 1000
    while revocations(demo) == before:
        assert time.monotonic() < deadline, f"No session.revoked was acknowledged.\n{demo.logs()}"
        time.sleep(0.05)


def revocations(demo: RunningDemo) -> int:
    sent = requests.get(f"{demo.clerk}/control/webhooks", timeout=60).json()["webhooks"]
    return sum(event["type"] == "session.revoked" and event["answer"] == 200 for event in sent)


def test_role_changed_by_somebody_else_is_refused_at_the_next_click(
    page: Page, other: BrowserContext, demo: RunningDemo
) -> None:
    sign_in(page, demo, "Ines Carvel")
    wait_for_claims(page, demo)
    page.goto(f"{demo.site}/organization/rename/")
    owner = other.new_page()
    sign_in(owner, demo, "Marta Ellison")
    owner.goto(f"{demo.site}/organization/members/")
    owner.get_by_role("link", name="Change Ines Carvel").click()
    owner.get_by_label("Role").select_option("member")
    owner.get_by_role("button", name="Save").click()
    owner.wait_for_url("**/organization/members/")
    with page.expect_response(f"{demo.site}/organization/rename/") as answer:
        page.get_by_role("button", name="Save").click()
    assert answer.value.status == 403


def test_form_posted_with_an_ended_session_is_kept(page: Page, other: BrowserContext, demo: RunningDemo) -> None:
    sign_in(page, demo, "Tomas Grainger")
    page.goto(f"{demo.site}/people/create/")
    page.get_by_label("Name").fill("Corin Ashby")
    revoke_sessions(other, demo, "Tomas Grainger")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("What you entered is kept")).to_be_visible()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    opened.value.get_by_role("button", name="Tomas Grainger").click()
    opened.value.wait_for_url(f"{demo.site}/people/create/")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("heading", name="Corin Ashby")).to_be_visible()


def test_impersonation_is_shown_on_every_page(page: Page, demo: RunningDemo) -> None:
    page.goto(demo.clerk)
    page.get_by_role("row", name="Silas Trent").get_by_role("button", name="Impersonate").click()
    page.wait_for_url(f"{demo.site}/dashboard/")
    for path in ("/dashboard/", "/people/", "/account/session/"):
        page.goto(demo.site + path)
        expect(page.get_by_role("status").filter(has_text="on somebody else's behalf")).to_contain_text("user_2support")
