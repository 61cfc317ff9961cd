import time
from typing import Any, Protocol

import pytest
from django.test import Client

from accounts.models import Membership, Organization, Role, User
from tests.accounts.factories import a_member, a_user, an_organization
from tests.instance import ClerkInstance, sign_in


class Visitor(Protocol):
    def __call__(self, user: User, **token: Any) -> Client: ...


@pytest.fixture
def visit(clerk: ClerkInstance) -> Visitor:
    """A browser in which the user is signed in with a real token, without our claims: the database answers.

    The token lives for longer than a minute, because a test that first makes 10,000 rows may take one.
    """

    def visitor(user: User, **token: Any) -> Client:
        client = Client()
        sign_in(client, clerk.token(user.clerk_user_id, **{"exp": int(time.time()) + 280} | token))
        return client

    return visitor


@pytest.fixture
def acme() -> Organization:
    return an_organization("Acme", owner=a_user("Olga Owner"))


@pytest.fixture
def owner(acme: Organization, visit: Visitor) -> Client:
    return visit(acme.memberships.get(role=Role.OWNER).user)


@pytest.fixture
def admin_membership(acme: Organization) -> Membership:
    return a_member(acme, Role.ADMIN, user=a_user("Adam Admin"))


@pytest.fixture
def admin(admin_membership: Membership, visit: Visitor) -> Client:
    return visit(admin_membership.user)


@pytest.fixture
def membership(acme: Organization) -> Membership:
    return a_member(acme, user=a_user("Mira Member"))


@pytest.fixture
def member(membership: Membership, visit: Visitor) -> Client:
    return visit(membership.user)
