"""The navigation to Clerk and back that a server-rendered site relies on."""

from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from clerk_sync.emulator.tokens import SESSION_CATEGORY
from tests.emulator.conftest import SITE, BackendClient


@pytest.fixture
def visitor() -> Iterator[requests.Session]:
    """A browser window: keeps the local Clerk's cookies, and shows us each redirect."""
    with requests.Session() as session:
        yield session


def visit(http: requests.Session, clerk: LocalClerk, **params: str) -> requests.Response:
    url = f"{clerk.instance.frontend_api_url}/v1/client/handshake"
    query = {"redirect_url": f"{SITE}/people/?page=2", **params}
    return http.get(url, params=query, allow_redirects=False, timeout=5)


def directives(clerk: LocalClerk, token: str) -> dict[str, SimpleCookie]:
    """The handshake's Set-Cookie lines by cookie name, after its signature was verified."""
    assert jwt.get_unverified_header(token)["cat"] == SESSION_CATEGORY
    payload = jwt.decode(token, clerk.signer.public_pem, algorithms=["RS256"])
    parsed = [SimpleCookie(line) for line in payload["handshake"]]
    return {next(iter(cookie)): cookie for cookie in parsed}


def sign_in(http: requests.Session, clerk: LocalClerk, user_id: str) -> requests.Response:
    data = {"user_id": user_id, "redirect_url": f"{SITE}/dashboard/"}
    return http.post(f"{clerk.instance.frontend_api_url}/sign-in", data=data, allow_redirects=False, timeout=5)


def test_signed_in_browser_returns_with_session_cookies(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient
) -> None:
    user = backend.create_user()
    location = sign_in(visitor, clerk, user["id"]).headers["Location"]
    assert location.startswith(f"{SITE}/dashboard/?__clerk_db_jwt=")
    dev_browser = parse_qs(urlsplit(location).query)["__clerk_db_jwt"][0]
    answer = visit(visitor, clerk, format="token", suffixed_cookies="true", __clerk_db_jwt=dev_browser)
    assert answer.status_code == 307
    assert answer.headers["Cache-Control"] == "no-store"
    back = urlsplit(answer.headers["Location"])
    query = parse_qs(back.query)
    assert (f"{back.scheme}://{back.netloc}{back.path}", query["page"]) == (f"{SITE}/people/", ["2"])
    cookies = directives(clerk, query["__clerk_handshake"][0])
    suffix = clerk.instance.cookie_suffix
    assert set(cookies) == {
        "__session",
        f"__session_{suffix}",
        "__client_uat",
        f"__client_uat_{suffix}",
        f"__refresh_{suffix}",
        "__clerk_db_jwt",
        f"__clerk_db_jwt_{suffix}",
    }
    claims = jwt.decode(cookies["__session"]["__session"].value, clerk.signer.public_pem, algorithms=["RS256"])
    assert claims["sub"] == user["id"]
    assert "azp" not in claims
    assert claims["iat"] >= int(cookies["__client_uat"]["__client_uat"].value) > 0
    assert cookies["__clerk_db_jwt"]["__clerk_db_jwt"].value == dev_browser


def test_without_suffixes_the_plain_cookies_come_and_the_refresh_cookie_that_has_no_plain_form(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient
) -> None:
    sign_in(visitor, clerk, backend.create_user()["id"])
    location = visit(visitor, clerk).headers["Location"]
    cookies = directives(clerk, parse_qs(urlsplit(location).query)["__clerk_handshake"][0])
    refresh = f"__refresh_{clerk.instance.cookie_suffix}"
    assert set(cookies) == {"__session", "__client_uat", "__clerk_db_jwt", refresh}


def test_unknown_browser_becomes_one_and_returns_signed_out(visitor: requests.Session, clerk: LocalClerk) -> None:
    location = visit(visitor, clerk, suffixed_cookies="true", __clerk_db_jwt="dvb_forgotten").headers["Location"]
    cookies = directives(clerk, parse_qs(urlsplit(location).query)["__clerk_handshake"][0])
    assert cookies["__client_uat"]["__client_uat"].value == "0"
    assert cookies["__session"]["__session"]["expires"].startswith("Thu, 01 Jan 1970")
    assert cookies["__clerk_db_jwt"]["__clerk_db_jwt"].value in {each.token for each in clerk.store.clients.values()}


def test_revoked_session_returns_signed_out(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient
) -> None:
    user = backend.create_user()
    sign_in(visitor, clerk, user["id"])
    [session] = clerk.store.active_sessions(user["id"])
    backend.call("POST", f"/sessions/{session.id}/revoke")
    location = visit(visitor, clerk).headers["Location"]
    cookies = directives(clerk, parse_qs(urlsplit(location).query)["__clerk_handshake"][0])
    assert cookies["__client_uat"]["__client_uat"].value == "0"


