"""What the webhook refuses, and that it does so before it parses, asks or writes anything."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse, HttpResponseBase
from django.test import AsyncClient, Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from clerk_sync.models import WebhookEvent
from clerk_sync.webhooks import BODY_LIMIT
from tests.clerk_sync.payloads import clerk_user, event
from tests.instance import signed_webhook

pytestmark = pytest.mark.django_db

PATH = "/webhooks/clerk/"
OTHER_SECRET = "whsec_YW5vdGhlci1zZWNyZXQtb2Ytc29tZWJvZHktZWxzZQ"


def post(body: bytes, headers: dict[str, str], **options: Any) -> HttpResponse:
    content_type = headers.pop("content-type", "application/json")
    client = Client(enforce_csrf_checks=True)
    return client.post(PATH, data=body, content_type=content_type, headers=headers, **options)  # type: ignore[return-value]


def a_message(**options: Any) -> tuple[bytes, dict[str, str]]:
    return signed_webhook(event("user.created", clerk_user()), **options)


def assert_refused(response: HttpResponseBase, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)  # type: ignore[attr-defined]
    assert response["Content-Type"] == "application/problem+json"
    assert not WebhookEvent.objects.exists()
    assert not User.objects.exists()


def test_signed_event_is_applied_without_a_csrf_token_and_leaves_no_cookie() -> None:
    response = post(*a_message())

    assert (response.status_code, response.content) == (200, b'{"outcome": "applied"}')
    assert User.objects.get().clerk_user_id == "user_ada"
    assert not response.cookies
    assert "Vary" not in response


def stray_bits(signature: str) -> str:
    """32 bytes are 43 characters of base64, of which the last has two bits too many."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return signature[:-2] + alphabet[alphabet.index(signature[-2]) + 1] + "="


