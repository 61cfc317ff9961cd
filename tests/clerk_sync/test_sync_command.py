"""`manage.py sync_clerk_metadata`: whom it queues, what it tells, how it ends."""

import json
import os
import re
import signal
from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
import requests
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Organization, User
from clerk_sync.models import MetadataSync
from tests.accounts.factories import a_member, a_user, an_organization
from tests.clerk_sync.metadata_api import API, Answer, MetadataApi, metadata_api, refusal

pytestmark = pytest.mark.django_db
State = MetadataSync.State


@pytest.fixture
def clerk_api() -> Iterator[MetadataApi]:
    with metadata_api() as api:
        yield api


@pytest.fixture
def ada() -> User:
    return a_user("Ada", clerk_user_id="user_ada", email="ada@example.com")


def sync(*args: str) -> dict[str, Any]:
    """The JSON report, with the exit code."""
    out, code = StringIO(), 0
    try:
        call_command("sync_clerk_metadata", *args, "--json", stdout=out)
    except SystemExit as ended:
        code = int(ended.code or 0)
    report: dict[str, Any] = json.loads(out.getvalue())
    return report | {"exit": code}


def out_of_step(user: User, role: str = "admin") -> None:
    """As raw SQL would leave it: changed, and nobody marked."""
    MetadataSync.objects.filter(user=user).update(state=State.SYNCED, held_digest="something else")


def test_what_is_pending_is_delivered(ada: User, clerk_api: MetadataApi) -> None:
    report = sync()

    assert (report["delivered"], report["waiting"], report["exit"]) == (1, 0, 0)
    assert clerk_api.metadata["user_ada"]["managerOSUserId"] == str(ada.pk)


@pytest.mark.parametrize("name", ["user_ada", "ADA@example.com", "pk"])
def test_users_are_named_by_any_of_their_ids(ada: User, clerk_api: MetadataApi, name: str) -> None:
    other = a_user()
    for user in (ada, other):
        out_of_step(user)

    report = sync("--user", str(ada.pk) if name == "pk" else name)

    assert (report["out_of_step"], report["delivered"]) == (1, 1)
    assert clerk_api.calls == ["user_ada"]


def test_several_users_may_be_named(ada: User, clerk_api: MetadataApi) -> None:
    other = a_user(clerk_user_id="user_other")
    for user in (ada, other):
        out_of_step(user)

    assert sync("--user", "user_ada", "--user", "user_other")["delivered"] == 2


def test_an_organizations_members_are_queued(ada: User, clerk_api: MetadataApi) -> None:
    acme = an_organization("Acme")
    member = a_member(acme)
    for user in User.objects.all():
        out_of_step(user)

    report = sync("--organization", "acme")

    assert (report["compared"], report["delivered"]) == (2, 2)
    assert member.user.clerk_user_id in clerk_api.calls


def test_all_in_step_make_no_call(ada: User, clerk_api: MetadataApi) -> None:
    sync()
    clerk_api.calls.clear()

    report = sync("--all")

    assert (report["compared"], report["out_of_step"], clerk_api.calls) == (1, 0, [])


def test_all_finds_users_whose_row_is_missing(ada: User, clerk_api: MetadataApi) -> None:
    MetadataSync.objects.all().delete()

    assert sync("--all")["delivered"] == 1


def test_a_dry_run_prints_the_change_and_writes_nothing(ada: User, clerk_api: MetadataApi) -> None:
    out_of_step(ada)

    report = sync("--user", "user_ada", "--dry-run")

    assert report["would_change"]["user_ada"]["managerOSUserId"] == str(ada.pk)
    assert (report["exit"], clerk_api.calls) == (0, [])
    assert MetadataSync.objects.get().state == State.SYNCED


def test_a_dry_run_without_a_choice_shows_what_is_pending(ada: User, clerk_api: MetadataApi) -> None:
    assert list(sync("--dry-run")["would_change"]) == ["user_ada"]
    assert clerk_api.calls == []


def test_a_failure_is_listed_and_the_exit_code_says_so(ada: User, clerk_api: MetadataApi) -> None:
    clerk_api.next = [refusal(422)]

    report = sync()

    assert (list(report["failed"]), report["exit"]) == (["user_ada"], 1)
    assert sync("--failed")["delivered"] == 1


def test_a_refused_key_ends_the_run_with_its_reason(ada: User, clerk_api: MetadataApi) -> None:
    clerk_api.next = [refusal(401), refusal(401), refusal(401), refusal(401), refusal(401), refusal(401)]

    report = sync()

    assert (report["waiting"], report["exit"]) == (1, 1)
    assert "refuses the secret key" in report["paused"]


@pytest.mark.parametrize(
    "args",
    [
        ["--user", "nobody"],
        ["--user", "staff@example.com"],
        ["--organization", "none"],
        ["--all", "--user", "user_ada"],
    ],
)
def test_wrong_use_exits_with_2(ada: User, args: list[str]) -> None:
    a_user(clerk_user_id=None, email="staff@example.com")

    with pytest.raises(CommandError) as raised:
        call_command("sync_clerk_metadata", *args)

    assert raised.value.returncode == 2


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "fast"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(CommandError):
        call_command("sync_clerk_metadata", "--rate", rate)


