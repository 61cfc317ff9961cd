import threading
from typing import Any

import pytest

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.limits import Limits, Rate
from tests.emulator.conftest import BackendClient


def code(answer: Any) -> str:
    first: str = answer.json()["errors"][0]["code"]
    return first


@pytest.mark.parametrize("header", ["", "Bearer sk_test_another", "Basic c2s6", "sk_test_another"])
def test_without_the_secret_key_nothing_is_answered(backend: BackendClient, header: str) -> None:
    answer = backend.call("GET", "/users", headers={"Authorization": header})
    assert answer.status_code == 401


def test_unknown_api_version_is_refused(backend: BackendClient) -> None:
    answer = backend.call("GET", "/users", headers={"Clerk-API-Version": "2026-05-13"})
    assert (answer.status_code, code(answer)) == (400, "api_version_invalid")


def test_api_version_in_two_places_is_refused(backend: BackendClient) -> None:
    answer = backend.call("GET", "/users?__clerk_api_version=2026-05-12")
    assert (answer.status_code, code(answer)) == (400, "api_version_ambiguous")


def test_created_user_is_found_and_counted(backend: BackendClient) -> None:
    user = backend.create_user("Mira@Example.com", first_name="Mira", public_metadata={"team": "a"})
    assert backend.call("GET", f"/users/{user['id']}").json() == user
    assert user["email_addresses"][0]["verification"]["status"] == "verified"
    assert user["primary_email_address_id"] == user["email_addresses"][0]["id"]
    assert backend.call("GET", "/users", params={"email_address": "mira@example.com"}).json() == [user]
    assert backend.call("GET", "/users/count").json()["total_count"] == 1


def test_taken_email_address_is_refused_whatever_its_case(backend: BackendClient) -> None:
    backend.create_user("mira@example.com")
    answer = backend.call("POST", "/users", json={"email_address": ["MIRA@example.com"]})
    assert (answer.status_code, code(answer)) == (422, "form_identifier_exists")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"email_address": ["a@example.com"], "shoe_size": 43}, "form_param_unknown"),
        ({"email_address": "a@example.com"}, "form_param_type_invalid"),
        ({"email_address": ["a@example.com"], "banned": "yes"}, "form_param_type_invalid"),
        ({"email_address": ["not an address"]}, "form_param_format_invalid"),
        ({"first_name": "Mira"}, "form_data_missing"),
    ],
)
def test_body_outside_the_schema_is_refused(backend: BackendClient, body: dict[str, Any], error: str) -> None:
    answer = backend.call("POST", "/users", json=body)
    assert (answer.status_code, code(answer)) == (422, error)
    assert backend.call("GET", "/users").json() == []


def test_body_that_is_no_json_is_refused(backend: BackendClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = backend.call("POST", "/users", data="{", headers=headers)
    assert (answer.status_code, code(answer)) == (400, "request_body_invalid")


def test_metadata_is_no_field_of_an_update_since_the_version_that_removed_it(backend: BackendClient) -> None:
    user = backend.create_user()
    update = {"public_metadata": {"role": "admin"}}
    answer = backend.call("PATCH", f"/users/{user['id']}", json=update)
    assert (answer.status_code, code(answer)) == (422, "form_param_unknown")
    older = backend.call("PATCH", f"/users/{user['id']}", json=update, headers={"Clerk-API-Version": "2025-11-10"})
    assert older.json()["public_metadata"] == {"role": "admin"}


def test_metadata_patch_merges_deeply_and_null_removes(backend: BackendClient) -> None:
    user = backend.create_user(public_metadata={"theirs": {"a": 1, "b": 2}, "role": "member", "gone": "x"})
    change = {"public_metadata": {"theirs": {"b": None, "c": 3}, "role": "admin", "gone": None}}
    answer = backend.call("PATCH", f"/users/{user['id']}/metadata", json=change)
    assert answer.json()["public_metadata"] == {"theirs": {"a": 1, "c": 3}, "role": "admin"}
    assert answer.json()["updated_at"] > user["updated_at"]


def test_metadata_put_replaces_and_keeps_null(backend: BackendClient) -> None:
    user = backend.create_user(public_metadata={"role": "member"}, private_metadata={"kept": 1})
    answer = backend.call("PUT", f"/users/{user['id']}/metadata", json={"public_metadata": {"team": None}})
    assert answer.json()["public_metadata"] == {"team": None}
    assert answer.json()["private_metadata"] == {"kept": 1}


def test_metadata_over_its_size_is_refused_whole(backend: BackendClient) -> None:
    user = backend.create_user()
    change = {"public_metadata": {"role": "admin"}, "private_metadata": {"note": "x" * 8192}}
    answer = backend.call("PATCH", f"/users/{user['id']}/metadata", json=change)
    assert (answer.status_code, code(answer)) == (422, "form_param_exceeds_allowed_size")
    assert backend.call("GET", f"/users/{user['id']}").json()["public_metadata"] == {}


def test_unknown_user_is_not_found(backend: BackendClient) -> None:
    for method, path in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("PATCH", "/metadata"), ("PUT", "/metadata")]:
        body: dict[str, Any] | None = None if method in {"GET", "DELETE"} else {}
        answer = backend.call(method, f"/users/user_nobody{path}", json=body)
        assert (answer.status_code, code(answer)) == (404, "resource_not_found")


def test_deleted_user_is_gone_and_its_address_free(backend: BackendClient) -> None:
    user = backend.create_user("mira@example.com", external_id="42")
    answer = backend.call("DELETE", f"/users/{user['id']}").json()
    assert answer == {"object": "user", "id": user["id"], "deleted": True, "external_id": "42"}
    assert backend.call("GET", f"/users/{user['id']}").status_code == 404
    assert backend.create_user("mira@example.com")["id"] != user["id"]