@pytest.mark.parametrize(
    "changes",
    [
        {"svix-signature": "v1,bm90IGEgc2lnbmF0dXJl"},
        {"svix-signature": "v1"},
        {"svix-signature": "v1,a,b"},
        {"svix-signature": "v1,a"},
        {"svix-signature": ""},
        {"svix-id": "msg_2"},
        {"svix-id": ""},
        {"svix-timestamp": "soon"},
        {"svix-timestamp": "nan"},
        {"svix-timestamp": "1e400"},
        {"svix-timestamp": "-1"},
        {"svix-timestamp": f"{int(time.time())}.5"},
        {"svix-timestamp": f"0{int(time.time())}"},
    ],
)
def test_wrong_or_malformed_headers_are_refused_before_any_query(
    changes: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    body, headers = a_message()

    with django_assert_num_queries(0):
        response = post(body, headers | changes)

    assert_refused(response, 400, "bad_signature")


@pytest.mark.parametrize("change", [lambda v1: v1 + "!", lambda v1: "v1, " + v1[3:], stray_bits])
def test_signature_has_one_spelling(change: Callable[[str], str]) -> None:
    """Decoded loosely, each of these is the same signature."""
    body, headers = a_message()
    headers["svix-signature"] = change(headers["svix-signature"])

    assert_refused(post(body, headers), 400, "bad_signature")


@pytest.mark.parametrize("missing", ["svix-id", "svix-timestamp", "svix-signature"])
def test_missing_header_is_refused(missing: str) -> None:
    body, headers = a_message()
    del headers[missing]

    assert_refused(post(body, headers), 400, "bad_signature")


@pytest.mark.parametrize("body", [b" ", b"{}", b"\xff\xfe\x00", b"null"])
def test_body_that_was_not_signed_is_refused(body: bytes) -> None:
    _, headers = a_message()

    assert_refused(post(body, headers), 400, "bad_signature")


def test_same_json_in_other_bytes_is_refused() -> None:
    body, headers = a_message()

    assert_refused(post(body + b" ", headers), 400, "bad_signature")


def test_secret_of_another_endpoint_is_refused() -> None:
    assert_refused(post(*a_message(secret=OTHER_SECRET)), 400, "bad_signature")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_message_from_another_time_is_refused(minutes: int) -> None:
    assert_refused(post(*a_message(at=datetime.now(UTC) + timedelta(minutes=minutes))), 400, "bad_signature")


@pytest.mark.parametrize("minutes", [-4, 4])
def test_clocks_may_differ_by_some_minutes(minutes: int) -> None:
    assert post(*a_message(at=datetime.now(UTC) + timedelta(minutes=minutes))).status_code == 200


@pytest.mark.parametrize("position", [0, 1])
def test_any_of_several_secrets_will_do(settings: Settings, position: int) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = [*settings.CLERK_WEBHOOK_SIGNING_SECRET, OTHER_SECRET]

    response = post(*a_message(secret=settings.CLERK_WEBHOOK_SIGNING_SECRET[position]))

    assert response.status_code == 200


def test_one_good_signature_among_several_will_do() -> None:
    body, headers = a_message()
    headers["svix-signature"] = f"v1a,x v1,bm9uZQ== {headers['svix-signature']}"

    assert post(body, headers).status_code == 200


def test_deduplication_uses_the_id_that_was_signed() -> None:
    """Svix takes `webhook-id` for `svix-id`: neither name may carry a second, unsigned id past the first."""
    body, headers = a_message()
    standard = {name.replace("svix-", "webhook-"): value for name, value in headers.items()}

    assert post(body, dict(headers)).json() == {"outcome": "applied"}  # type: ignore[attr-defined]
    for again in (standard, standard | {"svix-id": "msg_2"}, headers | {"webhook-id": "msg_2"}):
        assert post(body, dict(again)).json() == {"outcome": "duplicate"}  # type: ignore[attr-defined]
    assert post(body, standard | headers | {"svix-id": "msg_2"}).status_code == 400
    assert list(WebhookEvent.objects.values_list("svix_id", flat=True)) == ["msg_1"]


@pytest.mark.parametrize("svix_id", ["x" * 256, "a b"])
def test_id_that_is_not_svixs_is_refused_though_signed(svix_id: str) -> None:
    assert_refused(post(*a_message(svix_id=svix_id)), 400, "bad_signature")


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b'"text"',
        b"[]",
        b"{}",
        b'{"type": "user.created", "data": []}',
        b'{"type": 1, "data": {}}',
        b'{"type": "user.created", "data": {}}',
        b'{"type": "user.deleted", "data": {"deleted": true}}',
        b'{"type": "session.ended", "data": {"id": ""}}',
        b'{"type": "user.created", "data": {"id": NaN}}',
        b'{"type": "user.created", "data": ' + b"[" * 100_000 + b"}",
        b'{"type": "user.created", "data": {"id": "user_1", "updated_at": ' + b"1" * 5000 + b"}}",
        b'\xef\xbb\xbf{"type": "email.created", "data": {}}',
    ],
)
def test_signed_body_that_is_no_event_is_refused_and_not_recorded(body: bytes) -> None:
    assert_refused(post(*signed_webhook(body)), 400, "malformed")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_other_methods_are_not_allowed(method: str) -> None:
    response = getattr(Client(), method)(PATH)

    assert (response.status_code, response["Allow"]) == (405, "POST")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_other_content_types_are_refused(content_type: str) -> None:
    body, headers = a_message()

    assert_refused(post(body, headers | {"content-type": content_type}), 415, "not_json")


def test_content_type_may_name_a_charset() -> None:
    body, headers = a_message()

    assert post(body, headers | {"content-type": "Application/JSON; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize("length", [str(BODY_LIMIT + 1), "9" * 5000])
def test_body_that_is_declared_too_long_is_refused_unread(length: str) -> None:
    body, headers = a_message()

    assert_refused(post(body, headers, CONTENT_LENGTH=length), 413, "too_large")


def test_body_of_the_largest_size_is_taken() -> None:
    body, headers = signed_webhook(event("email.created", {"body": "x"}))
    padded = body + b" " * (BODY_LIMIT - len(body))
    padded, headers = signed_webhook(padded)

    assert post(padded, headers).status_code == 200
    assert post(*signed_webhook(padded + b" ")).status_code == 413


def test_body_of_undeclared_length_is_refused_when_it_is_too_long() -> None:
    body, headers = signed_webhook(b" " * (BODY_LIMIT + 1))
    content_type = headers.pop("content-type")
    headers["content-length"] = ""
    send = async_to_sync(AsyncClient().post)

    assert_refused(send(PATH, data=body, content_type=content_type, headers=headers), 413, "too_large")
