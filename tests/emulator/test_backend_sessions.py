import jwt
import pytest

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.tokens import SESSION_CATEGORY, TEMPLATE_CATEGORY
from tests.emulator.conftest import BackendClient


def signed_in(backend: BackendClient) -> tuple[dict[str, str], dict[str, str]]:
    user = backend.create_user()
    session = backend.call("POST", "/sessions", json={"user_id": user["id"]}).json()
    return user, session


def claims_of(backend: BackendClient, token: str) -> dict[str, object]:
    """Verified with the published keys alone, as a stranger would."""
    keys = jwt.PyJWKSet.from_dict(backend.call("GET", "/jwks").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, object] = jwt.decode(token, key, algorithms=["RS256"], options={"verify_aud": False})
    return claims


def test_session_token_carries_the_metadata_of_the_moment(backend: BackendClient, clerk: LocalClerk) -> None:
    user, session = signed_in(backend)
    before = claims_of(backend, backend.call("POST", f"/sessions/{session['id']}/tokens").json()["jwt"])
    change = {"public_metadata": {"role": "admin", "organizationName": "Kite"}}
    backend.call("PATCH", f"/users/{user['id']}/metadata", json=change)
    token = backend.call("POST", f"/sessions/{session['id']}/tokens").json()["jwt"]
    after = claims_of(backend, token)
    assert (before["role"], before["managerOSUserId"]) == (None, None)
    assert (after["role"], after["organizationName"], after["personId"]) == ("admin", "Kite", None)
    assert (after["sub"], after["sid"], after["sts"], after["v"]) == (user["id"], session["id"], "active", 2)
    assert after["iss"] == clerk.instance.frontend_api_url
    assert "azp" not in after
    header = jwt.get_unverified_header(token)
    assert header == {
        "alg": "RS256",
        "cat": SESSION_CATEGORY,
        "kid": clerk.instance.id,
        "oiat": after["iat"],
        "typ": "JWT",
    }


def test_session_token_lives_as_long_as_asked(backend: BackendClient) -> None:
    _user, session = signed_in(backend)
    for body, lifetime in [({}, 60), ({"expires_in_seconds": 90}, 90)]:
        claims = claims_of(backend, backend.call("POST", f"/sessions/{session['id']}/tokens", json=body).json()["jwt"])
        assert int(str(claims["exp"])) - int(str(claims["iat"])) == lifetime
    too_short = {"expires_in_seconds": 29}
    path = f"/sessions/{session['id']}/tokens"
    assert backend.call("POST", path, json=too_short, checked=False).status_code == 422


def test_template_token_has_its_category_and_no_session(backend: BackendClient) -> None:
    _user, session = signed_in(backend)
    claims = {"aud": "api", "email": "{{user.primary_email_address}}", "sid": "forged", "iss": "forged"}
    template = {"name": "api", "claims": claims, "lifetime": 3600}
    assert backend.call("POST", "/jwt_templates", json=template).status_code == 200
    token = backend.call("POST", f"/sessions/{session['id']}/tokens/api").json()["jwt"]
    minted = claims_of(backend, token)
    assert "sid" not in minted
    assert (minted["aud"], minted["email"]) == ("api", "ada@example.com")
    assert minted["iss"] == backend.url
    assert jwt.get_unverified_header(token)["cat"] == TEMPLATE_CATEGORY
    assert backend.call("POST", f"/sessions/{session['id']}/tokens/unknown").status_code == 404


def test_revoked_session_yields_no_token(backend: BackendClient) -> None:
    user, session = signed_in(backend)
    assert backend.call("POST", f"/sessions/{session['id']}/revoke").json()["status"] == "revoked"
    assert backend.call("POST", f"/sessions/{session['id']}/tokens").status_code == 404
    assert backend.call("POST", f"/sessions/{session['id']}/revoke").status_code == 400
    listed = backend.call("GET", "/sessions", params={"user_id": user["id"], "status": "revoked"}).json()
    assert [each["id"] for each in listed] == [session["id"]]
    assert backend.call("GET", "/sessions", params={"user_id": user["id"], "status": "active"}).json() == []


