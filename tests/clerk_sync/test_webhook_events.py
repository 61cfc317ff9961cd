"""What comes of a delivery: recorded and applied together, once, or recorded as failed and run again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.models.signals import post_save
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership, Organization, User
from clerk_sync.freshness import is_signed_out
from clerk_sync.inbox import replay
from clerk_sync.metadata import desired_metadata, digest
from clerk_sync.models import DeletedClerkUser, EndedSession, MetadataSync, WebhookEvent
from tests.accounts.factories import an_organization
from tests.clerk_sync.payloads import EXAMPLES, NOW, clerk_user, deletion, event, published
from tests.instance import signed_webhook

pytestmark = pytest.mark.django_db


def post(body: Mapping[str, Any], svix_id: str = "msg_1") -> HttpResponse:
    content, headers = signed_webhook(body, svix_id=svix_id)
    content_type = headers.pop("content-type")
    return Client().post("/webhooks/clerk/", data=content, content_type=content_type, headers=headers)  # type: ignore[return-value]


def deliver(body: Mapping[str, Any], svix_id: str = "msg_1") -> tuple[int, dict[str, Any]]:
    response = post(body, svix_id)
    return response.status_code, json.loads(response.content)


APPLIED = (200, {"outcome": "applied"})
STALE = (200, {"outcome": "stale"})
IGNORED = (200, {"outcome": "ignored"})
DUPLICATE = (200, {"outcome": "duplicate"})


def the_event() -> WebhookEvent:
    return WebhookEvent.objects.get()


@pytest.mark.parametrize("event_type", sorted(EXAMPLES))
def test_every_published_example_is_acknowledged_and_recorded(event_type: str) -> None:
    mirrored = {"user.created", "user.updated", "user.deleted", "session.ended", "session.removed", "session.revoked"}

    assert deliver(published(event_type)) == (APPLIED if event_type in mirrored else IGNORED)

    found = the_event()
    assert (found.svix_id, found.type, found.attempts, found.error) == ("msg_1", event_type, 1, "")
    assert found.processed_at is not None
    # The examples give seconds.
    assert found.occurred_at == datetime(2024, 5, 28, 8, 0, tzinfo=UTC)
    assert User.objects.exists() == (event_type in {"user.created", "user.updated"})


def test_event_of_an_unknown_type_is_ignored() -> None:
    assert deliver(event("galaxy.created", {"size": 1})) == IGNORED


def test_timestamp_may_be_in_milliseconds() -> None:
    deliver(event("user.created", clerk_user(), at=NOW))

    assert the_event().occurred_at == datetime.fromtimestamp(NOW / 1000, UTC)


@pytest.mark.parametrize("timestamp", [None, "soon", -1, 2**80, True])
def test_timestamp_that_is_none_is_not_needed(timestamp: Any) -> None:
    assert deliver(deletion() | {"timestamp": timestamp}) == APPLIED

    assert DeletedClerkUser.objects.exists()


def test_duplicate_is_acknowledged_and_changes_nothing() -> None:
    deliver(event("user.created", clerk_user(email="a@example.com")))
    User.objects.update(name="Changed here")

    assert deliver(event("user.created", clerk_user(email="a@example.com"))) == DUPLICATE

    assert User.objects.get().name == "Changed here"
    assert the_event().attempts == 1


def test_event_older_than_what_is_held_is_recorded_as_stale() -> None:
    deliver(event("user.updated", clerk_user(first_name="New")), "msg_2")

    assert deliver(event("user.created", clerk_user(first_name="Old", updated_at=NOW - 1)), "msg_1") == STALE

    assert User.objects.get().name.startswith("New")


def test_late_event_after_the_deletion_is_stale() -> None:
    deliver(deletion(), "msg_1")

    assert deliver(event("user.created", clerk_user()), "msg_2") == STALE
    assert not User.objects.exists()


def test_text_that_no_database_can_hold_is_no_obstacle() -> None:
    """Users write their own names and unsafe metadata: they must not be able to keep a ban from being mirrored."""
    hostile: dict[str, Any] = {
        "unsafe_metadata": {"a": "\x00\ud800", "b": [1e308, {"\x00": None}]},
        "first_name": "A\x00\udc00da",
    }

    assert deliver(event("user.created", clerk_user(**hostile) | {"banned": True})) == APPLIED

    assert (User.objects.get().name, User.objects.get().is_active) == ("Ada Doe Updated", False)


@pytest.mark.parametrize("event_type", ["session.ended", "session.removed", "session.revoked"])
def test_session_that_is_over_ends_at_once(event_type: str, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert deliver(published(event_type)) == APPLIED

    session_id = published(event_type)["data"]["id"]
    assert EndedSession.objects.get().session_id == session_id
    assert is_signed_out("user_ada", session_id)


@pytest.mark.parametrize("event_type", ["session.created", "session.pending"])
def test_session_that_begins_ends_nothing(event_type: str) -> None:
    assert deliver(published(event_type)) == IGNORED

    assert not EndedSession.objects.exists()


def test_banned_user_is_signed_out_and_unbanned_user_readmitted(django_capture_on_commit_callbacks: Any) -> None:
    deliver(event("user.created", clerk_user()), "msg_1")
    with django_capture_on_commit_callbacks(execute=True):
        deliver(event("user.updated", clerk_user(updated_at=NOW + 1, banned=True)), "msg_2")
    assert is_signed_out("user_ada", "sess_1")

    with django_capture_on_commit_callbacks(execute=True):
        deliver(event("user.updated", clerk_user(updated_at=NOW + 2)), "msg_3")
    assert not is_signed_out("user_ada", "sess_1")


def test_deleted_user_is_signed_out_and_leaves_the_organization(django_capture_on_commit_callbacks: Any) -> None:
    deliver(event("user.created", clerk_user()), "msg_1")
    an_organization(owner=User.objects.get())

    with django_capture_on_commit_callbacks(execute=True):
        assert deliver(deletion(), "msg_2") == APPLIED

    assert is_signed_out("user_ada", "sess_1")
    assert Organization.objects.without_owner().exists()
    assert not Membership.objects.exists()


# --- Replay


def test_replay_applies_an_event_again_where_nothing_newer_is_known() -> None:
    deliver(event("user.updated", clerk_user(first_name="Ada")))
    User.objects.update(name="Changed here")

    assert replay(the_event()) == "applied"

    assert User.objects.get().name == "Ada Doe Updated"
    assert the_event().attempts == 2


def test_replay_of_an_old_event_changes_nothing() -> None:
    deliver(event("user.created", clerk_user(first_name="Old", updated_at=NOW - 1)), "msg_1")
    deliver(event("user.updated", clerk_user(first_name="New")), "msg_2")

    assert replay(WebhookEvent.objects.get(svix_id="msg_1")) == "stale"
    assert User.objects.get().name == "New Doe Updated"


# --- Our own writes, as Clerk tells of them


@pytest.fixture
def synced() -> MetadataSync:
    """A user whose metadata was delivered, at the time NOW of Clerk's clock."""
    deliver(event("user.created", clerk_user(email="a@example.com")), "msg_0")
    (metadata,) = desired_metadata([User.objects.get().pk]).values()
    MetadataSync.objects.update(state="synced", held_digest=digest(metadata), claims_after=NOW)
    return MetadataSync.objects.get()


