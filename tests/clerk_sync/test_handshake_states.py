"""Every state that a browser's cookies can be in, and what comes of it: Clerk's ten-step decision order."""

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from tests.instance import ClerkInstance, claims_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]

TEST_KEY = "pk_test_Y2xlcmsubWFuYWdlcm9zLnRlc3Qk"
LIVE_KEY = "pk_live_Y2xlcmsubWFuYWdlcm9zLnRlc3Qk"

DOCUMENT = {"Sec-Fetch-Dest": "document", "Accept": "text/html,*/*"}
FRAME = {"Sec-Fetch-Dest": "iframe"}
OLD_BROWSER = {"Accept": "text/html,application/xhtml+xml"}
FETCH = {"Sec-Fetch-Dest": "empty", "Accept": "*/*"}
FETCH_OF_HTML = {"Sec-Fetch-Dest": "empty", "Accept": "text/html"}
IMAGE = {"Sec-Fetch-Dest": "image", "Accept": "image/*"}
CURL = {"Accept": "*/*"}
HTMX = {"HX-Request": "true", "Accept": "text/html"}

LONG_AGO, EARLIER, LATER = "1", "earlier", "later"
DEV, PROD = "development", "production"
IN, OUT = "signed in", "signed out"


def tokens(clerk: ClerkInstance, ada: User) -> dict[str, str]:
    now = int(time.time())
    claims = claims_of(ada)
    header, payload, signature = clerk.token(claims=claims).split(".")
    expired: dict[str, Any] = {"exp": now - 60, "iat": now - 120, "nbf": now - 130}
    return {
        "good": clerk.token(claims=claims),
        "expired": clerk.token(claims=claims, **expired),
        "just expired": clerk.token(claims=claims, exp=now - 2, iat=now - 62),
        "not yet valid": clerk.token(claims=claims, nbf=now + 30),
        "from the future": clerk.token(claims=claims, iat=now + 30, nbf=now),
        "badly signed": f"{header}.{payload}.{signature[:-8]}AAAAAAAA",
        "of another party": clerk.token(claims=claims, azp="https://another.test"),
        "of no party": clerk.token(claims=claims, azp=None),
        "pending": clerk.token(claims=claims, sts="pending"),
        "a template's": clerk.token(claims=claims, headers={"cat": "cl_B7d4PD222AAA"}),
        "a machine's": clerk.token(claims=claims, headers={"cat": "cl_B7d4PD333AAA"}),
        "garbage": "garbage",
    }