def test_nonce_is_redeemed_once_by_the_backend(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient
) -> None:
    sign_in(visitor, clerk, backend.create_user()["id"])
    location = visit(visitor, clerk, format="nonce").headers["Location"]
    nonce = parse_qs(urlsplit(location).query)["__clerk_handshake_nonce"][0]
    payload = backend.call("GET", "/clients/handshake_payload", params={"nonce": nonce})
    assert payload.json()["directives"][0].startswith("__session=")
    assert backend.call("GET", "/clients/handshake_payload", params={"nonce": nonce}).status_code == 404


@pytest.mark.parametrize("target", ["", "https://evil.example/", "/relative", "javascript:alert(1)"])
def test_no_token_goes_to_an_address_that_is_not_the_sites(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient, target: str
) -> None:
    sign_in(visitor, clerk, backend.create_user()["id"])
    answer = visit(visitor, clerk, redirect_url=target)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    form = {"user_id": "user_1", "redirect_url": target or "//evil.example"}
    refused = visitor.post(f"{clerk.instance.frontend_api_url}/sign-in", data=form, allow_redirects=False, timeout=5)
    assert refused.status_code == 400


@pytest.mark.parametrize(
    "instance",
    [Instance(kind="live", cookie_domain="manageros.localhost", allowed_origins=("https://app.manageros.localhost",))],
)
def test_live_instance_sends_cookies_and_nothing_in_the_address(running: RunningClerk, clerk: LocalClerk) -> None:
    target = "https://app.manageros.localhost/dashboard/"
    user = clerk.store.create_user(emails=[("mira@example.com", True)])
    client = clerk.store.create_client()
    clerk.store.sign_in(client, user)
    answer = requests.get(
        f"{running.url}/v1/client/handshake",
        params={"redirect_url": target, "suffixed_cookies": "true"},
        headers={"Cookie": f"__client={client.token}"},
        allow_redirects=False,
        timeout=5,
    )
    assert answer.headers["Location"] == target
    cookies = SimpleCookie()
    for line in answer.raw.headers.getlist("Set-Cookie"):
        cookies.load(line)
    assert cookies["__clerk_handshake"]["domain"] == "manageros.localhost"
    sent = directives(clerk, cookies["__clerk_handshake"].value)
    assert not [name for name in sent if name.startswith("__clerk_db_jwt")]
    assert all("secure" in cookie[name] for name, cookie in sent.items())
    assert cookies["__client_uat"].value == str(client.signed_at)


def test_form_of_another_site_signs_nobody_in(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient
) -> None:
    user = backend.create_user()
    visitor.headers["Origin"] = "https://evil.example"
    assert sign_in(visitor, clerk, user["id"]).status_code == 403
    assert clerk.store.active_sessions(user["id"]) == []


def test_pages_list_users_metadata_and_calls(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient
) -> None:
    user = backend.create_user("mira@example.com", first_name="<b>Mira", public_metadata={"role": "admin"})
    home = clerk.instance.frontend_api_url
    overview = visitor.get(home, timeout=5).text
    assert "&lt;b&gt;Mira" in overview
    assert "&#34;role&#34;: &#34;admin&#34;" in overview
    assert "POST /v1/users" in overview
    assert user["id"] in visitor.get(f"{home}/sign-in", timeout=5).text


def test_sign_up_page_makes_a_user_and_signs_in(visitor: requests.Session, clerk: LocalClerk) -> None:
    form = {"email_address": "new@example.com", "first_name": "Nell", "redirect_url": f"{SITE}/"}
    home = clerk.instance.frontend_api_url
    assert visitor.get(f"{home}/sign-up", timeout=5).status_code == 200
    answer = visitor.post(f"{home}/sign-up", data=form, allow_redirects=False, timeout=5)
    assert answer.headers["Location"].startswith(f"{SITE}/?__clerk_db_jwt=")
    user = clerk.store.user_by_email("new@example.com")
    assert user is not None
    assert len(clerk.store.active_sessions(user.id)) == 1
    visitor.post(f"{home}/sign-out", data={"redirect_url": f"{SITE}/"}, allow_redirects=False, timeout=5)
    assert clerk.store.active_sessions(user.id) == []


def test_invitation_leads_to_a_sign_up_that_accepts_it(
    visitor: requests.Session, clerk: LocalClerk, backend: BackendClient
) -> None:
    body = {"email_address": "new@example.com", "redirect_url": f"{SITE}/", "public_metadata": {"from": "invitation"}}
    invitation = backend.call("POST", "/invitations", json=body).json()
    page = visitor.get(invitation["url"], timeout=5)
    assert 'value="new@example.com"' in page.text
    ticket = parse_qs(urlsplit(page.url).query)["__clerk_ticket"][0]
    form = {"email_address": "new@example.com", "first_name": "Nell", "__clerk_ticket": ticket, "redirect_url": SITE}
    visitor.post(f"{clerk.instance.frontend_api_url}/sign-up", data=form, allow_redirects=False, timeout=5)
    assert backend.call("GET", "/invitations").json()[0]["status"] == "accepted"
    user = clerk.store.user_by_email("new@example.com")
    assert user is not None
    assert user.public_metadata == {"from": "invitation"}
