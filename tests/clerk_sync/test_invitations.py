"""Whoever is invited and has no user is invited by Clerk too: queued with the invitation, within Clerk's limit."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import responses
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import Invitation, Organization, Role, User
from clerk_sync.invitations import send, send_pending
from clerk_sync.models import InvitationEmail
from tests.accounts.factories import a_user, an_organization

pytestmark = pytest.mark.django_db

URL = "https://api.clerk.test/v1/invitations"
State = InvitationEmail.State


@pytest.fixture
def clerk_api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as api:
        yield api


@pytest.fixture
def acme() -> Organization:
    return an_organization("Acme")


def invite(acme: Organization, email: str = "new@example.com") -> Invitation:
    return Invitation.objects.invite(acme, email, Role.MEMBER, by_id=acme.memberships.get().user_id)


def error(code: str, message: str = "no") -> dict[str, object]:
    return {"errors": [{"code": code, "message": message, "long_message": message}]}


def state() -> str:
    return InvitationEmail.objects.get().state


def test_address_without_a_user_is_invited_by_clerk(acme: Organization, clerk_api: responses.RequestsMock) -> None:
    call = clerk_api.post(URL, json={"object": "invitation"})
    invite(acme)

    assert send_pending().sent == 1
    assert send_pending().attempted == 0

    assert json.loads(call.calls[0].request.body) == {
        "email_address": "new@example.com",
        "expires_in_days": 30,
        "ignore_existing": False,
        "notify": True,
    }
    assert state() == State.SENT


def test_user_needs_no_email(acme: Organization) -> None:
    a_user(email="new@example.com")

    invite(acme)

    assert not InvitationEmail.objects.exists()


def test_email_is_queued_with_the_invitation_or_not_at_all(
    acme: Organization, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        with transaction.atomic():
            invite(acme)
            transaction.set_rollback(True)
        assert not InvitationEmail.objects.exists()
        invite(acme)

    assert state() == State.PENDING
    assert len(callbacks) == 1


@pytest.mark.parametrize("code", ["duplicate_record", "form_identifier_exists"])
def test_address_that_clerk_knows_needs_no_email(
    acme: Organization, clerk_api: responses.RequestsMock, code: str
) -> None:
    clerk_api.post(URL, status=400, json=error(code))
    invite(acme)

    send_pending()

    assert state() == State.SENT


def test_renewed_invitation_is_sent_again(acme: Organization, clerk_api: responses.RequestsMock) -> None:
    call = clerk_api.post(URL, json={})
    invite(acme)
    send_pending()

    invite(acme)
    send_pending()

    assert json.loads(call.calls[1].request.body)["ignore_existing"] is True


@pytest.mark.parametrize("end", ["revoked", "accepted"])
def test_invitation_that_ended_is_not_sent(acme: Organization, end: str) -> None:
    invitation = invite(acme)
    if end == "revoked":
        invitation.revoke()
    else:
        invitation.accept(a_user(email="new@example.com"))

    assert send_pending().attempted == 0


def test_clerks_wait_is_honoured(acme: Organization, clerk_api: responses.RequestsMock) -> None:
    clerk_api.post(URL, status=429, headers={"Retry-After": "600"}, json=error("too_many_requests"))
    invite(acme)

    outcome = send_pending()

    assert (outcome.retried, state()) == (1, State.PENDING)
    assert outcome.next_at is not None
    assert timedelta(seconds=590) < outcome.next_at - timezone.now() <= timedelta(seconds=600)


@pytest.mark.parametrize("status", [401, 500, 503])
def test_trouble_at_clerk_is_tried_again(acme: Organization, clerk_api: responses.RequestsMock, status: int) -> None:
    clerk_api.post(URL, status=status, json=error("clerk_key_invalid"))
    clerk_api.post(URL, json={})
    invite(acme)

    assert send_pending().retried == 1
    assert send_pending().attempted == 0
    InvitationEmail.objects.update(due_at=timezone.now())
    assert send_pending().sent == 1


def test_refusal_for_good_is_shown_and_not_repeated(acme: Organization, clerk_api: responses.RequestsMock) -> None:
    clerk_api.post(URL, status=422, json=error("form_param_format_invalid", "is invalid"))
    invite(acme)

    assert send_pending().failed == 1
    assert send_pending().attempted == 0
    assert "is invalid" in InvitationEmail.objects.get().error


def test_row_of_a_killed_worker_comes_back(acme: Organization, clerk_api: responses.RequestsMock) -> None:
    clerk_api.post(URL, json={})
    invite(acme)
    assert InvitationEmail.objects.claim() is not None
    assert send_pending().attempted == 0

    InvitationEmail.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    assert send_pending().sent == 1


def test_invitation_renewed_during_the_call_is_sent_once_more(
    acme: Organization, clerk_api: responses.RequestsMock
) -> None:
    invite(acme)
    clerk_api.add_callback("POST", URL, lambda request: (invite(acme), (200, {}, "{}"))[1])

    email = InvitationEmail.objects.claim()
    assert email is not None
    send(email)

    assert state() == State.PENDING


def test_clerks_limit_an_hour_is_kept(
    acme: Organization, clerk_api: responses.RequestsMock, settings: Settings
) -> None:
    settings.CLERK_INVITATIONS_PER_HOUR = 3
    call = clerk_api.post(URL, json={})
    for number in range(5):
        invite(acme, f"new{number}@example.com")

    outcome = send_pending()
    assert (outcome.sent, call.call_count) == (3, 3)
    assert outcome.next_at is not None
    assert outcome.next_at - timezone.now() > timedelta(minutes=59)

    InvitationEmail.objects.filter(state=State.SENT).update(sent_at=timezone.now() - timedelta(hours=1))
    assert send_pending().sent == 2


def test_command_sends_what_is_waiting(
    acme: Organization, clerk_api: responses.RequestsMock, capsys: pytest.CaptureFixture[str]
) -> None:
    clerk_api.post(URL, json={})
    invite(acme)

    call_command("send_clerk_invitations")

    assert "1 sent, 0 to be tried again, 0 failed." in capsys.readouterr().out


def test_failed_email_is_tried_again_from_the_admin(
    acme: Organization, clerk_api: responses.RequestsMock, client: Client
) -> None:
    clerk_api.post(URL, json={})
    invite(acme)
    InvitationEmail.objects.update(state=State.FAILED, error="no")
    client.force_login(User.objects.create_superuser("root@example.com", "secret"))
    page = reverse("admin:clerk_sync_invitationemail_changelist")

    assert "new@example.com" in client.get(page).content.decode()
    client.post(page, {"action": "try_again", "_selected_action": [InvitationEmail.objects.get().pk]})

    assert send_pending().sent == 1