def ours() -> dict[str, str | None]:
    (metadata,) = desired_metadata([User.objects.get().pk]).values()
    return dict(metadata)


def test_echo_of_our_own_write_confirms_it_and_queues_nothing(synced: MetadataSync) -> None:
    echo = clerk_user(email="a@example.com", public_metadata=ours() | {"theirs": 1}, updated_at=NOW)

    assert deliver(event("user.updated", echo)) == APPLIED

    synced.refresh_from_db()
    assert (synced.state, synced.confirmed_at is None) == ("synced", False)


def test_metadata_that_somebody_changed_at_clerk_is_repaired(synced: MetadataSync) -> None:
    changed = clerk_user(email="a@example.com", public_metadata=ours() | {"role": "owner"}, updated_at=NOW + 1)

    deliver(event("user.updated", changed))

    synced.refresh_from_db()
    assert synced.state == "pending"


def test_change_of_name_or_email_queues_nothing(synced: MetadataSync) -> None:
    renamed = clerk_user(email="b@example.com", first_name="New", public_metadata=ours(), updated_at=NOW + 1)

    deliver(event("user.updated", renamed))

    synced.refresh_from_db()
    assert (synced.state, synced.version) == ("synced", 1)


def test_nothing_is_left_to_deliver_to_a_deleted_user(synced: MetadataSync) -> None:
    deliver(deletion())

    assert not MetadataSync.objects.exists()


# --- Cost


def test_queries_of_an_update_with_a_new_name_and_email_that_also_confirms(
    synced: MetadataSync, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    update = clerk_user(email="b@example.com", first_name="New", public_metadata=ours(), updated_at=NOW + 1)

    with django_assert_max_num_queries(4):
        assert deliver(event("user.updated", update)) == APPLIED

    assert User.objects.get().email == "b@example.com"


def test_queries_of_an_update_while_a_delivery_waits(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    deliver(event("user.created", clerk_user()), "msg_1")

    with django_assert_max_num_queries(3):
        assert deliver(event("user.updated", clerk_user(updated_at=NOW + 1)), "msg_2") == APPLIED


def test_queries_of_a_duplicate(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    deliver(event("user.created", clerk_user()))

    with django_assert_max_num_queries(1):
        assert deliver(event("user.created", clerk_user())) == DUPLICATE


# --- Failures


@contextmanager
def an_obstacle(error: Exception) -> Iterator[None]:
    """Someone else's receiver, which raises whenever a user is created."""

    def raise_error(created: bool, **kwargs: Any) -> None:
        if created:
            raise error

    post_save.connect(raise_error, sender=User)
    try:
        yield
    finally:
        post_save.disconnect(raise_error, sender=User)


@pytest.mark.django_db(transaction=True)
def test_failure_is_rolled_back_recorded_answered_500_and_run_again() -> None:
    body = event("user.created", clerk_user())

    with an_obstacle(RuntimeError("out of paper")):
        assert deliver(body)[0] == 500
        assert deliver(body)[0] == 500

    assert not User.objects.exists()
    failed = the_event()
    assert (failed.outcome, failed.attempts, failed.processed_at) == ("failed", 2, None)
    assert failed.error == "RuntimeError: out of paper"

    assert deliver(body) == APPLIED
    assert deliver(body) == DUPLICATE
    done = the_event()
    assert (done.outcome, done.attempts, done.error) == ("applied", 3, "")
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), InterfaceError("closed")])
def test_database_that_is_away_is_answered_503_and_records_nothing(error: Exception) -> None:
    with an_obstacle(error):
        response = post(event("user.created", clerk_user()))

    assert (response.status_code, response["Retry-After"]) == (503, "30")
    assert not User.objects.exists()
    assert not WebhookEvent.objects.exists()
    assert deliver(event("user.created", clerk_user())) == APPLIED


@pytest.mark.django_db(transaction=True)
def test_database_that_is_away_from_the_first_query_is_answered_503() -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        assert post(event("user.created", clerk_user())).status_code == 503