def test_a_person_reads_what_was_done(ada: User, clerk_api: MetadataApi) -> None:
    out = StringIO()

    call_command("sync_clerk_metadata", stdout=out)

    assert "1 delivered, 0 in step already, 0 failed, 0 waiting." in out.getvalue()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_with_rate_and_remaining_time(ada: User, clerk_api: MetadataApi) -> None:
    out = Terminal()

    call_command("sync_clerk_metadata", stdout=out)

    assert re.search(r"\[#{20}\] 1 of 1 delivered, [\d.]+/s, 0:00:00 left", out.getvalue())


def test_ctrl_c_ends_cleanly_and_loses_nothing(ada: User, clerk_api: MetadataApi) -> None:
    a_user()
    clerk_api.next = [lambda clerk_user_id: os.kill(os.getpid(), signal.SIGINT)]
    before = signal.getsignal(signal.SIGINT)  # a shell starts background jobs with the signal ignored

    report = sync("--rate", "1")

    assert (report["interrupted"], report["exit"], report["delivered"], report["waiting"]) == (True, 1, 1, 1)
    assert not MetadataSync.objects.filter(lease__isnull=False).exists()
    assert signal.getsignal(signal.SIGINT) is before


# --- --verify


def clerk_lists(api: MetadataApi, *users: str) -> None:
    """Clerk has these users, newest first, with whatever metadata the calls left them."""

    def page(request: requests.PreparedRequest) -> Answer:
        found = [{"id": user, "public_metadata": api.metadata.get(user, {}), "updated_at": api.clock} for user in users]
        wanted = re.findall(r"user_id=([^&]+)", str(request.url))
        return 200, {}, json.dumps([user for user in found if not wanted or user["id"] in wanted])

    api.mock.add_callback("GET", f"{API}/users", page)


@pytest.fixture
def synced(ada: User, clerk_api: MetadataApi) -> MetadataApi:
    sync()
    clerk_api.calls.clear()
    MetadataSync.objects.update(due_at="2020-01-01T00:00:00Z")
    return clerk_api


def test_verify_finds_all_in_step_and_calls_nothing(synced: MetadataApi) -> None:
    clerk_lists(synced, "user_ada")

    report = sync("--verify")

    assert report["verified"] == {
        "seen": 1, "pending": 0, "missing": [], "different": [], "orphaned": [], "gone": []
    }  # fmt: skip
    assert synced.calls == []


def test_verify_repairs_what_differs(ada: User, synced: MetadataApi) -> None:
    synced.metadata["user_ada"] |= {"role": "owner", "theirs": 1}
    clerk_lists(synced, "user_ada")

    report = sync("--verify")

    assert (report["verified"]["different"], report["delivered"]) == (["user_ada"], 1)
    assert synced.metadata["user_ada"] == {"managerOSUserId": str(ada.pk), "theirs": 1}


def test_verify_repairs_what_is_missing(ada: User, synced: MetadataApi) -> None:
    synced.metadata["user_ada"] = {}
    clerk_lists(synced, "user_ada")

    assert sync("--verify")["verified"]["missing"] == ["user_ada"]
    assert synced.metadata["user_ada"] == {"managerOSUserId": str(ada.pk)}


def test_verify_removes_our_keys_from_users_whom_nobody_knows_here(synced: MetadataApi) -> None:
    synced.metadata["user_stranger"] = {"role": "owner", "theirs": 1}
    clerk_lists(synced, "user_ada", "user_stranger", "user_unrelated")

    assert sync("--verify")["verified"]["orphaned"] == ["user_stranger"]
    assert synced.metadata["user_stranger"] == {"theirs": 1}


def test_verify_names_users_who_are_gone_at_clerk(synced: MetadataApi) -> None:
    MetadataSync.objects.update(
        confirmed_at=None, delivered_at="2020-01-01T00:00:00Z", pending_since="2020-01-01T00:00Z"
    )
    clerk_lists(synced)

    assert sync("--verify")["verified"]["gone"] == ["user_ada"]


def test_verify_finds_what_no_hook_could_see(ada: User, synced: MetadataApi) -> None:
    acme = Organization.objects.create(name="Acme", slug="acme")
    a_member(acme, user=ada)
    sync()
    MetadataSync.objects.update(due_at="2020-01-01T00:00:00Z")
    clerk_lists(synced, "user_ada")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_organization SET name = 'Renamed behind our back'")

    assert sync("--verify")["verified"]["different"] == ["user_ada"]
    assert synced.metadata["user_ada"]["organizationName"] == "Renamed behind our back"


def test_verify_of_one_user_reads_that_user(synced: MetadataApi) -> None:
    synced.metadata["user_ada"]["role"] = "owner"
    synced.metadata["user_stranger"] = {"role": "owner"}
    clerk_lists(synced, "user_ada", "user_stranger")

    report = sync("--verify", "--user", "user_ada")

    assert (report["verified"]["seen"], report["verified"]["different"]) == (1, ["user_ada"])


def test_verify_only_looks_in_a_dry_run(synced: MetadataApi) -> None:
    synced.metadata["user_ada"]["role"] = "owner"
    clerk_lists(synced, "user_ada")

    assert sync("--verify", "--dry-run")["verified"]["different"] == ["user_ada"]
    assert (synced.calls, MetadataSync.objects.get().state) == ([], State.SYNCED)


def test_ids_are_uuids_in_the_reports_strings(ada: User, clerk_api: MetadataApi) -> None:
    metadata = sync("--dry-run")["would_change"]["user_ada"]

    assert UUID(metadata["managerOSUserId"]) == ada.pk
