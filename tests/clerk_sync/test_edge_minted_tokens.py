"""Tokens that Clerk mints at its edge: issued just now, with claims from before. `oiat` says from when."""

import time
from collections.abc import Iterator

import jwt
import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import Membership, Organization, Role, User
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from clerk_sync.emulator.state import Session
from clerk_sync.sync import sync_user_data_to_clerk


@pytest.fixture
def clerk(settings: Settings) -> Iterator[LocalClerk]:
    with RunningClerk(LocalClerk(Instance(claims_kept_for=3600))) as running:
        instance = running.clerk.instance
        settings.CLERK_API_URL = running.backend_api_url
        settings.CLERK_FRONTEND_API_URL = instance.frontend_api_url
        settings.CLERK_JWT_KEY = running.clerk.signer.public_pem
        settings.CLERK_PUBLISHABLE_KEY = instance.publishable_key
        settings.CLERK_SECRET_KEY = instance.secret_key
        yield running.clerk


def who(client: Client, clerk: LocalClerk, session: Session) -> dict[str, str | None]:
    token = clerk.session_token(session, origin="http://testserver")
    answer = client.get("/api/v1/me/", headers={"Authorization": f"Bearer {token}"})
    body: dict[str, str | None] = answer.json()
    return body


@pytest.mark.django_db(transaction=True)
def test_fresh_token_with_claims_from_before_a_change_is_not_believed(client: Client, clerk: LocalClerk) -> None:
    at_clerk = clerk.store.create_user(emails=[("mira@example.com", True)])
    user = User.objects.create_user("mira@example.com", clerk_user_id=at_clerk.id)
    organization = Organization.objects.create(name="Kite", slug="kite")
    Membership.objects.create(user=User.objects.create_user("own@example.com"), organization=organization, role="owner")
    membership = Membership.objects.create(user=user, organization=organization, role=Role.ADMIN)
    sync_user_data_to_clerk(at_clerk.id)
    time.sleep(1.1)  # claims are dated in whole seconds: those of the same second count as older
    session = clerk.store.sign_in(clerk.store.create_client(), at_clerk)
    assert who(client, clerk, session)["source"] == "session_claims"

    membership.role = Role.MEMBER
    membership.save()
    sync_user_data_to_clerk(at_clerk.id)
    time.sleep(1.1)
    token = clerk.session_token(session)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["role"], claims["iat"] > jwt.get_unverified_header(token)["oiat"]) == ("admin", True)
    answer = who(client, clerk, session)
    assert (answer["role"], answer["source"], answer["fallback_reason"]) == ("member", "database", "claims_stale")

    clerk.kept_claims.clear()  # the edge reads anew
    answer = who(client, clerk, session)
    assert (answer["role"], answer["source"]) == ("member", "session_claims")
