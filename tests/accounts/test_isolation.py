"""No address of the site, by any verb, shows or changes anything of another organization.

The addresses are found in the URL configuration, so that a new one is walked without anyone remembering to add it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import responses
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Change, Invitation, Membership, Organization, Person, Role, User
from tests.accounts.conftest import Visitor
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db

VERBS = ["get", "head", "options", "post", "put", "patch", "delete"]
# The admin is for staff, who see every organization, and has permissions of its own.
ELSEWHERE = ("admin/",)
# Stands in each name of the victim's organization, and in nothing that is sent.
MARK = "Secretive"


def addresses(patterns: list[Any], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield address
        elif isinstance(pattern, URLResolver) and address not in ELSEWHERE:
            yield from addresses(pattern.url_patterns, address)


ADDRESSES = sorted(set(addresses(get_resolver().url_patterns)))


@dataclass
class Victim:
    organization: Organization
    membership: Membership
    person: Person
    invitation: Invitation

    @property
    def ids(self) -> list[str]:
        rows = [self.organization, self.membership, self.membership.user, self.person, self.invitation]
        return [str(row.pk) for row in rows]

    @property
    def fields(self) -> dict[str, str]:
        """What forms and bodies of the site take, naming the victim's rows wherever something can be named."""
        text = "name,email,manager_email\nNew,new@example.com,person@victim.example\n"
        return {
            "name": "New",
            "email": "member@victim.example",
            "role": "owner",
            "slug": self.organization.slug,
            "manager": str(self.person.pk),
            "user": str(self.membership.user_id),
            "organization": str(self.organization.pk),
            "text": text,
            "confirm": "yes",
        }

    @property
    def query(self) -> dict[str, str]:
        search = MARK.lower()
        ids = {name: str(self.person.pk) for name in ("head", "manager", "person", "id")}
        return {"q": search, "search": search, "status": "active", "organization": str(self.organization.pk), **ids}

    def rows(self) -> list[Any]:
        owned = [
            model.objects.filter(organization=self.organization).order_by("pk").values()
            for model in (Membership, Person, Invitation, Change)
        ]
        users = User.objects.filter(email__endswith="@victim.example").order_by("pk").values()
        return [list(rows) for rows in [Organization.objects.filter(pk=self.organization.pk).values(), users, *owned]]


@pytest.fixture
def victim() -> Victim:
    owner = a_user(f"{MARK} Owner", email="owner@victim.example")
    organization = an_organization(f"{MARK} Works", owner=owner)
    Organization.objects.update(slug="victim-works")
    organization.refresh_from_db()
    membership = a_member(organization, user=a_user(f"{MARK} Member", email="member@victim.example"))
    head = a_person(organization, f"{MARK} Head", email="head@victim.example", title=f"{MARK} title")
    person = a_person(organization, f"{MARK} Person", email="person@victim.example", manager=head, user=membership.user)
    invitation = Invitation.objects.invite(organization, "guest@victim.example", Role.ADMIN, by_id=owner.pk)
    return Victim(organization, membership, person, invitation)


@pytest.fixture(params=["owner elsewhere", "member of nothing"])
def intruder(request: pytest.FixtureRequest, visit: Visitor) -> Client:
    user = a_user("Ivan Intruder")
    if request.param == "owner elsewhere":
        a_person(an_organization("Intrusive", owner=user), "Own Person", user=user)
    return visit(user)


@pytest.fixture(autouse=True)
def _clerk_answers() -> Iterator[None]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as clerk_api:
        clerk_api.post("https://api.clerk.test/v1/sessions/sess_1/revoke", json={})
        yield


def requests(client: Client, verb: str, path: str, victim: Victim) -> Iterator[Any]:
    """The request bare, with the victim's rows in the query, and with them in a form or in JSON."""
    call = getattr(client, verb)
    yield call(path)
    if verb in {"head", "options"}:
        return
    yield call(f"{path}?{'&'.join(f'{name}={value}' for name, value in victim.query.items())}")
    if verb == "post":
        yield call(path, victim.fields)
    if verb in {"post", "put", "patch", "delete"}:
        yield call(path, victim.fields, content_type="application/json")


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_of_another_organization_is_shown_or_changed(address: str, victim: Victim, intruder: Client) -> None:
    before = victim.rows()
    takes_an_id = "<uuid:pk>" in address
    paths = [f"/{address.replace('<uuid:pk>', pk)}" for pk in (victim.ids if takes_an_id else [""])]
    assert "<" not in paths[0], f"This test does not know what stands for the parameters of {address}."
    for path in paths:
        for verb in VERBS:
            with transaction.atomic():
                for answer in requests(intruder, verb, path, victim):
                    content = answer.getvalue() if answer.streaming else answer.content
                    assert MARK not in f"{answer.headers}{content.decode()}", (verb, path)
                    assert answer.status_code < 500 or address == "readyz", (verb, path)
                    if takes_an_id and verb != "options":
                        assert answer.status_code in {403, 404, 405}, (verb, path, answer.status_code)
                assert victim.rows() == before, (verb, path)
                transaction.set_rollback(True)


def test_the_walk_would_see_a_leak(victim: Victim, visit: Visitor) -> None:
    """Of the victim's own member the same requests show what the intruder must not see."""
    member = visit(victim.membership.user)

    for path in ("/people/", f"/people/{victim.person.pk}/", "/api/v1/people/", "/people/export/"):
        answer = member.get(path)
        content = answer.getvalue() if answer.streaming else answer.content
        assert MARK in content.decode()


def test_every_resource_is_walked() -> None:
    assert {"people/<uuid:pk>/", "api/v1/people/<uuid:pk>/", "organization/members/<uuid:pk>/"} <= set(ADDRESSES)
    assert len(ADDRESSES) > 40
