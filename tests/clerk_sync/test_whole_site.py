"""The read path under the site's own pages: errors included, which name the user too."""

import time

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.models import User
from tests.clerk_sync.test_handshake_states import DOCUMENT, LIVE_KEY
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def expired(settings: Settings, clerk: ClerkInstance, ada: User, client: Client) -> Client:
    """A browser whose session only a handshake could renew."""
    settings.CLERK_PUBLISHABLE_KEY = LIVE_KEY
    now = int(time.time())
    sign_in(client, clerk.token(claims=claims_of(ada), exp=now - 60, iat=now - 120, nbf=now - 130))
    return client


@pytest.mark.parametrize("path", ["/", "/dashboard/", "/account/session/", "/people/"])
def test_a_page_goes_to_clerk_and_back(expired: Client, path: str) -> None:
    response = expired.get(path, headers=DOCUMENT)

    assert response.status_code == 307
    assert response.headers["Location"].startswith("https://clerk.manageros.test/v1/client/handshake?")


def test_a_page_that_does_not_exist_is_404_although_its_layout_names_the_user(expired: Client) -> None:
    assert expired.get("/nowhere/", headers=DOCUMENT).status_code == 404


def test_a_form_without_a_csrf_token_is_403_although_its_layout_names_the_user(
    settings: Settings, expired: Client
) -> None:
    expired.handler.enforce_csrf_checks = True

    assert expired.post("/sign-out/", headers=DOCUMENT).status_code == 403


@pytest.mark.parametrize("path", ["/healthz", "/static/clerk_sync/session.js", "/webhooks/clerk/"])
def test_what_asks_for_nobody_is_not_sent_anywhere(expired: Client, path: str) -> None:
    assert expired.get(path, headers=DOCUMENT).status_code in {200, 404, 405}


def test_the_admin_of_staff_with_a_password_needs_no_clerk(
    settings: Settings, clerk: ClerkInstance, client: Client
) -> None:
    settings.CLERK_PUBLISHABLE_KEY = LIVE_KEY
    client.force_login(User.objects.create_superuser("staff@example.com", "a password"))

    assert client.get("/admin/", headers=DOCUMENT).status_code == 200


def test_somebody_signed_in_with_clerk_may_open_the_admin_as_staff(
    clerk: ClerkInstance, ada: User, client: Client
) -> None:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    assert client.get("/admin/", headers=DOCUMENT).status_code == 302

    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    assert client.get("/admin/", headers=DOCUMENT).status_code == 200


@pytest.mark.parametrize("under", ["wsgi", "asgi"])
def test_no_error_page_fails_because_clerk_cannot_be_asked(
    settings: Settings, clerk: ClerkInstance, under: str
) -> None:
    """They name the user, who cannot be named now."""
    settings.CLERK_JWT_KEY = "no key at all"
    client = AsyncClient(enforce_csrf_checks=True) if under == "asgi" else Client(enforce_csrf_checks=True)
    sign_in(client, clerk.token())

    def ask(method: str, path: str) -> int:
        call = getattr(client, method)
        status: int = (async_to_sync(call) if under == "asgi" else call)(path, headers=DOCUMENT).status_code
        return status

    assert ask("get", "/dashboard/") == 503
    assert ask("get", "/nowhere/") == 404
    assert ask("post", "/sign-out/") == 403
    assert ask("options", "/dashboard/") == 405