# Each row: instance, token, client_uat, development browser known, method, headers, outcome
STATES: list[tuple[str, str | None, str | None, bool, str, dict[str, str], str]] = [
    # A good session
    (DEV, "good", LONG_AGO, True, "GET", DOCUMENT, IN),
    (DEV, "good", LONG_AGO, True, "GET", FETCH, IN),
    (DEV, "good", LONG_AGO, True, "POST", DOCUMENT, IN),
    (PROD, "good", LONG_AGO, False, "GET", DOCUMENT, IN),
    (PROD, "good", LONG_AGO, False, "POST", FETCH, IN),
    (PROD, "just expired", LONG_AGO, False, "GET", DOCUMENT, IN),  # within the leeway
    (PROD, "of no party", LONG_AGO, False, "GET", DOCUMENT, IN),
    # Nothing at all
    (PROD, None, None, False, "GET", DOCUMENT, f"{OUT}: signed_out"),
    (PROD, None, None, False, "GET", FETCH, f"{OUT}: signed_out"),
    (PROD, None, "0", False, "GET", DOCUMENT, f"{OUT}: signed_out"),
    (DEV, None, None, True, "GET", DOCUMENT, f"{OUT}: signed_out"),
    (DEV, None, "0", True, "GET", DOCUMENT, f"{OUT}: signed_out"),
    # A development browser that Clerk does not know yet
    (DEV, None, None, False, "GET", DOCUMENT, "handshake: dev-browser-missing"),
    (DEV, None, None, False, "GET", OLD_BROWSER, "handshake: dev-browser-missing"),
    (DEV, None, None, False, "GET", FETCH, f"{OUT}: signed_out"),
    (DEV, None, None, False, "GET", CURL, f"{OUT}: signed_out"),
    (DEV, None, None, False, "POST", DOCUMENT, f"{OUT}: signed_out"),
    (DEV, "good", LONG_AGO, False, "GET", DOCUMENT, "handshake: dev-browser-missing"),
    (DEV, "good", LONG_AGO, False, "GET", FETCH, f"{OUT}: session_incomplete"),
    # A session without the time of the sign-in
    (PROD, "good", None, False, "GET", DOCUMENT, "handshake: session-token-but-no-client-uat"),
    (PROD, "good", "0", False, "GET", DOCUMENT, "handshake: session-token-but-no-client-uat"),
    (PROD, "good", "garbage", False, "GET", DOCUMENT, "handshake: session-token-but-no-client-uat"),
    (PROD, "good", None, False, "GET", FETCH, f"{OUT}: session_incomplete"),
    (PROD, "good", None, False, "POST", DOCUMENT, f"{OUT}: session_incomplete"),
    (DEV, "good", None, True, "GET", DOCUMENT, "handshake: session-token-but-no-client-uat"),
    (DEV, "garbage", None, True, "GET", DOCUMENT, "handshake: session-token-but-no-client-uat"),
    # A sign-in without a session
    (PROD, None, LONG_AGO, False, "GET", DOCUMENT, "handshake: client-uat-but-no-session-token"),
    (PROD, None, LONG_AGO, False, "GET", FRAME, "handshake: client-uat-but-no-session-token"),
    (PROD, None, LONG_AGO, False, "GET", FETCH, f"{OUT}: session_incomplete"),
    (DEV, None, LONG_AGO, True, "GET", DOCUMENT, "handshake: client-uat-but-no-session-token"),
    # A token that Clerk can replace
    (PROD, "expired", EARLIER, False, "GET", DOCUMENT, "handshake: session-token-expired"),
    (PROD, "expired", EARLIER, False, "GET", FRAME, "handshake: session-token-expired"),
    (PROD, "expired", EARLIER, False, "GET", OLD_BROWSER, "handshake: session-token-expired"),
    (PROD, "expired", EARLIER, False, "GET", FETCH, f"{OUT}: token_expired"),
    (PROD, "expired", EARLIER, False, "GET", FETCH_OF_HTML, f"{OUT}: token_expired"),
    (PROD, "expired", EARLIER, False, "GET", IMAGE, f"{OUT}: token_expired"),
    (PROD, "expired", EARLIER, False, "GET", CURL, f"{OUT}: token_expired"),
    (PROD, "expired", EARLIER, False, "GET", HTMX, f"{OUT}: token_expired"),
    (PROD, "expired", EARLIER, False, "HEAD", DOCUMENT, f"{OUT}: token_expired"),
    (PROD, "expired", EARLIER, False, "POST", DOCUMENT, f"{OUT}: token_expired"),
    (PROD, "expired", EARLIER, False, "DELETE", FETCH, f"{OUT}: token_expired"),
    (DEV, "expired", EARLIER, True, "GET", DOCUMENT, "handshake: session-token-expired"),
    (DEV, "expired", EARLIER, True, "POST", DOCUMENT, f"{OUT}: token_expired"),
    (PROD, "not yet valid", LONG_AGO, False, "GET", DOCUMENT, "handshake: session-token-nbf"),
    (PROD, "not yet valid", LONG_AGO, False, "GET", FETCH, f"{OUT}: token_not_yet_valid"),
    (PROD, "from the future", LONG_AGO, False, "GET", DOCUMENT, "handshake: session-token-iat-in-the-future"),
    (PROD, "from the future", LONG_AGO, False, "GET", FETCH, f"{OUT}: token_issued_in_future"),
    # A token from before the last sign-in or sign-out
    (PROD, "good", LATER, False, "GET", DOCUMENT, "handshake: session-token-iat-before-client-uat"),
    (PROD, "expired", LATER, False, "GET", DOCUMENT, "handshake: session-token-iat-before-client-uat"),
    (PROD, "badly signed", LATER, False, "GET", DOCUMENT, "handshake: session-token-iat-before-client-uat"),
    (PROD, "good", LATER, False, "GET", FETCH, f"{OUT}: session_incomplete"),
    # A token that the next would be like: never a redirect
    (PROD, "badly signed", LONG_AGO, False, "GET", DOCUMENT, f"{OUT}: token_signature_invalid"),
    (PROD, "of another party", LONG_AGO, False, "GET", DOCUMENT, f"{OUT}: token_party_not_allowed"),
    (PROD, "pending", LONG_AGO, False, "GET", DOCUMENT, f"{OUT}: session_pending"),
    (PROD, "a template's", LONG_AGO, False, "GET", DOCUMENT, f"{OUT}: token_kind_not_allowed"),
    (PROD, "a machine's", LONG_AGO, False, "GET", DOCUMENT, f"{OUT}: token_kind_not_allowed"),
    (PROD, "a template's", LATER, False, "GET", DOCUMENT, f"{OUT}: token_kind_not_allowed"),
    (PROD, "garbage", LONG_AGO, False, "GET", DOCUMENT, f"{OUT}: token_malformed"),
    (DEV, "badly signed", LONG_AGO, True, "GET", DOCUMENT, f"{OUT}: token_signature_invalid"),
    (DEV, "garbage", LONG_AGO, True, "GET", DOCUMENT, f"{OUT}: token_malformed"),
]


@pytest.fixture
def _production_keys(settings: Settings) -> None:
    settings.CLERK_PUBLISHABLE_KEY = LIVE_KEY


