"""Events for development, signed and posted to the local site."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from clerk_sync.management.commands.send_clerk_event import published_events
from clerk_sync.models import EndedSession, WebhookEvent
from tests.accounts.factories import a_user
from tests.clerk_sync.payloads import EXAMPLES


def send(site: LiveServer, *arguments: str) -> str:
    out = StringIO()
    call_command("send_clerk_event", *arguments, "--site", site.url, stdout=out)
    return out.getvalue()


def test_events_are_as_published() -> None:
    assert published_events() == {event_type: EXAMPLES[event_type][0] for event_type in published_events()}


def test_update_of_a_local_user_is_applied(live_server: LiveServer) -> None:
    a_user("Ada Example", clerk_user_id="user_ada", email="ada@example.com")

    answer = send(live_server, "user.updated", "--user", "Ada@example.com", "--set", "banned=true")

    assert '200 {"outcome": "applied"}' in answer
    user = User.objects.get()
    assert (user.clerk_user_id, user.name, user.email) == ("user_ada", "Ada Example", "ada@example.com")
    assert not user.is_active


def test_new_user_is_created_with_a_verified_email(live_server: LiveServer) -> None:
    send(live_server, "user.created", "--user", "new@example.com")

    assert User.objects.get().email == "new@example.com"


def test_deletion_and_end_of_session_name_whom_they_are_about(live_server: LiveServer) -> None:
    a_user(clerk_user_id="user_ada")

    send(live_server, "user.deleted", "--user", "user_ada")
    send(live_server, "session.revoked", "--session", "sess_9")

    assert not User.objects.get().is_active
    assert EndedSession.objects.get().session_id == "sess_9"


def test_same_message_id_is_a_duplicate(live_server: LiveServer) -> None:
    arguments = ("user.created", "--svix-id", "msg_9")

    assert "applied" in send(live_server, *arguments)
    assert "duplicate" in send(live_server, *arguments)
    assert json.loads(WebhookEvent.objects.get().payload)["type"] == "user.created"


@pytest.mark.parametrize("arguments", [["--site", "https://example.com"], ["--set", "banned=perhaps"]])
def test_wrong_use_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("send_clerk_event", "user.created", *arguments)

    assert refusal.value.returncode == 2


def test_site_that_does_not_answer_is_named() -> None:
    with pytest.raises(CommandError, match="No site answers at http://localhost:9"):
        call_command("send_clerk_event", "user.created", "--site", "http://localhost:9")
