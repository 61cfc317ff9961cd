"""What ClerkJS on a page asks of the Frontend API."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import requests

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.limits import Limits, Rate
from clerk_sync.emulator.server import RunningClerk
from tests.emulator.conftest import SITE, BackendClient
from tests.emulator.specification import assert_published


@dataclass
class Browser:
    """A page of the site in one browser; every answer is checked against the published schema."""

    url: str
    token: str = ""
    http: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        params = {"__clerk_db_jwt": self.token} if self.token else {}
        headers = {"Origin": SITE} | options.pop("headers", {})
        answer = self.http.request(method, self.url + path, params=params, headers=headers, timeout=10, **options)
        assert_published("fapi", method, path, answer)
        return answer

    def sign_in(self, email: str) -> dict[str, Any]:
        start = {"identifier": email}
        attempt = self.call("POST", "/v1/client/sign_ins", data=start).json()["response"]
        path = f"/v1/client/sign_ins/{attempt['id']}"
        factor = attempt["supported_first_factors"][0]
        prepare = {"strategy": factor["strategy"], "email_address_id": factor["email_address_id"]}
        self.call("POST", f"{path}/prepare_first_factor", data=prepare)
        done = self.call("POST", f"{path}/attempt_first_factor", data={"strategy": "email_code", "code": "424242"})
        body: dict[str, Any] = done.json()
        return body


@pytest.fixture
def browser(running: RunningClerk) -> Iterator[Browser]:
    browser = Browser(running.url)
    with browser.http:
        browser.token = browser.call("POST", "/v1/dev_browser").json()["id"]
        yield browser


def test_without_a_dev_browser_a_script_is_refused(running: RunningClerk) -> None:
    answer = requests.get(f"{running.url}/v1/client", headers={"Origin": SITE}, timeout=5)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "dev_browser_unauthenticated")


def test_script_of_another_site_is_refused(browser: Browser, clerk: LocalClerk) -> None:
    assert browser.call("GET", "/v1/client", headers={"Origin": "https://evil.example"}).status_code == 400
    clerk.instance.allowed_origins = ("http://localhost:9000",)
    assert browser.call("GET", "/v1/client").status_code == 400


def test_answers_may_be_read_by_the_site_with_its_cookies(browser: Browser) -> None:
    answer = browser.call("GET", "/v1/client")
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    preflight = browser.call("OPTIONS", "/v1/client")
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]


def test_email_code_signs_in_and_the_client_holds_the_session(browser: Browser, backend: BackendClient) -> None:
    user = backend.create_user("mira@example.com", first_name="Mira", private_metadata={"secret": 1})
    done = browser.sign_in("mira@example.com")
    assert done["response"]["status"] == "complete"
    client = browser.call("GET", "/v1/client").json()["response"]
    [session] = client["sessions"]
    assert session["id"] == client["last_active_session_id"] == done["response"]["created_session_id"]
    assert session["user"]["id"] == user["id"]
    assert "private_metadata" not in session["user"]
    assert browser.call("GET", "/v1/me").json()["response"]["first_name"] == "Mira"


def test_wrong_code_or_unknown_address_signs_nobody_in(browser: Browser, backend: BackendClient) -> None:
    backend.create_user("mira@example.com")
    unknown = browser.call("POST", "/v1/client/sign_ins", data={"identifier": "nobody@example.com"})
    assert unknown.status_code == 422
    attempt = browser.call("POST", "/v1/client/sign_ins", data={"identifier": "mira@example.com"}).json()["response"]
    path = f"/v1/client/sign_ins/{attempt['id']}"
    code = {"strategy": "email_code", "code": "424242"}
    assert browser.call("POST", f"{path}/attempt_first_factor", data=code).status_code == 400
    browser.call("POST", f"{path}/prepare_first_factor", data={"strategy": "email_code"})
    assert browser.call("POST", f"{path}/attempt_first_factor", data={**code, "code": "000000"}).status_code == 422
    assert browser.call("GET", "/v1/client").json()["response"]["sessions"] == []


def test_sign_up_creates_a_verified_user_and_a_session(browser: Browser, backend: BackendClient) -> None:
    fields = {"email_address": "new@example.com", "first_name": "Nell", "last_name": "Arden"}
    attempt = browser.call("POST", "/v1/client/sign_ups", data=fields).json()["response"]
    path = f"/v1/client/sign_ups/{attempt['id']}"
    assert attempt["status"] == "missing_requirements"
    browser.call("POST", f"{path}/prepare_verification", data={"strategy": "email_code"})
    code = {"strategy": "email_code", "code": "424242"}
    done = browser.call("POST", f"{path}/attempt_verification", data=code).json()["response"]
    assert done["status"] == "complete"
    user = backend.call("GET", f"/users/{done['created_user_id']}").json()
    assert user["email_addresses"][0]["verification"]["status"] == "verified"


def test_token_names_the_site_that_asked(browser: Browser, backend: BackendClient) -> None:
    backend.create_user("mira@example.com")
    session_id = browser.sign_in("mira@example.com")["response"]["created_session_id"]
    token = browser.call("POST", f"/v1/client/sessions/{session_id}/tokens").json()["jwt"]
    assert jwt.decode(token, options={"verify_signature": False})["azp"] == SITE


def test_session_of_another_browser_is_unknown(browser: Browser, backend: BackendClient, running: RunningClerk) -> None:
    backend.create_user("mira@example.com")
    session_id = browser.sign_in("mira@example.com")["response"]["created_session_id"]
    other = Browser(running.url)
    with other.http:
        other.token = other.call("POST", "/v1/dev_browser").json()["id"]
        for path in ("", "/tokens", "/touch", "/end"):
            method = "POST" if path else "GET"
            assert other.call(method, f"/v1/client/sessions/{session_id}{path}").status_code == 404


def test_ended_session_yields_no_token_and_clears_the_client(browser: Browser, backend: BackendClient) -> None:
    backend.create_user("mira@example.com")
    session_id = browser.sign_in("mira@example.com")["response"]["created_session_id"]
    path = f"/v1/client/sessions/{session_id}"
    assert browser.call("POST", f"{path}/touch").json()["response"]["status"] == "active"
    assert browser.call("POST", f"{path}/end").json()["response"]["status"] == "ended"
    assert browser.call("POST", f"{path}/tokens").status_code == 401
    assert browser.call("GET", "/v1/client").json()["response"]["last_active_session_id"] is None


def test_signing_out_removes_every_session(browser: Browser, backend: BackendClient, clerk: LocalClerk) -> None:
    user = backend.create_user("mira@example.com")
    browser.sign_in("mira@example.com")
    assert browser.call("DELETE", "/v1/client/sessions").json()["response"]["sessions"] == []
    assert clerk.store.active_sessions(user["id"]) == []
    assert clerk.webhooks.log[-1].type == "session.removed"


@pytest.mark.parametrize("limits", [Limits(sign_ins=Rate(1, 10))])
def test_sign_ins_are_limited_by_address(browser: Browser) -> None:
    answers = [browser.call("POST", "/v1/client/sign_ins", data={}).status_code for _ in range(2)]
    assert answers == [200, 429]


def test_environment_is_as_published(browser: Browser) -> None:
    answer = browser.call("GET", "/v1/environment").json()
    assert answer["user_settings"]["attributes"]["email_address"]["verifications"] == ["email_code"]


def test_public_keys_are_published(browser: Browser, clerk: LocalClerk) -> None:
    keys = browser.call("GET", "/.well-known/jwks.json").json()["keys"]
    assert [(key["kid"], key["alg"], key["kty"]) for key in keys] == [(clerk.instance.id, "RS256", "RSA")]
    assert set(keys[0]) == {"use", "kty", "kid", "alg", "n", "e"}