@pytest.mark.prove
@pytest.mark.parametrize(("instance", "token", "uat", "dev_browser", "method", "headers", "outcome"), STATES)
def test_state(
    settings: Settings,
    clerk: ClerkInstance,
    ada: User,
    client: Client,
    instance: str,
    token: str | None,
    uat: str | None,
    dev_browser: bool,
    method: str,
    headers: dict[str, str],
    outcome: str,
) -> None:
    settings.CLERK_PUBLISHABLE_KEY = TEST_KEY if instance == DEV else LIVE_KEY
    times = {EARLIER: str(int(time.time()) - 3600), LATER: str(int(time.time()) + 10)}
    if token is not None:
        client.cookies["__session"] = tokens(clerk, ada)[token]
    if uat is not None:
        client.cookies["__client_uat"] = times.get(uat, uat)
    if dev_browser:
        client.cookies["__clerk_db_jwt"] = "dvb_tests"

    response = client.generic(method, "/who/?tab=2", headers=headers)

    assert came_to(response) == outcome


def came_to(response: Any) -> str:
    if response.status_code == 307:
        query = parse_qs(urlsplit(response.headers["Location"]).query)
        assert response.headers["Cache-Control"].endswith("private")
        assert "no-store" in response.headers["Cache-Control"]
        assert "session" not in response.headers["Location"].replace("session-token", "")
        assert query["redirect_url"] == ["http://testserver/who/?tab=2"]
        return f"handshake: {query['__clerk_hs_reason'][0]}"
    identification = response.wsgi_request.identification
    if identification.user.is_authenticated:
        return IN
    return f"{OUT}: {identification.refusal.reason}"


# --- The steps that a link from Clerk brings


@pytest.mark.parametrize(
    ("instance", "headers", "outcome"),
    [
        (DEV, DOCUMENT, "handshake: dev-browser-sync"),
        (DEV, FETCH, f"{OUT}: session_incomplete"),
        (PROD, DOCUMENT, IN),
    ],
)
def test_a_development_browser_in_the_address_is_taken_to_clerk(
    settings: Settings,
    clerk: ClerkInstance,
    ada: User,
    client: Client,
    instance: str,
    headers: dict[str, str],
    outcome: str,
) -> None:
    settings.CLERK_PUBLISHABLE_KEY = TEST_KEY if instance == DEV else LIVE_KEY
    client.cookies["__session"] = tokens(clerk, ada)["good"]
    client.cookies["__client_uat"] = LONG_AGO
    client.cookies["__clerk_db_jwt"] = "dvb_old"

    response = client.get("/who/?tab=2&__clerk_db_jwt=dvb_new", headers=headers)

    assert came_to(response) == outcome
    if response.status_code == 307:
        assert parse_qs(urlsplit(response.headers["Location"]).query)["__clerk_db_jwt"] == ["dvb_new"]


@pytest.mark.parametrize(
    ("count", "outcome"),
    [
        (None, "handshake: session-token-expired"),
        ("0", "handshake: session-token-expired"),
        ("2", "handshake: session-token-expired"),
        ("nonsense", "handshake: session-token-expired"),
        ("-5", "handshake: session-token-expired"),
        ("3", f"{OUT}: handshake_loop"),
        ("4", f"{OUT}: handshake_loop"),
        ("999", f"{OUT}: handshake_loop"),
    ],
)
@pytest.mark.usefixtures("_production_keys")
def test_a_loop_ends(clerk: ClerkInstance, ada: User, client: Client, count: str | None, outcome: str) -> None:
    client.cookies["__session"] = tokens(clerk, ada)["expired"]
    client.cookies["__client_uat"] = LONG_AGO
    if count is not None:
        client.cookies["__clerk_redirect_count"] = count

    response = client.get("/who/?tab=2", headers=DOCUMENT)

    assert came_to(response) == outcome
    if response.status_code == 307:
        counter = response.cookies["__clerk_redirect_count"]
        assert (counter["max-age"], counter["httponly"], counter["samesite"]) == (2, True, "Lax")
        assert int(counter.value) in {1, 3}


@pytest.mark.parametrize(
    ("token", "uat", "cause"),
    [
        ("expired", LONG_AGO, "clock"),
        ("from the future", LONG_AGO, "clock"),
        ("good", None, "host name"),
        (None, LONG_AGO, "host name"),
        ("good", str(2**33), "another Clerk instance"),
    ],
)
@pytest.mark.usefixtures("_production_keys")
def test_the_page_after_a_loop_names_its_cause(
    clerk: ClerkInstance, ada: User, client: Client, token: str | None, uat: str | None, cause: str
) -> None:
    client.cookies["__clerk_redirect_count"] = "3"
    if token is not None:
        client.cookies["__session"] = tokens(clerk, ada)[token]
    if uat is not None:
        client.cookies["__client_uat"] = uat

    response = client.get("/private/", headers=DOCUMENT)

    assert response.status_code == 401
    assert "handshake_loop" in response.text
    assert cause in response.text


@pytest.mark.usefixtures("_production_keys")
def test_a_page_that_does_not_exist_is_404_and_no_redirect(clerk: ClerkInstance, ada: User, client: Client) -> None:
    client.cookies["__session"] = tokens(clerk, ada)["expired"]
    client.cookies["__client_uat"] = LONG_AGO

    assert client.get("/nowhere/", headers=DOCUMENT).status_code == 404
