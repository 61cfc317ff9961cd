"""The pages in Chromium: axe-core finds nothing serious, light and dark, wide and narrow; and no need of a mouse."""

import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Invitation, Organization, Person, Role, User
from clerk_sync.instance import clerk_instance
from tests.accounts.factories import a_member, a_person, a_user, an_organization
from tests.clients.conftest import CLIENTS
from tests.instance import ClerkInstance

pytestmark = pytest.mark.django_db(transaction=True)

AXE = CLIENTS / "node" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = {"serious", "critical"}


@pytest.fixture
def owner() -> User:
    """Of an organization with something on each page."""
    owner = a_user("Olga Owner", email="olga@example.com")
    acme = an_organization("Acme", owner=owner)
    head = a_person(acme, "Hanna Head", email="hanna@example.com", title="Director", user=owner)
    for number in range(60):
        a_person(acme, f"Person {number:02}", manager=head, title="Engineer")
    a_member(acme, user=a_user("Mira Member", email="mira@example.com"))
    Invitation.objects.invite(acme, "guest@example.com", Role.ADMIN, by_id=owner.pk)
    return owner


@pytest.fixture
def site(owner: User, live_server: LiveServer, clerk: ClerkInstance, settings: Settings) -> str:
    """The site's address. Asked for before the browser is: its event loop keeps Django from the database."""
    settings.CLERK_AUTHORIZED_PARTIES = [live_server.url]
    return live_server.url


@pytest.fixture
def cookies(site: str, owner: User, clerk: ClerkInstance) -> list[dict[str, str]]:
    token = clerk.token(owner.clerk_user_id, azp=site, exp=int(time.time()) + 600)
    values = {"__session": token, "__client_uat": "1", "__clerk_db_jwt": "dvb_tests"}
    suffix = clerk_instance().cookie_suffix
    return [
        {"name": name, "value": value, "url": site}
        for plain, value in values.items()
        for name in (plain, f"{plain}_{suffix}")
    ]


@pytest.fixture
def paths(owner: User) -> list[str]:
    organization = Organization.objects.get()
    person = Person.objects.get(name="Hanna Head").pk
    member = organization.memberships.get(role=Role.MEMBER).pk
    return [
        "/dashboard/",
        "/account/session/",
        "/people/",
        "/people/?q=nobody+at+all",
        "/people/chart/",
        "/people/import/",
        "/people/create/",
        f"/people/{person}/",
        f"/people/{person}/edit/",
        f"/people/{person}/link/",
        "/organization/",
        "/organization/create/",
        "/organization/rename/",
        "/organization/switch/",
        "/organization/members/",
        f"/organization/members/{member}/",
        "/organization/invitations/",
        "/organization/history/",
        "/organization/leave/",
        "/organization/transfer/",
        "/organization/delete/",
        "/nowhere/",
    ]


def serious_violations(page: Page) -> list[str]:
    # By evaluation, which the page's Content-Security-Policy does not forbid, as it does a script tag.
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(results => results.violations)")
    return [
        f"{each['id']}: {each['nodes'][0]['html']} {each['nodes'][0]['failureSummary']}"
        for each in found
        if each["impact"] in SERIOUS
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_axe_finds_nothing_serious_on_any_page(
    site: str,
    cookies: list[Any],
    paths: list[str],
    chromium: Browser,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    signed_out = context.new_page()
    signed_out.context.add_cookies([cookie for cookie in cookies if "db_jwt" in cookie["name"]])
    problems: dict[str, list[str]] = {}
    for path in ["/", "/dashboard/"]:
        signed_out.goto(site + path, wait_until="domcontentloaded")
        problems[f"{path} signed out"] = serious_violations(signed_out)
    context.add_cookies(cookies)
    page = context.new_page()
    for path in paths:
        page.goto(site + path, wait_until="domcontentloaded")
        problems[path] = serious_violations(page)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{path} is wider than {width}"
    assert {path: found for path, found in problems.items() if found} == {}


def test_axe_would_find_what_is_wrong(site: str, chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content("<html><body><img src='x.png'><button></button></body></html>")

    assert len(serious_violations(page)) >= 3


@pytest.fixture
def keyboard(site: str, cookies: list[Any], chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(base_url=site)
    context.add_cookies(cookies)
    yield context.new_page()
    context.close()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of that accessible name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const e = document.activeElement;"
            " return (e.labels?.[0]?.innerText || e.innerText || e.value || '').replace(/\\s+/g, ' ').trim(); })()"
        )
        if focused.rstrip(":") == name:
            return
    raise AssertionError(f"Tab never comes to {name}.")


def test_person_is_found_added_and_edited_by_keyboard_alone(keyboard: Page) -> None:
    keyboard.goto("/dashboard/", wait_until="domcontentloaded")
    tab_to(keyboard, "Skip to content")
    tab_to(keyboard, "People")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_url("**/people/")

    tab_to(keyboard, "Find people")
    keyboard.keyboard.type("person 42")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_url("**q=person+42**")
    assert keyboard.locator("tbody tr").count() == 1

    tab_to(keyboard, "Add a person")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_url("**/people/create/")
    for label, text in (("Name", "Nora New"), ("Title", "Engineer"), ("Manager", "hanna@example.com")):
        tab_to(keyboard, label)
        keyboard.keyboard.type(text)
    tab_to(keyboard, "Add")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_selector("h1:has-text('Nora New')")

    tab_to(keyboard, "Deactivate")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_selector("text=Nora New is inactive now.")


def test_role_is_changed_and_organization_renamed_by_keyboard_alone(keyboard: Page) -> None:
    keyboard.goto("/organization/members/", wait_until="domcontentloaded")
    tab_to(keyboard, "Change Mira Member")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_url("**/organization/members/*/")
    tab_to(keyboard, "Role")
    keyboard.keyboard.type("Admin")
    tab_to(keyboard, "Save")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_selector("text=Mira Member is admin now.")

    keyboard.goto("/organization/rename/", wait_until="domcontentloaded")
    tab_to(keyboard, "Name")
    keyboard.keyboard.press("Control+A")
    keyboard.keyboard.type("Apex")
    keyboard.keyboard.press("Enter")
    keyboard.wait_for_selector("text=The organization is called Apex now.")
