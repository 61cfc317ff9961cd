"""What Clerk sends back with a browser: whose cookies are set from it, and whose are not."""

import time
from typing import Any
from urllib.parse import urlencode

import pytest
import responses
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from clerk_sync.instance import clerk_instance
from tests.clerk_sync.test_handshake_states import DOCUMENT, FETCH, LIVE_KEY
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]

LAX = "Path=/; SameSite=Lax"


def payload(clerk: ClerkInstance, *directives: Any, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    registered = dict.fromkeys(("azp", "exp", "fva", "iat", "iss", "jti", "nbf", "sid", "sts", "sub", "v"))
    return clerk.token(headers=headers, claims={"handshake": list(directives), **claims}, **registered)


def signed_in_cookies(clerk: ClerkInstance, ada: User) -> list[str]:
    token = clerk.token(claims=claims_of(ada))
    suffix = clerk_instance().cookie_suffix
    return [
        f"__session={token}; {LAX}",
        f"__session_{suffix}={token}; {LAX}",
        f"__client_uat=1700000000; {LAX}; Max-Age=315360000",
        f"__client_uat_{suffix}=1700000000; {LAX}; Max-Age=315360000",
        f"__refresh_{suffix}=rt_1; {LAX}; HttpOnly; Secure; Partitioned",
        f"__clerk_db_jwt=dvb_new; {LAX}",
    ]


@pytest.fixture
def _production_keys(settings: Settings) -> None:
    settings.CLERK_PUBLISHABLE_KEY = LIVE_KEY


# --- Development: in the address


def test_development_sets_the_cookies_and_cleans_the_address(clerk: ClerkInstance, ada: User, client: Client) -> None:
    query = {"tab": "2", "__clerk_handshake": payload(clerk, *signed_in_cookies(clerk, ada)), "__clerk_db_jwt": "x"}

    response = client.get(f"/who/?{urlencode(query)}", headers=DOCUMENT)

    assert response.status_code == 307
    assert response.headers["Location"] == "http://testserver/who/?tab=2"
    assert "no-store" in response.headers["Cache-Control"]
    suffix = clerk_instance().cookie_suffix
    assert response.cookies["__clerk_db_jwt"].value == "dvb_new"
    refresh = response.cookies[f"__refresh_{suffix}"]
    assert (refresh.value, refresh["httponly"], refresh["secure"], refresh["path"]) == ("rt_1", True, True, "/")
    uat = response.cookies["__client_uat"]
    assert (uat["max-age"], uat["samesite"], uat["domain"], uat["httponly"]) == (315360000, "Lax", "", "")

    assert client.get("/who/?tab=2", headers=DOCUMENT).json()["source"] == "session_claims"


def test_development_signs_out_as_well(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    suffix = clerk_instance().cookie_suffix
    gone = "Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    directives = [f"__session=; {gone}", f"__session_{suffix}=; {gone}", "__client_uat=0", f"__client_uat_{suffix}=0"]

    client.get(f"/who/?{urlencode({'__clerk_handshake': payload(clerk, *directives)})}", headers=DOCUMENT)

    assert client.get("/who/", headers=DOCUMENT).json()["refusal"] == "signed_out"


def test_development_does_not_take_the_cookie_form(clerk: ClerkInstance, ada: User, client: Client) -> None:
    client.cookies["__clerk_handshake"] = payload(clerk, *signed_in_cookies(clerk, ada))
    client.cookies["__clerk_db_jwt"] = "dvb_tests"

    assert client.get("/who/", headers=FETCH).json()["refusal"] == "signed_out"


def forged(clerk: ClerkInstance) -> dict[str, str]:
    cookie = "__client_uat=1"
    now = int(time.time())
    header, body, signature = payload(clerk, cookie).split(".")
    return {
        "not a token": "garbage",
        "badly signed": f"{header}.{body}.{signature[:-8]}AAAAAAAA",
        "signed by another": payload(ClerkInstance(), cookie),
        "a template's": payload(clerk, cookie, headers={"cat": "cl_B7d4PD222AAA"}),
        "a machine's": payload(clerk, cookie, headers={"cat": "cl_B7d4PD333AAA"}),
        "a template's of an instance without categories": payload(
            clerk, cookie, sub="user_1", headers={"cat": "cl_I7d4PD111III"}
        ),
        "a template's without a category": payload(clerk, cookie, sub="user_1", headers={"cat": None}),
        "expired": payload(clerk, cookie, exp=now - 60),
        "from the future": payload(clerk, cookie, iat=now + 60),
        "of a wrong type": payload(clerk, 7),
        "without cookies": clerk.token(sid=None),
        "a text": clerk.token(claims={"handshake": cookie}),
    }


FORGERIES = list(forged(ClerkInstance()))


@pytest.mark.parametrize("kind", FORGERIES)
def test_development_stops_at_a_payload_that_is_not_clerks(clerk: ClerkInstance, client: Client, kind: str) -> None:
    client.cookies["__clerk_db_jwt"] = "dvb_tests"

    response = client.get(f"/who/?{urlencode({'__clerk_handshake': forged(clerk)[kind]})}", headers=DOCUMENT)

    assert response.status_code == 401
    assert "handshake_invalid" in response.text
    assert not response.cookies


# --- Production: in a cookie


@pytest.mark.usefixtures("_production_keys")
def test_production_answers_at_once_with_the_cookies_set(clerk: ClerkInstance, ada: User, client: Client) -> None:
    client.cookies["__clerk_handshake"] = payload(clerk, *signed_in_cookies(clerk, ada))

    response = client.get("/who/", headers=DOCUMENT)

    assert response.json()["source"] == "session_claims"
    assert response.cookies["__session"].value.startswith("eyJ")
    assert response.cookies["__clerk_handshake"]["max-age"] == 0
    del client.cookies["__clerk_handshake"]
    assert client.get("/who/", headers=DOCUMENT).json()["source"] == "session_claims"


@pytest.mark.usefixtures("_production_keys")
def test_production_does_not_take_a_payload_from_the_address(clerk: ClerkInstance, ada: User, client: Client) -> None:
    query = urlencode({"__clerk_handshake": payload(clerk, *signed_in_cookies(clerk, ada))})

    response = client.get(f"/who/?{query}", headers=DOCUMENT)

    assert (response.status_code, response.json()["refusal"]) == (200, "signed_out")
    assert not response.cookies


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.usefixtures("_production_keys")
def test_production_goes_on_without_a_payload_that_is_not_clerks(
    clerk: ClerkInstance, ada: User, client: Client, kind: str
) -> None:
    """It may be that of another site on the domain."""
    client.cookies["__session"] = clerk.token(claims=claims_of(ada))
    client.cookies["__client_uat"] = "1"
    client.cookies["__clerk_handshake"] = forged(clerk)[kind]

    response = client.get("/who/", headers=DOCUMENT)

    assert response.json()["is_authenticated"] is True
    assert response.cookies.keys() == {"__clerk_handshake"}


@pytest.mark.usefixtures("_production_keys")
def test_a_leftover_payload_does_not_hide_a_good_session(clerk: ClerkInstance, ada: User, client: Client) -> None:
    now = int(time.time())
    old = clerk.token(exp=now - 600, iat=now - 660, nbf=now - 670)
    client.cookies["__session"] = clerk.token(claims=claims_of(ada))
    client.cookies["__client_uat"] = "1"
    client.cookies["__clerk_handshake"] = payload(clerk, f"__session={old}", "__client_uat=1")

    response = client.get("/who/", headers=FETCH)

    assert response.json()["is_authenticated"] is True
    assert "__session" not in response.cookies


# --- Whose cookies


@pytest.mark.usefixtures("_production_keys")
def test_only_this_instances_cookies_are_set(clerk: ClerkInstance, client: Client) -> None:
    directives = [
        "sessionid=stolen; Path=/",
        "csrftoken=known; Path=/",
        "__session_ANOTHER1=x",
        "__sessionfoo=x",
        "__clerk_redirect_count=0",
        "__client_uat=1",
        "=nameless",
        "",
        "__session=with space",
        '__session="quoted"',
        "__refresh=never without a suffix",
    ]
    client.cookies["__clerk_handshake"] = payload(clerk, *directives)

    response = client.get("/who/", headers=FETCH)

    assert response.cookies.keys() == {"__client_uat", "__clerk_handshake"}


@pytest.mark.parametrize(
    ("host", "domain", "kept"),
    [
        ("app.manageros.test", "manageros.test", "manageros.test"),
        ("app.manageros.test", ".manageros.test", "manageros.test"),
        ("manageros.test", "manageros.test", "manageros.test"),
        ("app.manageros.test", "test", ""),
        ("app.manageros.test", "evil.test", ""),
        ("evilmanageros.test", "manageros.test", ""),
    ],
)
@pytest.mark.usefixtures("_production_keys")
def test_a_domain_is_kept_for_the_sign_in_time_alone_and_never_widened(
    settings: Settings, clerk: ClerkInstance, client: Client, host: str, domain: str, kept: str
) -> None:
    settings.ALLOWED_HOSTS = [host]
    client.cookies["__clerk_handshake"] = payload(
        clerk, f"__client_uat=1; Domain={domain}", f"__clerk_db_jwt=x; Domain={domain}"
    )

    response = client.get("/who/", headers={**FETCH, "Host": host})

    assert response.cookies["__client_uat"]["domain"] == kept
    assert response.cookies["__clerk_db_jwt"]["domain"] == ""


# --- Refresh


@pytest.fixture
def expired(clerk: ClerkInstance, ada: User, client: Client) -> str:
    """An expired session, with the cookie that may renew it."""
    now = int(time.time())
    token = clerk.token(claims=claims_of(ada), exp=now - 60, iat=now - 120, nbf=now - 130)
    sign_in(client, token)
    client.cookies[f"__refresh_{clerk_instance().cookie_suffix}"] = "rt_1"
    return token


REFRESH = "https://api.clerk.test/v1/sessions/sess_1/refresh"


@responses.activate
def test_an_expired_session_is_refreshed_without_a_redirect(
    clerk: ClerkInstance, ada: User, client: Client, expired: str
) -> None:
    fresh = clerk.token(claims=claims_of(ada), azp=None)
    body = {"expired_token": expired, "refresh_token": "rt_1", "request_origin": "http://testserver", "format": "token"}
    responses.post(
        REFRESH, json={"object": "token", "jwt": fresh}, match=[responses.matchers.json_params_matcher(body)]
    )

    response = client.get("/who/", headers=DOCUMENT)

    assert response.json()["source"] == "session_claims"
    cookie = response.cookies["__session"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (fresh, "", "Lax")
    assert response.cookies[f"__session_{clerk_instance().cookie_suffix}"].value == fresh


@pytest.mark.parametrize("status", [401, 404, 429, 500])
@responses.activate
def test_what_cannot_be_refreshed_goes_through_the_handshake(
    clerk: ClerkInstance, client: Client, expired: str, status: int
) -> None:
    responses.post(REFRESH, status=status, json={"errors": []})

    response = client.get("/who/", headers=DOCUMENT)

    assert response.status_code == 307
    assert "session-token-expired" in response.headers["Location"]


@pytest.mark.parametrize(("method", "headers"), [("GET", FETCH), ("POST", DOCUMENT)])
@responses.activate
def test_only_a_document_is_refreshed(
    clerk: ClerkInstance, client: Client, expired: str, method: str, headers: dict[str, str]
) -> None:
    response = client.generic(method, "/who/", headers=headers)

    assert response.json()["refusal"] == "token_expired"
    assert not responses.calls


@responses.activate
def test_a_refreshed_token_is_verified_like_any_other(clerk: ClerkInstance, client: Client, expired: str) -> None:
    responses.post(REFRESH, json={"object": "token", "jwt": ClerkInstance().token()})

    response = client.get("/who/", headers=DOCUMENT)

    assert response.json()["refusal"] == "token_signature_invalid"
    assert "__session" not in response.cookies
