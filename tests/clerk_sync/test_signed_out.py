"""A token that is not acceptable signs nobody in: the page says why, the API answers 401 with the reason's code."""

import time
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.models import Membership, User
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]


def long_ago() -> dict[str, Any]:
    return {"exp": int(time.time()) - 3600, "iat": int(time.time()) - 3660, "nbf": int(time.time()) - 3670}


def bad_token(kind: str, clerk: ClerkInstance) -> str:
    now = int(time.time())
    match kind:
        case "token_expired":
            return clerk.token(**long_ago())
        case "token_signature_invalid":
            header, payload, signature = clerk.token().split(".")
            return f"{header}.{payload}.{signature[:-8]}AAAAAAAA"
        case "token_issuer_not_allowed":
            return clerk.token(iss="https://clerk.another.test")
        case "token_algorithm_not_allowed":
            return "eyJhbGciOiJub25lIn0.e30."
        case "session_pending":
            return clerk.token(sts="pending")
        case "token_issued_in_future":
            return clerk.token(iat=now + 60, nbf=now)
        case "token_not_yet_valid":
            return clerk.token(nbf=now + 60)
        case "token_party_not_allowed":
            return clerk.token(azp="https://another.test")
        case "token_malformed":
            return "not-a-token"
    raise AssertionError(kind)


KINDS = [
    "token_expired",
    "token_signature_invalid",
    "token_issuer_not_allowed",
    "token_algorithm_not_allowed",
    "session_pending",
    "token_issued_in_future",
    "token_not_yet_valid",
    "token_party_not_allowed",
    "token_malformed",
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_says_why_and_how_to_go_on(clerk: ClerkInstance, ada: User, client: Client, kind: str) -> None:
    sign_in(client, bad_token(kind, clerk))

    response = client.get("/private/?tab=2")

    assert response.status_code == 401
    assert kind in response.text
    assert "/sign-in/?next=%2Fprivate%2F%3Ftab%3D2" in response.text
    assert response.headers["Cache-Control"].startswith("max-age=0")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["cookie", "header"])
def test_the_api_answers_401_with_the_reason(
    clerk: ClerkInstance, ada: User, client: Client, kind: str, place: str
) -> None:
    token = bad_token(kind, clerk)
    headers = {"Authorization": f"Bearer {token}"} if place == "header" else {}
    if place == "cookie":
        sign_in(client, token)

    response = client.get("/api/me/", headers=headers)

    assert response.status_code == 401
    assert response.json()["code"] == kind
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_api_without_any_token_is_401(clerk: ClerkInstance, client: Client) -> None:
    assert client.get("/api/me/").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_opens_the_api(clerk: ClerkInstance, ada: User, client: Client, scheme: str) -> None:
    token = clerk.token(claims=claims_of(ada))

    response = client.get("/api/me/", headers={"Authorization": f"{scheme} {token}"})

    assert (response.status_code, response.json()["role"], response.json()["queries"]) == (200, "admin", 0)


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer a b", "{token}", "eyJ.eyJ.x"])
def test_a_malformed_header_is_refused_and_no_cookie_answers_for_it(
    clerk: ClerkInstance, ada: User, client: Client, value: str
) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))

    response = client.get("/api/me/", headers={"Authorization": value.format(token=clerk.token())})

    assert (response.status_code, response.json()["code"]) == (401, "authorization_malformed")


def test_a_refused_header_does_not_fall_back_to_the_cookie(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))

    response = client.get("/private/", headers={"Authorization": f"Bearer {clerk.token(**long_ago())}"})

    assert response.status_code == 401


