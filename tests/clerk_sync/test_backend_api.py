"""Each answer of Clerk's Backend API becomes a value or one of three errors."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
import time_machine
from pytest_django import Settings
from responses import matchers

from clerk_sync import backend_api
from clerk_sync.backend_api import Misconfigured, Permanent, Retryable

API = "https://api.clerk.test/v1"


@pytest.fixture
def clerk_api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def error(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, "long_message": message}]}


def test_every_call_names_its_version_and_carries_the_key(clerk_api: responses.RequestsMock) -> None:
    clerk_api.get(f"{API}/users/user_1", json={"id": "user_1"})

    assert backend_api.get_user("user_1") == {"id": "user_1"}

    headers = clerk_api.calls[0].request.headers
    assert headers["Authorization"] == "Bearer sk_test_only_the_tests_know"
    assert headers["Clerk-API-Version"] == "2026-05-12"
    assert headers["User-Agent"] == "ManagerOS"


def test_metadata_is_merged_and_the_user_returned(clerk_api: responses.RequestsMock) -> None:
    clerk_api.patch(f"{API}/users/user_1/metadata", json={"id": "user_1", "updated_at": 1_700_000_000_000})

    user = backend_api.merge_public_metadata("user_1", {"role": "admin", "personId": None})

    assert user["updated_at"] == 1_700_000_000_000
    assert json.loads(clerk_api.calls[0].request.body or "") == {"public_metadata": {"role": "admin", "personId": None}}


def test_users_are_listed_in_cursor_pages(clerk_api: responses.RequestsMock) -> None:
    query = {"limit": "500", "starting_after": "user_9"}
    clerk_api.get(f"{API}/users", json=[{"id": "user_8"}], match=[matchers.query_param_matcher(query)])

    assert backend_api.list_users(starting_after="user_9") == [{"id": "user_8"}]


def test_named_users_are_listed_in_one_call(clerk_api: responses.RequestsMock) -> None:
    query = {"limit": "500", "user_id": ["user_1", "user_2"]}
    clerk_api.get(f"{API}/users", json=[], match=[matchers.query_param_matcher(query)])

    assert backend_api.list_users(user_ids=["user_1", "user_2"]) == []


def test_users_are_counted(clerk_api: responses.RequestsMock) -> None:
    clerk_api.get(f"{API}/users/count", json={"object": "total_count", "total_count": 12})

    assert backend_api.count_users() == 12


def test_a_session_is_refreshed(clerk_api: responses.RequestsMock) -> None:
    clerk_api.post(f"{API}/sessions/sess_1/refresh", json={"object": "token", "jwt": "new"})

    token = backend_api.refresh_session(
        "sess_1", expired_token="old", refresh_token="refresh", request_origin="http://testserver"
    )

    assert token == "new"
    assert json.loads(clerk_api.calls[0].request.body or "") == {
        "expired_token": "old",
        "refresh_token": "refresh",
        "request_origin": "http://testserver",
        "format": "token",
    }


def test_a_session_is_revoked(clerk_api: responses.RequestsMock) -> None:
    call = clerk_api.post(f"{API}/sessions/sess_1/revoke", json={"object": "session", "id": "sess_1"})

    backend_api.revoke_session("sess_1")

    assert call.call_count == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 522])
def test_what_may_pass_by_itself_is_retryable(clerk_api: responses.RequestsMock, status: int) -> None:
    clerk_api.get(f"{API}/users/user_1", status=status, body="<html>an edge server's page</html>")

    with pytest.raises(Retryable) as raised:
        backend_api.get_user("user_1")

    assert (raised.value.status, raised.value.retry_after) == (status, None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0), ("soon", None), ("-5", None), ("nan", None)],
)
@time_machine.travel("2026-01-01T00:00:00Z", tick=False)
def test_retry_after_is_read_in_both_of_its_forms(
    clerk_api: responses.RequestsMock, header: str, seconds: float | None
) -> None:
    clerk_api.get(f"{API}/users/user_1", status=429, headers={"Retry-After": header})

    with pytest.raises(Retryable) as raised:
        backend_api.get_user("user_1")

    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(
    "failure", [requests.ConnectionError(), requests.ReadTimeout(), requests.exceptions.ChunkedEncodingError()]
)
def test_a_broken_connection_is_retryable(clerk_api: responses.RequestsMock, failure: Exception) -> None:
    clerk_api.get(f"{API}/users/user_1", body=failure)

    with pytest.raises(Retryable):
        backend_api.get_user("user_1")


@pytest.mark.parametrize("body", ["", "[]", "not JSON"])
def test_an_answer_of_the_wrong_shape_is_retryable(clerk_api: responses.RequestsMock, body: str) -> None:
    clerk_api.get(f"{API}/users/user_1", body=body)

    with pytest.raises(Retryable):
        backend_api.get_user("user_1")


def test_a_user_unknown_to_clerk_is_permanent(clerk_api: responses.RequestsMock) -> None:
    clerk_api.get(
        f"{API}/users/user_1",
        status=404,
        json=error("resource_not_found", "not found"),
        headers={"cf-ray": "8a1b"},
    )

    with pytest.raises(Permanent, match=r"Clerk answered 404 not found \(trace 8a1b\)") as raised:
        backend_api.get_user("user_1")

    assert (raised.value.status, raised.value.code) == (404, "resource_not_found")


@pytest.mark.parametrize(("status", "code"), [(401, "clerk_key_invalid"), (403, ""), (307, "")])
def test_a_refused_key_is_a_misconfiguration(clerk_api: responses.RequestsMock, status: int, code: str) -> None:
    clerk_api.patch(f"{API}/users/user_1/metadata", status=status, json=error(code, "refused"))

    with pytest.raises(Misconfigured):
        backend_api.merge_public_metadata("user_1", {})


def test_a_refused_refresh_token_is_not_the_keys_fault(clerk_api: responses.RequestsMock) -> None:
    clerk_api.post(f"{API}/sessions/sess_1/refresh", status=401, json=error("session_invalid", "no"))

    with pytest.raises(Permanent) as raised:
        backend_api.refresh_session("sess_1", expired_token="", refresh_token="", request_origin="")

    assert raised.value.status == 401


@pytest.mark.parametrize("clerk_user_id", ["", "..", "user_1/../user_2", "user_1?x", "user 1"])
def test_an_id_that_could_name_another_resource_is_never_asked_for(clerk_user_id: str) -> None:
    with pytest.raises(Permanent) as raised:
        backend_api.get_user(clerk_user_id)

    assert raised.value.status is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLERK_SECRET_KEY", ""),
        ("CLERK_SECRET_KEY", "sk_test_\nX"),
        ("CLERK_SECRET_KEY", "sk_test_\N{SNOWMAN}"),
        ("CLERK_API_URL", "api.clerk.test"),
        ("CLERK_API_URL", "http://"),
    ],
)
def test_a_malformed_setting_is_named_and_the_key_is_not(settings: Settings, name: str, value: str) -> None:
    setattr(settings, name, value)

    with pytest.raises(Misconfigured, match=name) as raised:
        backend_api.get_user("user_1")

    assert "sk_test" not in str(raised.value)


def test_the_key_is_read_when_the_call_is_made(clerk_api: responses.RequestsMock, settings: Settings) -> None:
    clerk_api.get(f"{API}/jwks", json={"keys": []})
    backend_api.get_jwks()
    settings.CLERK_SECRET_KEY = "sk_test_rotated"

    backend_api.get_jwks()

    assert clerk_api.calls[1].request.headers["Authorization"] == "Bearer sk_test_rotated"
