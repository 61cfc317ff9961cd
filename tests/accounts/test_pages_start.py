"""The first pages: public, signed in, without an organization; and what answers where no page does."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Invitation, Membership, Organization, Role
from tests.accounts.conftest import Visitor
from tests.accounts.factories import a_member, a_person, a_user, an_organization

pytestmark = pytest.mark.django_db


def test_public_page_is_open_and_leads_to_sign_in(client: Client) -> None:
    client.cookies["__clerk_db_jwt"] = "dvb_tests"

    answer = client.get("/")

    assert answer.status_code == 200
    assert 'href="/sign-in/"' in answer.content.decode()


def test_public_page_leads_on_who_is_signed_in(member: Client) -> None:
    assert member.get("/").headers["Location"] == "/dashboard/"


def test_dashboard_names_person_organization_role_manager_and_reports(
    acme: Organization, membership: Membership, member: Client
) -> None:
    head = a_person(acme, "Hanna Head")
    person = a_person(acme, "Mira Holt", user=membership.user, manager=head)
    a_person(acme, "Rolf Report", manager=person)

    page = member.get("/dashboard/").content.decode()

    for words in ("Mira Holt", "Acme", "member", "Hanna Head", "Rolf Report", "database"):
        assert words in page


def test_dashboard_costs_few_queries(
    acme: Organization, membership: Membership, member: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    person = a_person(acme, user=membership.user, manager=a_person(acme))
    for _ in range(20):
        a_person(acme, manager=person)

    with django_assert_max_num_queries(6):
        member.get("/dashboard/")


def test_members_do_not_see_who_is_invited(acme: Organization, member: Client, admin: Client) -> None:
    Invitation.objects.invite(acme, "secret@example.com", Role.MEMBER, by_id=acme.memberships.get(role="owner").user_id)

    assert "secret@example.com" not in member.get("/dashboard/").content.decode()
    assert "secret@example.com" in admin.get("/dashboard/").content.decode()


def test_without_an_organization_one_can_create_or_accept(visit: Visitor) -> None:
    user = a_user(email="mira@example.com")
    acme = an_organization("Acme")
    Invitation.objects.invite(acme, "mira@example.com", Role.ADMIN, by_id=acme.memberships.get().user_id)
    browser = visit(user)

    page = browser.get("/dashboard/").content.decode()
    assert "You are invited to" in page
    assert "/organization/create/" in page

    invitation = Invitation.objects.get()
    browser.post(f"/account/invitations/{invitation.pk}/accept/")
    assert "Acme" in browser.get("/dashboard/").content.decode()
    assert user.memberships.get(is_active=True).role == Role.ADMIN


def test_without_an_organization_one_can_go_back_to_work(visit: Visitor) -> None:
    membership = a_member(an_organization("Acme"))
    Membership.objects.filter(pk=membership.pk).update(is_active=False)

    assert "Work in Acme" in visit(membership.user).get("/dashboard/").content.decode()


def test_someone_elses_invitation_is_not_found(acme: Organization, member: Client) -> None:
    other = an_organization("Other")
    invitation = Invitation.objects.invite(other, "else@example.com", Role.OWNER, by_id=other.memberships.get().user_id)

    assert member.post(f"/account/invitations/{invitation.pk}/accept/").status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [("/nowhere/", 404, "no such page"), ("/organization/rename/", 403, "Only admins and owners")],
)
def test_error_pages_say_what_to_do(member: Client, path: str, status: int, words: str) -> None:
    answer = member.get(path)

    assert answer.status_code == status
    assert words in answer.content.decode()


def test_bad_host_is_a_page_of_our_own(client: Client) -> None:
    answer = client.get("/", headers={"host": "evil.example"})

    assert (answer.status_code, "could not be read" in answer.content.decode()) == (400, True)


def test_failing_page_is_a_page_of_our_own(member: Client, settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("accounts.scope.own_invitations", fail)
    member.raise_request_exception = False

    answer = member.get("/dashboard/")

    assert (answer.status_code, "wrong on our side" in answer.content.decode()) == (500, True)


@pytest.mark.parametrize("path", ["/api/v1/nothing/", "/api/"])
def test_unknown_address_of_the_api_is_a_problem(member: Client, path: str) -> None:
    answer = member.get(path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "code": "not_found"}


def test_impersonator_sees_a_banner(membership: Membership, visit: Visitor) -> None:
    browser = visit(membership.user, act={"sub": "user_support"})

    assert "on somebody else's behalf" in browser.get("/dashboard/").content.decode().replace("&#x27;", "'")


def test_who_belongs_nowhere_is_not_sent_to_an_owner_for_a_role(visit: Visitor) -> None:
    answer = visit(a_user()).get("/people/")

    assert answer.status_code == 403
    page = answer.content.decode()
    assert "You are not a member of an organization." in page
    assert "An owner of the organization" not in page


def test_forged_form_is_refused(membership: Membership, visit: Visitor) -> None:
    browser = visit(membership.user)
    browser.handler.enforce_csrf_checks = True

    answer = browser.post("/organization/leave/")

    assert (answer.status_code, "form has expired" in answer.content.decode()) == (403, True)
    assert Membership.objects.filter(pk=membership.pk).exists()