def test_a_proxys_password_does_not_hide_the_cookie(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.get("/private/", headers={"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}).status_code == 200


def test_a_token_without_a_party_is_believed_from_the_cookie_alone(
    clerk: ClerkInstance, ada: User, client: Client
) -> None:
    token = clerk.token(azp=None, claims=claims_of(ada))
    sign_in(client, token)

    assert client.get("/private/").status_code == 200
    assert client.get("/api/me/", headers={"Authorization": f"Bearer {token}"}).json()["code"] == "token_party_missing"


@pytest.mark.parametrize(
    ("hosts", "azp", "status"),
    [
        (["app.example.com"], "https://app.example.com", 200),
        (["app.example.com"], "https://app.example.com:8443", 200),
        (["app.example.com"], "https://app.example.com.evil.test", 401),
        (["app.example.com"], "https://example.com", 401),
        (["app.example.com"], "app.example.com", 401),
        (["app.example.com"], "https://app.example.com/page", 401),
        (["app.example.com"], "https://[", 401),
        ([".example.com"], "https://app.example.com", 200),
        ([".example.com"], "https://evilexample.com", 401),
        (["*"], "https://anything.test", 200),
    ],
)
def test_without_authorized_parties_the_allowed_hosts_are_they(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client, hosts: list[str], azp: str, status: int
) -> None:
    settings.ALLOWED_HOSTS = [*hosts, "testserver"]
    settings.CLERK_AUTHORIZED_PARTIES = []
    sign_in(client, clerk.token(azp=azp, claims=claims_of(ada)))

    assert client.get("/private/").status_code == status


# --- Tokens of JWT templates


def template_token(clerk: ClerkInstance, **registered: Any) -> str:
    return clerk.token(sid=None, headers={"cat": "cl_B7d4PD222AAA"}, **registered)


def test_a_template_token_opens_the_api_for_which_it_was_made(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client
) -> None:
    settings.CLERK_JWT_TEMPLATE_AUDIENCES = ["manageros-api"]
    headers = {"Authorization": f"Bearer {template_token(clerk, aud='manageros-api', claims=claims_of(ada))}"}

    who = client.get("/api/me/", headers=headers).json()
    assert (who["is_authenticated"], who["session_id"], who["role"]) == (True, None, "admin")

    headers = {"Authorization": f"Bearer {template_token(clerk, aud=['other', 'manageros-api'])}"}
    assert client.get("/api/me/", headers=headers).status_code == 200
    assert client.get("/private/", headers=headers).status_code == 401


def test_claims_of_a_long_lived_token_are_not_believed_for_longer_than_changes_are_remembered(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client
) -> None:
    settings.CLERK_JWT_TEMPLATE_AUDIENCES = ["manageros-api"]
    claims, now = claims_of(ada), int(time.time())
    token = template_token(clerk, aud="manageros-api", claims=claims, iat=now - 3600, nbf=now - 3600, exp=now + 10**8)
    headers = {"Authorization": f"Bearer {token}"}
    Membership.objects.filter(user=ada).update(role="member")
    cache.clear()

    who = client.get("/api/me/", headers=headers).json()
    assert (who["role"], who["fallback_reason"]) == ("member", "claims_stale")

    User.objects.filter(pk=ada.pk).update(is_active=False)
    cache.clear()
    assert client.get("/api/me/", headers=headers).json()["code"] == "user_inactive"


@pytest.mark.parametrize("audiences", [[], ["manageros-api"]])
@pytest.mark.parametrize("aud", [None, "another-service", ["another-service"], 7, {"manageros-api": 1}])
def test_a_template_token_made_for_another_service_opens_nothing(
    settings: Settings, clerk: ClerkInstance, ada: User, client: Client, audiences: list[str], aud: Any
) -> None:
    settings.CLERK_JWT_TEMPLATE_AUDIENCES = audiences

    response = client.get("/api/me/", headers={"Authorization": f"Bearer {template_token(clerk, aud=aud)}"})

    assert (response.status_code, response.json()["code"]) == (401, "token_audience_not_allowed")


def test_a_template_token_is_no_cookie(settings: Settings, clerk: ClerkInstance, ada: User, client: Client) -> None:
    settings.CLERK_JWT_TEMPLATE_AUDIENCES = ["manageros-api"]
    sign_in(client, template_token(clerk, aud="manageros-api"))

    assert client.get("/api/me/").json()["code"] == "token_kind_not_allowed"
    assert client.get("/private/").status_code == 401


# --- The form of the answer


def test_a_script_gets_json(clerk: ClerkInstance, client: Client) -> None:
    response = client.get("/private/", headers={"Sec-Fetch-Dest": "empty", "Accept": "*/*"})

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "signed_out"


def test_htmx_is_sent_to_sign_in_and_back_to_its_page(clerk: ClerkInstance, client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/people/?page=2"}

    response = client.post("/private/", headers=headers)

    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/sign-in/?next=%2Fpeople%2F%3Fpage%3D2"


@pytest.mark.parametrize(
    "url", ["https://evil.test/people/", "http://testserver//evil.test/", "javascript:1", "http://["]
)
def test_nobody_is_sent_back_to_another_site(clerk: ClerkInstance, client: Client, url: str) -> None:
    htmx = client.get("/private/", headers={"HX-Request": "true", "HX-Current-URL": url})
    posted = client.post("/private/", {"a": "b"}, headers={"Referer": url})

    assert htmx.headers["HX-Redirect"] == "/sign-in/?next=%2F"
    assert "/sign-in/?next=%2F&quot;" in posted.text or '/sign-in/?next=%2F"' in posted.text


def test_a_form_posted_after_the_session_expired_is_kept(clerk: ClerkInstance, ada: User, client: Client) -> None:
    sign_in(client, clerk.token(**long_ago()))
    form = {"name": "<Grace>", "tags": ["a", "b"], "note": "\nfirst line\nsecond"}

    response = client.post("/private/", form, headers={"Accept": "text/html", "Sec-Fetch-Dest": "document"})

    assert response.status_code == 401
    assert '<textarea name="name" hidden>\n&lt;Grace&gt;</textarea>' in response.text
    assert response.text.count('<textarea name="tags" hidden>') == 2
    assert '<textarea name="note" hidden>\n\nfirst line\nsecond</textarea>' in response.text
    assert '<form method="post">' in response.text
    assert "csrfmiddlewaretoken" in response.text


# --- CSRF


@pytest.mark.parametrize("path", ["/who/", "/api/me/"])
def test_an_unsafe_request_by_cookie_needs_a_csrf_token(clerk: ClerkInstance, ada: User, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    sign_in(client, clerk.token(claims=claims_of(ada)))
    assert client.post(path).status_code == 403

    client.cookies["csrftoken"] = secret = "a" * 32
    assert client.post(path, headers={"X-CSRFToken": "b" * 32}).status_code == 403
    assert client.post(path, headers={"X-CSRFToken": secret}).status_code == 200


@pytest.mark.parametrize("path", ["/who/", "/api/me/"])
def test_an_unsafe_request_by_bearer_header_needs_none(clerk: ClerkInstance, ada: User, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    headers = {"Authorization": f"Bearer {clerk.token(claims=claims_of(ada))}"}

    assert client.post(path, headers=headers).status_code == 200


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNzd29yZA==", "Negotiate abc"])
def test_another_scheme_does_not_exempt_the_cookie(clerk: ClerkInstance, ada: User, value: str) -> None:
    client = Client(enforce_csrf_checks=True)
    sign_in(client, clerk.token(claims=claims_of(ada)))

    assert client.post("/who/", headers={"Authorization": value}).status_code == 403
    assert client.post("/api/me/", headers={"Authorization": value}).status_code == 403