def test_session_list_needs_a_user_or_a_client(backend: BackendClient) -> None:
    assert backend.call("GET", "/sessions").status_code == 422


def test_sessions_are_not_created_in_a_live_instance(backend: BackendClient, clerk: LocalClerk) -> None:
    user = backend.create_user()
    clerk.instance.kind = "live"
    assert backend.call("POST", "/sessions", json={"user_id": user["id"]}, checked=False).status_code == 403


@pytest.mark.parametrize("instance", [Instance(session_lifetime=0)])
def test_session_past_its_lifetime_is_expired(backend: BackendClient) -> None:
    _user, session = signed_in(backend)
    assert backend.call("GET", f"/sessions/{session['id']}").json()["status"] == "expired"
    assert backend.call("POST", f"/sessions/{session['id']}/tokens").status_code == 404


def test_refresh_exchanges_an_expired_token_of_the_same_session(backend: BackendClient, clerk: LocalClerk) -> None:
    _user, session = signed_in(backend)
    record = clerk.store.session(session["id"])
    expired = clerk.session_token(record, lifetime=-300)
    body = {
        "expired_token": expired,
        "refresh_token": record.refresh_token,
        "request_origin": "https://app.example.com",
    }
    path = f"/sessions/{session['id']}/refresh"
    claims = claims_of(backend, backend.call("POST", path, json=body).json()["jwt"])
    assert (claims["sid"], claims["azp"]) == (session["id"], "https://app.example.com")
    cookies = backend.call("POST", path, json={**body, "format": "cookie"}).json()["cookies"]
    assert any(cookie.startswith(f"__session_{clerk.instance.cookie_suffix}=") for cookie in cookies)


@pytest.mark.parametrize("spoiled", ["expired_token", "refresh_token", "session"])
def test_refresh_of_anything_else_is_401(backend: BackendClient, clerk: LocalClerk, spoiled: str) -> None:
    _user, session = signed_in(backend)
    record = clerk.store.session(session["id"])
    body = {
        "expired_token": clerk.session_token(record),
        "refresh_token": record.refresh_token,
        "request_origin": "https://app.example.com",
    }
    if spoiled == "session":
        clerk.store.end_session(record.id, "revoked")
    else:
        body[spoiled] = body[spoiled][:-4] + "AAAA"
    assert backend.call("POST", f"/sessions/{record.id}/refresh", json=body).status_code == 401


def test_refresh_without_a_required_field_is_refused(backend: BackendClient) -> None:
    _user, session = signed_in(backend)
    answer = backend.call("POST", f"/sessions/{session['id']}/refresh", json={}, checked=False)
    assert answer.status_code == 422


def test_actor_token_signs_in_once_as_the_user_with_the_actor_named(backend: BackendClient, clerk: LocalClerk) -> None:
    user = backend.create_user()
    body = {"user_id": user["id"], "actor": {"sub": "user_support"}}
    token = backend.call("POST", "/actor_tokens", json=body).json()
    assert token["status"] == "pending"
    visit = backend.http.get(token["url"], timeout=5)
    assert visit.status_code == 200
    [session] = clerk.store.active_sessions(user["id"])
    claims = claims_of(backend, clerk.session_token(session))
    assert claims["act"] == {"iss": clerk.instance.frontend_api_url, "sub": "user_support"}
    assert session.expire_at - session.created_at == 1800 * 1000
    assert backend.http.get(token["url"], timeout=5).status_code == 400


def test_invitation_is_listed_and_revoked(backend: BackendClient) -> None:
    made = backend.call("POST", "/invitations", json={"email_address": "new@example.com"}).json()
    assert (made["status"], made["object"]) == ("pending", "invitation")
    assert backend.call("POST", "/invitations", json={"email_address": "New@example.com"}).status_code == 400
    assert backend.call("POST", f"/invitations/{made['id']}/revoke").json()["revoked"]
    assert backend.call("GET", "/invitations?status=revoked").json()[0]["id"] == made["id"]
