"""Those who look after the inbox: the admin, and the commands that replay and prune."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from clerk_sync.models import EndedSession, WebhookEvent
from tests.clerk_sync.payloads import clerk_user, deletion, event
from tests.clerk_sync.test_webhook_events import an_obstacle, deliver

pytestmark = pytest.mark.django_db

CHANGELIST = "/admin/clerk_sync/webhookevent/"


@pytest.fixture
def recorded() -> WebhookEvent:
    deliver(event("user.updated", clerk_user(first_name="<b>Ada</b>")))
    User.objects.update(name="Changed here")
    return WebhookEvent.objects.get()


def staff(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("staff@example.com", "secret", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def test_events_are_found_by_the_text_of_their_payload(admin_client: Client, recorded: WebhookEvent) -> None:
    assert b"1 webhook event" in admin_client.get(CHANGELIST, {"q": "johndoe"}).content
    assert b"0 webhook events" in admin_client.get(CHANGELIST, {"q": "nobody"}).content


def test_payload_is_shown_escaped(admin_client: Client, recorded: WebhookEvent) -> None:
    page = admin_client.get(f"{CHANGELIST}{recorded.pk}/change/").content.decode()

    assert "&lt;b&gt;Ada&lt;/b&gt;" in page
    assert "<b>Ada" not in page


def test_events_are_nobodys_to_add_change_or_delete(admin_client: Client, recorded: WebhookEvent) -> None:
    assert admin_client.get(f"{CHANGELIST}add/").status_code == 403
    assert admin_client.post(f"{CHANGELIST}{recorded.pk}/change/", {"type": "x"}).status_code == 403
    assert admin_client.post(f"{CHANGELIST}{recorded.pk}/delete/", {"post": "yes"}).status_code == 403


def test_replay_from_the_admin_applies_again(admin_client: Client, recorded: WebhookEvent) -> None:
    data = {"action": "replay_events", "_selected_action": [recorded.pk]}

    page = admin_client.post(CHANGELIST, data, follow=True).content.decode()

    assert "updated · msg_1: Applied" in page
    assert User.objects.get(clerk_user_id="user_ada").name == "<b>Ada</b> Doe Updated"


def test_replay_needs_the_permission_to_change(client: Client, recorded: WebhookEvent) -> None:
    viewer = staff(client, "view_webhookevent")
    data = {"action": "replay_events", "_selected_action": [recorded.pk]}

    assert "replay_events" not in viewer.get(CHANGELIST).content.decode()
    viewer.post(CHANGELIST, data)

    assert User.objects.get(clerk_user_id="user_ada").name == "Changed here"


def test_replay_command_applies_the_named_events(recorded: WebhookEvent) -> None:
    out = StringIO()

    call_command("replay_webhook_events", "msg_1", stdout=out)

    assert out.getvalue() == "user.updated · msg_1: applied\n1 applied\n"
    assert User.objects.get().name == "<b>Ada</b> Doe Updated"


@pytest.mark.django_db(transaction=True)
def test_replay_command_takes_what_failed_and_tells_what_fails_again() -> None:
    with an_obstacle(RuntimeError("out of paper")):
        deliver(event("user.created", clerk_user()))
        with pytest.raises(CommandError, match="1 failed again"):
            call_command("replay_webhook_events", "--failed", stdout=StringIO())
    assert WebhookEvent.objects.get().attempts == 2

    call_command("replay_webhook_events", "--failed", "--days", "1", stdout=StringIO())

    assert WebhookEvent.objects.get().outcome == "applied"
    assert User.objects.get().clerk_user_id == "user_ada"


@pytest.mark.parametrize("arguments", [[], ["msg_1", "--failed"], ["--days", "1"], ["msg_unknown"]])
def test_replay_command_refuses_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("replay_webhook_events", *arguments)

    assert refusal.value.returncode == 2


def test_old_events_and_sessions_are_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clerk_sync.models.webhook_event.PRUNED_AT_ONCE", 2)
    for age in (1, 89, 91, 92, 93):
        at = timezone.now() - timedelta(days=age)
        WebhookEvent.objects.create(svix_id=f"msg_{age}", outcome="applied", received_at=at, payload="{}")
        EndedSession.objects.create(session_id=f"sess_{age}", ended_at=at)

    call_command("prune_webhook_events", stdout=StringIO())

    assert set(WebhookEvent.objects.values_list("svix_id", flat=True)) == {"msg_1", "msg_89"}
    assert set(EndedSession.objects.values_list("session_id", flat=True)) == {"sess_1", "sess_89"}


def test_pruning_everything_is_refused() -> None:
    with pytest.raises(CommandError, match="1 or more"):
        call_command("prune_webhook_events", "--days", "0")


def test_row_that_the_admin_gives_another_clerk_account_follows_that_account(admin_client: Client) -> None:
    deliver(event("user.created", clerk_user("user_old")), "msg_1")
    deliver(deletion("user_old"), "msg_2")
    row = User.objects.get(clerk_user_id="user_old")
    form = {"name": row.name, "email": "", "clerk_user_id": "user_new", "is_active": "on"}

    assert admin_client.post(f"/admin/accounts/user/{row.pk}/change/", form).status_code == 302
    deliver(event("user.updated", clerk_user("user_new", "ada@example.com", first_name="Ada")), "msg_3")

    row.refresh_from_db()
    assert (row.clerk_user_id, row.email, row.is_active) == ("user_new", "ada@example.com", True)
