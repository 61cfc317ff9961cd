"""The stand-in for ClerkJS on a page of its own: what the real one does with cookies and tokens, it does."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.faults import Fault
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.limits import Limits
from clerk_sync.emulator.server import RunningClerk
from tests.browser.conftest import wait_for_another_cookie

PAGE = """<!doctype html><title>Site</title><div id="here"></div><div id="account"></div>
<script nonce="n" src="{clerk}/npm/@clerk/clerk-js@5/dist/clerk.browser.js" crossorigin="anonymous"
  data-clerk-publishable-key="{key}"></script>
<script nonce="n">
  Clerk.load().then(() => {{
    Clerk.mountUserButton(document.getElementById("account"), {{ afterSignOutUrl: "/" }});
    if (!Clerk.user) Clerk["mount{component}"](document.getElementById("here"), {{ fallbackRedirectUrl: "/done" }});
    document.title = "Loaded";
  }});
</script>"""


class Site(ThreadingHTTPServer):
    """A site with a strict content policy and nothing on its pages but ClerkJS."""

    daemon_threads = True

    def __init__(self, clerk: RunningClerk) -> None:
        self.clerk = clerk
        super().__init__(("127.0.0.1", 0), Pages)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}"


class Pages(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        clerk = self.server.clerk
        component = "SignUp" if self.path.startswith("/sign-up") else "SignIn"
        body = PAGE.format(clerk=clerk.url, key=clerk.clerk.instance.publishable_key, component=component).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        policy = f"default-src 'none'; script-src 'nonce-n'; connect-src {clerk.url}; style-src 'none'"
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def running() -> Iterator[RunningClerk]:
    with RunningClerk(LocalClerk(Instance(token_lifetime=3), limits=Limits.off())) as running:
        running.clerk.store.create_user(emails=[("mira@example.com", True)], first_name="Mira", last_name="Vale")
        yield running


@pytest.fixture
def clerk(running: RunningClerk) -> LocalClerk:
    return running.clerk


@pytest.fixture
def site(running: RunningClerk) -> Iterator[Site]:
    with Site(running) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def cookies(page: Page) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies() if cookie["domain"] == "localhost"}


def sign_in(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_label("Email address").fill("mira@example.com")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code sent to you").fill("424242")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/done")
    expect(page).to_have_title("Loaded")


def test_signing_in_sets_the_cookies_of_both_names(page: Page, site: Site, clerk: LocalClerk) -> None:
    sign_in(page, site)
    expect(page.get_by_text("Mira Vale")).to_be_visible()
    found, suffix = cookies(page), clerk.instance.cookie_suffix
    for name in ("__session", "__client_uat", "__clerk_db_jwt"):
        assert found[name] == found[f"{name}_{suffix}"]
    assert int(found["__client_uat"]) > 0
    claims = clerk.signer.claims_of_expired(found["__session"])
    assert claims is not None
    assert (claims["azp"], claims["iat"] >= int(found["__client_uat"])) == (site.url, True)


def test_wrong_code_is_said_and_can_be_corrected(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_label("Email address").fill("mira@example.com")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code sent to you").fill("111111")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("Incorrect code")
    page.get_by_label("Code sent to you").fill("424242")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/done")


def test_signing_up_makes_a_user(page: Page, site: Site, clerk: LocalClerk) -> None:
    page.goto(f"{site.url}/sign-up")
    page.get_by_label("First name").fill("Nell")
    page.get_by_label("Email address").fill("nell@example.com")
    page.get_by_role("button", name="Sign up").click()
    page.get_by_label("Code sent to you").fill("424242")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/done")
    assert clerk.store.user_by_email("nell@example.com") is not None


def test_open_page_renews_its_token_by_itself(page: Page, site: Site) -> None:
    sign_in(page, site)
    first = cookies(page)["__session"]
    wait_for_another_cookie(page, "__session", first)
    assert cookies(page)["__session"].count(".") == 2


def test_token_is_kept_until_a_fresh_one_is_asked_for(page: Page, site: Site, clerk: LocalClerk) -> None:
    clerk.instance.token_lifetime = 60
    sign_in(page, site)
    same, fresh = page.evaluate(
        """async () => {
          const first = await Clerk.session.getToken();
          return [first === await Clerk.session.getToken(), await Clerk.session.getToken({ skipCache: true })];
        }"""
    )
    assert same
    assert cookies(page)["__session"] == fresh


def test_session_ended_elsewhere_signs_the_page_out(page: Page, site: Site, clerk: LocalClerk) -> None:
    sign_in(page, site)
    user = clerk.store.user_by_email("mira@example.com")
    assert user is not None
    [session] = clerk.store.active_sessions(user.id)
    clerk.store.end_session(session.id, "revoked")
    assert page.evaluate("Clerk.session.getToken({ skipCache: true })") is None
    assert not page.evaluate("Clerk.isSignedIn")
    assert "__session" not in cookies(page)
    assert cookies(page)["__client_uat"] == "0"


def test_unreachable_clerk_ends_no_session(page: Page, site: Site, clerk: LocalClerk) -> None:
    sign_in(page, site)
    clerk.faults.add(Fault(kind="status", status=500, match="/tokens", times=1))
    assert page.evaluate("Clerk.session.getToken({ skipCache: true }).catch(() => 'failed')") == "failed"
    assert page.evaluate("Clerk.isSignedIn")
    assert "__session" in cookies(page)


def test_user_button_signs_out(page: Page, site: Site, clerk: LocalClerk) -> None:
    sign_in(page, site)
    page.get_by_text("Mira Vale").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Email address")).to_be_visible()
    assert "__session" not in cookies(page)
    user = clerk.store.user_by_email("mira@example.com")
    assert user is not None
    assert clerk.store.active_sessions(user.id) == []