def test_cursor_walks_every_user_once_in_either_order(backend: BackendClient) -> None:
    created = [backend.create_user(f"user{number}@example.com")["id"] for number in range(7)]
    for order, expected in [("-created_at", created[::-1]), ("created_at", created)]:
        walked: list[str] = []
        while True:
            params = {"limit": 3, "order_by": order, **({"starting_after": walked[-1]} if walked else {})}
            page = [user["id"] for user in backend.call("GET", "/users", params=params).json()]
            walked += page
            if len(page) < 3:
                break
        assert sorted(walked) == sorted(expected)
        assert len(set(walked)) == 7


def test_default_page_holds_ten_newest_first(backend: BackendClient) -> None:
    for number in range(12):
        backend.create_user(f"user{number}@example.com", created_at=f"2026-01-01T00:00:{number:02}Z")
    page = backend.call("GET", "/users").json()
    assert [user["email_addresses"][0]["email_address"] for user in page] == [
        f"user{number}@example.com" for number in range(11, 1, -1)
    ]


@pytest.mark.parametrize(
    "query",
    ["limit=501", "limit=0", "limit=x", "offset=-1", "order_by=colour", "starting_after=user_nobody"],
)
def test_bad_paging_is_refused(backend: BackendClient, query: str) -> None:
    assert backend.call("GET", f"/users?{query}").status_code == 422


def test_cursor_needs_the_order_of_creation_and_no_offset(backend: BackendClient) -> None:
    user = backend.create_user()
    for also in ("order_by=email_address", "offset=1"):
        assert backend.call("GET", f"/users?starting_after={user['id']}&{also}").status_code == 422


def test_filters_narrow_lists_and_counts(backend: BackendClient) -> None:
    mira = backend.create_user("mira@example.com", first_name="Mira", last_name="Vale", external_id="7")
    backend.create_user("odo@example.com", banned=True)
    for query in ("query=vale", "external_id=7", f"user_id={mira['id']}", "banned=false", "email_address_query=mira"):
        assert [user["id"] for user in backend.call("GET", f"/users?{query}").json()] == [mira["id"]], query
        assert backend.call("GET", f"/users/count?{query}").json()["total_count"] == 1


def test_filter_that_is_not_here_is_not_passed_over(backend: BackendClient) -> None:
    assert backend.call("GET", "/users?organization_id=org_1").status_code == 501


def test_banned_user_loses_every_session_and_cannot_sign_in(backend: BackendClient, clerk: LocalClerk) -> None:
    user = backend.create_user()
    session = backend.call("POST", "/sessions", json={"user_id": user["id"]}).json()
    assert backend.call("POST", f"/users/{user['id']}/ban").json()["banned"]
    assert backend.call("GET", f"/sessions/{session['id']}").json()["status"] == "revoked"
    assert backend.call("POST", "/sessions", json={"user_id": user["id"]}, checked=False).status_code == 403
    assert not backend.call("POST", f"/users/{user['id']}/unban").json()["banned"]
    assert [delivery.type for delivery in clerk.webhooks.log] == [
        "user.created",
        "session.created",
        "user.updated",
        "session.revoked",
        "user.updated",
    ]


def test_email_addresses_are_added_and_removed(backend: BackendClient) -> None:
    user = backend.create_user("old@example.com")
    body = {"user_id": user["id"], "email_address": "new@example.com", "verified": True, "primary": True}
    added = backend.call("POST", "/email_addresses", json=body).json()
    assert backend.call("GET", f"/users/{user['id']}").json()["primary_email_address_id"] == added["id"]
    backend.call("DELETE", f"/email_addresses/{user['email_addresses'][0]['id']}")
    emails = backend.call("GET", f"/users/{user['id']}").json()["email_addresses"]
    assert [email["email_address"] for email in emails] == ["new@example.com"]


@pytest.mark.parametrize("limits", [Limits(instance=Rate(5, 10), user_writes=None)])
def test_calls_over_the_instance_limit_are_told_when_to_return(backend: BackendClient) -> None:
    answers = [backend.call("GET", "/users/count") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
    assert code(answers[-1]) == "too_many_requests"
    assert backend.call("GET", "/jwks").status_code == 200


@pytest.mark.parametrize("limits", [Limits(instance=None, user_writes=Rate(2, 0.3))])
def test_limit_of_one_user_leaves_others_alone_and_ends(backend: BackendClient) -> None:
    first, second = backend.create_user("a@example.com"), backend.create_user("b@example.com")

    def write(user: dict[str, Any]) -> int:
        return backend.call("PATCH", f"/users/{user['id']}/metadata", json={}).status_code

    assert [write(first), write(first), write(first), write(second)] == [200, 200, 429, 200]
    threading.Event().wait(0.35)
    assert write(first) == 200


def test_test_instance_has_clerks_own_limits_by_default() -> None:
    assert (Limits().instance, Limits().user_writes) == (Rate(100, 10), Rate(10, 10))
    assert Limits.live().instance == Rate(1000, 10)


def test_concurrent_writes_to_different_keys_are_all_kept(backend: BackendClient) -> None:
    user = backend.create_user()

    def write(number: int) -> None:
        own = BackendClient(backend.url, backend.secret_key)
        with own.http:
            body = {"public_metadata": {f"key{number}": number}}
            assert own.call("PATCH", f"/users/{user['id']}/metadata", json=body).status_code == 200

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = backend.call("GET", f"/users/{user['id']}").json()["public_metadata"]
    assert held == {f"key{number}": number for number in range(8)}
