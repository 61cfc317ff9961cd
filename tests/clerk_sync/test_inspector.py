"""The session inspector names the source of the answer, the reason of a fallback and the exact next step."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization, User
from clerk_sync.models import MetadataSync
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = pytest.mark.django_db

State = MetadataSync.State


@pytest.fixture
def ada(clerk: ClerkInstance) -> User:
    user: User = User.objects.create(clerk_user_id="user_1", email="ada@example.com", name="Ada")
    Organization.objects.create_with_owner(name="Acme", owner=user)
    return user


def inspected(client: Client, token: str) -> str:
    sign_in(client, token)
    answer = client.get("/account/session/")
    assert answer.status_code == 200
    return answer.content.decode().replace("&#x27;", "'")


def synced(user: User, state: str, **fields: Any) -> None:
    MetadataSync.objects.update_or_create({"user": user, "state": state, **fields}, clerk_user_id=user.clerk_user_id)


def test_token_without_the_claims(ada: User, clerk: ClerkInstance, client: Client) -> None:
    page = inspected(client, clerk.token())

    assert "<code>claims_not_configured</code>" in page
    assert "Sessions, Customize session token, paste the JSON" in page
    assert "A JWT template does not help" in page
    assert "{{user.public_metadata.managerOSUserId}}" in page


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (State.PENDING, "no worker (manage.py db_worker) is running"),
        (State.SYNCED, "your next session token, at most a minute away, does"),
        (State.FAILED, "an administrator can retry it"),
    ],
)
def test_claims_that_are_empty(ada: User, clerk: ClerkInstance, client: Client, state: str, step: str) -> None:
    synced(ada, state, error="Clerk answered 404")

    page = inspected(client, clerk.token(claims=dict.fromkeys(claims_of(ada))))

    assert "<code>metadata_not_synced</code>" in page
    assert step in page


def test_claims_that_are_empty_with_no_sync_queued(ada: User, clerk: ClerkInstance, client: Client) -> None:
    MetadataSync.objects.all().delete()

    page = inspected(client, clerk.token(claims=dict.fromkeys(claims_of(ada))))

    assert "sync_clerk_metadata --user" in page


def test_claims_of_a_wrong_type(ada: User, clerk: ClerkInstance, client: Client) -> None:
    page = inspected(client, clerk.token(claims={**claims_of(ada), "role": 7}))

    assert "<code>claims_invalid</code>" in page
    assert "wrong type" in page


def test_claims_that_carry_the_answer(ada: User, clerk: ClerkInstance, client: Client, settings: Any) -> None:
    settings.CLERK_FRESHNESS = "token"

    page = inspected(client, clerk.token(claims=claims_of(ada)))

    assert "Your session token carried the whole answer" in page
    assert '<dd id="identity-queries"><strong>0</strong></dd>' in page
    assert "session claims</span>" in page


def test_site_that_always_asks_the_database(ada: User, clerk: ClerkInstance, client: Client, settings: Any) -> None:
    settings.CLERK_FRESHNESS = "database"

    page = inspected(client, clerk.token(claims=claims_of(ada)))

    assert "CLERK_FRESHNESS=database" in page
    assert "password" not in page


def test_claims_under_metadata_are_shown_too(ada: User, clerk: ClerkInstance, client: Client) -> None:
    page = inspected(client, clerk.token(claims={"metadata": claims_of(ada)}))

    assert page.count('<span class="tag good">carried</span>') == 5


def test_cookie_that_is_too_large(ada: User, clerk: ClerkInstance, client: Client) -> None:
    page = inspected(client, clerk.token(claims={**claims_of(ada), "everything": "x" * 3000}))

    assert "a browser drops a larger cookie" in page


def test_who_is_signed_out_is_told_why(client: Client) -> None:
    client.cookies["__clerk_db_jwt"] = "dvb_tests"

    answer = client.get("/account/session/")

    assert answer.status_code == 401
    assert "/sign-in/?next=%2Faccount%2Fsession%2F" in answer.content.decode()
