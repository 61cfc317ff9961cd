"""The main job, end to end: separate processes, real sockets, a real database; SQLite or PostgreSQL as the suite's."""

import re
from collections.abc import Iterator

import pytest
import requests

from tests.end_to_end.demo import RunningDemo
from tests.end_to_end.visitor import Visitor


@pytest.fixture
def visitor(demo: RunningDemo) -> Iterator[Visitor]:
    visitor = Visitor(demo)
    with visitor.http:
        yield visitor


@pytest.fixture
def another(demo: RunningDemo) -> Iterator[Visitor]:
    visitor = Visitor(demo)
    with visitor.http:
        yield visitor


def text(page: requests.Response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())


def metadata_calls(demo: RunningDemo, user_id: str) -> int:
    counts: dict[str, int] = requests.get(f"{demo.clerk}/control/calls", timeout=60).json()["counts"]
    return counts.get(f"PATCH /v1/users/{user_id}/metadata", 0)


def events_of(demo: RunningDemo, event_type: str) -> list[dict[str, object]]:
    sent = requests.get(f"{demo.clerk}/control/webhooks", timeout=60).json()["webhooks"]
    return [event for event in sent if event["type"] == event_type]


def test_first_page_comes_from_the_database_and_the_next_token_carries_the_answer(
    demo: RunningDemo, visitor: Visitor
) -> None:
    page = visitor.sign_in("rafe.dunmore@example.com")
    assert (page.status_code, page.url) == (200, f"{demo.site}/dashboard/")
    for expected in ("Rafe Dunmore", "Harborlight Robotics", "member", "database", "metadata_not_synced"):
        assert expected in text(page)

    who = visitor.renew_token_until(source="session_claims")
    assert (who["organization_name"], who["role"], who["fallback_reason"]) == ("Harborlight Robotics", "member", None)
    inspector = visitor.get("/account/session/")
    assert "session claims" in text(inspector)
    assert re.search(r'id="identity-queries"><strong>0<', inspector.text)


def test_renamed_organization_is_in_the_next_token_of_every_member(visitor: Visitor, another: Visitor) -> None:
    for each, email in ((visitor, "gideon.pell@example.com"), (another, "silas.trent@example.com")):
        each.sign_in(email)
        each.renew_token_until(source="session_claims")
    renamed = f"Fernhill & Söhne {visitor.claims['iat']}"
    assert visitor.submit("/organization/rename/", name=renamed, slug="fernhill").status_code == 200
    for each in (visitor, another):
        assert each.who()["organization_name"] == renamed
        who = each.renew_token_until(source="session_claims", organization_name=renamed)
        assert each.claims["organizationName"] == renamed == who["organization_name"]


def test_user_known_to_clerk_alone_is_provisioned(visitor: Visitor) -> None:
    page = visitor.sign_in("juno.falk@example.com")
    assert page.status_code == 200
    who = visitor.who()
    assert who["is_authenticated"]
    assert who["organization_id"] is None
    created = visitor.submit("/organization/create/", name="Falk & Co", slug="falk-co")
    assert created.status_code == 200
    who = visitor.renew_token_until(source="session_claims")
    assert (who["organization_slug"], who["role"]) == ("falk-co", "owner")


def test_echo_of_our_own_write_causes_no_second_call(demo: RunningDemo, visitor: Visitor) -> None:
    visitor.sign_in("yara.holt@example.com")
    visitor.renew_token_until(source="session_claims")
    user_id = visitor.claims["sub"]
    before = metadata_calls(demo, user_id)
    assert before == 1
    assert all(event["answer"] == 200 for event in events_of(demo, "user.updated"))
    visitor.renew_token()
    assert visitor.who()["source"] == "session_claims"
    assert metadata_calls(demo, user_id) == before


def test_user_who_returns_after_the_tokens_life_sees_the_page(demo: RunningDemo, visitor: Visitor) -> None:
    visitor.sign_in("lena.oakes@example.com")
    visitor.forget_token()
    page = visitor.get("/people/?q=oakes")
    assert (page.status_code, page.url) == (200, f"{demo.site}/people/?q=oakes")


def test_signed_out_visitor_is_told_why(visitor: Visitor) -> None:
    page = visitor.get("/dashboard/")
    assert page.status_code == 401
    assert "/sign-in/?next=" in page.text
    assert visitor.me().status_code == 401
