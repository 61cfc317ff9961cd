"""All users pulled from Clerk, by the same rules as the webhook's."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from clerk_sync import pull
from clerk_sync.mirror import mirror_user
from tests.accounts.factories import a_member, a_user, an_organization
from tests.clerk_sync.payloads import NOW, clerk_user

pytestmark = pytest.mark.django_db


class UsersAtClerk:
    """The part of the Backend API that a pull uses, over a dict of users; `failures` are answered first."""

    def __init__(self, api: responses.RequestsMock, base: str) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.unlisted: set[str] = set()
        self.failures: list[tuple[int, dict[str, str], str]] = []
        self.pages = 0
        self.last_page: int | None = None
        api.add_callback("GET", f"{base}/users/count", self.count)
        api.add_callback("GET", f"{base}/users", self.list)
        api.add_callback("GET", re.compile(f"{base}/users/user_\\w+"), self.one)

    def count(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        return 200, {}, json.dumps({"object": "total_count", "total_count": len(self.users)})

    def list(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        if self.failures:
            return self.failures.pop(0)
        if self.pages == self.last_page:
            return 503, {}, ""
        self.pages += 1
        query = parse_qs(urlsplit(str(request.url)).query)
        ids = sorted(self.users.keys() - self.unlisted, reverse=True)
        after = query.get("starting_after", [""])[0]
        ids = [user_id for user_id in ids if not after or user_id < after][: int(query["limit"][0])]
        return 200, {}, json.dumps([self.users[user_id] for user_id in ids])

    def one(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        user_id = urlsplit(str(request.url)).path.rsplit("/", 1)[1]
        if user_id in self.users:
            return 200, {}, json.dumps(self.users[user_id])
        return 404, {}, json.dumps({"errors": [{"code": "resource_not_found", "message": "not found"}]})


@pytest.fixture
def at_clerk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[UsersAtClerk]:
    monkeypatch.setattr("clerk_sync.pull.time.sleep", lambda seconds: None)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as api:
        yield UsersAtClerk(api, settings.CLERK_API_URL)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("pull_clerk_users", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_users_are_created_linked_updated_or_left(at_clerk: UsersAtClerk) -> None:
    local = a_user(clerk_user_id=None, email="linked@example.com")
    mirror_user(clerk_user("user_same", "same@example.com"))
    mirror_user(clerk_user("user_later", "later@example.com", updated_at=NOW + 9))
    mirror_user(clerk_user("user_old", "old@example.com"))
    at_clerk.users = {
        "user_new": clerk_user("user_new", "new@example.com"),
        "user_link": clerk_user("user_link", "linked@example.com"),
        "user_same": clerk_user("user_same", "same@example.com"),
        "user_later": clerk_user("user_later", "earlier@example.com"),
        "user_old": clerk_user("user_old", "newer@example.com", updated_at=NOW + 1, banned=True),
    }

    assert run() == "1 created, 1 linked, 1 stale, 1 unchanged, 1 updated\n"

    emails = dict(User.objects.values_list("clerk_user_id", "email"))
    assert emails == {
        "user_new": "new@example.com",
        "user_link": "linked@example.com",
        "user_same": "same@example.com",
        "user_later": "later@example.com",
        "user_old": "newer@example.com",
    }
    assert User.objects.get(clerk_user_id="user_link") == local
    assert not User.objects.get(clerk_user_id="user_old").is_active
    assert run() == "1 stale, 4 unchanged\n"


def test_dry_run_tells_the_same_and_changes_nothing(at_clerk: UsersAtClerk) -> None:
    a_user(clerk_user_id=None, email="linked@example.com")
    at_clerk.users = {
        "user_new": clerk_user("user_new", "new@example.com"),
        "user_link": clerk_user("user_link", "linked@example.com"),
    }

    assert run("--dry-run") == "Would be: 1 created, 1 linked\n"
    assert not User.objects.exclude(clerk_user_id=None).exists()
    assert run() == "1 created, 1 linked\n"


@pytest.mark.django_db(transaction=True)
def test_only_a_link_that_lasts_is_logged(at_clerk: UsersAtClerk, caplog: pytest.LogCaptureFixture) -> None:
    a_user(clerk_user_id=None, email="linked@example.com")
    at_clerk.users = {"user_link": clerk_user("user_link", "linked@example.com")}
    caplog.set_level("INFO", logger="clerk_sync.mirror")

    run("--dry-run")
    assert "Linked user" not in caplog.text

    run()
    assert "Linked user" in caplog.text


def test_pages_follow_a_cursor_to_the_last_user(at_clerk: UsersAtClerk) -> None:
    ids = [f"user_{number:03}" for number in range(7)]
    at_clerk.users = {user_id: clerk_user(user_id) for user_id in ids}

    cursors = [page.cursor for page in pull.pull_pages(size=3)]

    assert cursors == ["user_004", "user_001", "user_000"]
    assert User.objects.count() == 7


def test_unchanged_users_cost_no_query_each(
    at_clerk: UsersAtClerk, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    at_clerk.users = {f"user_{number}": clerk_user(f"user_{number}") for number in range(50)}
    run()

    with django_assert_max_num_queries(3):
        assert run() == "50 unchanged\n"


def test_passing_failure_is_tried_again(at_clerk: UsersAtClerk) -> None:
    at_clerk.users = {"user_ada": clerk_user()}
    at_clerk.failures = [(429, {"Retry-After": "1"}, ""), (500, {}, ""), (502, {}, "<html>")]

    assert run() == "1 created\n"


def test_lasting_failure_stops_and_says_where_to_go_on(at_clerk: UsersAtClerk) -> None:
    at_clerk.users = {f"user_{number:04}": clerk_user(f"user_{number:04}") for number in range(502)}
    at_clerk.last_page = 1

    with pytest.raises(CommandError, match="Go on with --starting-after user_0002") as stop:
        run()
    assert stop.value.returncode == 1
    assert User.objects.count() == 500

    at_clerk.last_page = None
    assert run("--starting-after", "user_0002") == "2 created\n"


def test_user_who_cannot_be_read_is_named_and_the_others_are_mirrored(at_clerk: UsersAtClerk) -> None:
    at_clerk.users = {"user_a": clerk_user("user_a") | {"updated_at": None}, "user_b": clerk_user("user_b")}

    with pytest.raises(CommandError, match="1 users could not be read"):
        run()

    assert list(User.objects.values_list("clerk_user_id", flat=True)) == ["user_b"]


def test_users_gone_at_clerk_are_reported_and_pruned_only_if_told(at_clerk: UsersAtClerk) -> None:
    mirror_user(clerk_user("user_gone"))
    gone = User.objects.get()
    a_member(an_organization(owner=a_user(clerk_user_id=None)), user=gone)
    at_clerk.users = {"user_ada": clerk_user()}
    assert run("--starting-after", "user_zzz") == "1 created\n"

    assert "1 deleted at Clerk, left as they are (--prune deactivates them): user_gone" in run()
    assert "left as they are" in run("--prune", "--dry-run")
    gone.refresh_from_db()
    assert gone.is_active

    assert "1 deleted at Clerk, deactivated: user_gone" in run("--prune")
    gone.refresh_from_db()
    assert (gone.is_active, gone.memberships.count()) == (False, 0)
    assert run("--prune") == "1 unchanged\n"


def test_user_whom_the_pages_missed_is_not_taken_for_deleted(at_clerk: UsersAtClerk) -> None:
    at_clerk.users = {"user_ada": clerk_user(), "user_new": clerk_user("user_new")}
    run()
    at_clerk.unlisted = {"user_new"}

    assert run("--prune") == "1 unchanged\n"


def test_prune_refuses_another_instances_users(at_clerk: UsersAtClerk) -> None:
    mirror_user(clerk_user("user_ours"))
    at_clerk.users = {}

    with pytest.raises(CommandError, match="Is CLERK_SECRET_KEY that of this instance"):
        run("--prune")
    assert User.objects.get().is_active


def test_prune_needs_a_whole_pull(at_clerk: UsersAtClerk) -> None:
    with pytest.raises(CommandError) as refusal:
        run("--prune", "--starting-after", "user_ada")

    assert refusal.value.returncode == 2
