"""What a worker does with pending rows, whatever Clerk answers."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
import requests
import time_machine
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Membership, Role
from clerk_sync import backend_api
from clerk_sync.delivery import MAX_ATTEMPTS, claim, deliver, lease_time, settle_successes
from clerk_sync.delivery import call as call_clerk
from clerk_sync.metadata import NO_METADATA, Metadata
from clerk_sync.models import DeliveryState, MetadataSync, Priority
from clerk_sync.sync import sync_user_data_to_clerk
from tests.accounts.factories import a_member, a_person, a_user, an_organization
from tests.clerk_sync.metadata_api import MetadataApi, metadata_api, refusal
from tests.clerk_sync.payloads import clerk_user, event
from tests.instance import signed_webhook
from tests.length import at_length

pytestmark = pytest.mark.django_db
State = MetadataSync.State


@pytest.fixture
def clerk_api() -> Iterator[MetadataApi]:
    with metadata_api() as api:
        yield api


@pytest.fixture
def now() -> Iterator[time_machine.Traveller]:
    """A clock that stands, so that nothing here waits for real."""
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def member(now: time_machine.Traveller) -> Membership:
    """The only one whose sync is pending."""
    acme = an_organization("Acme")
    MetadataSync.objects.update(state=State.SYNCED)
    return a_member(acme, user=a_user(clerk_user_id="user_member"))


def row() -> MetadataSync:
    return MetadataSync.objects.get(pk="user_member")


def test_all_six_values_reach_clerk_as_strings(member: Membership, clerk_api: MetadataApi) -> None:
    person = a_person(member.organization, user=member.user)

    outcome = deliver(patience=0)

    assert clerk_api.metadata["user_member"] == {
        "managerOSUserId": str(member.user_id),
        "organizationId": str(member.organization_id),
        "organizationName": "Acme",
        "organizationSlug": "acme",
        "personId": str(person.pk),
        "role": "member",
    }
    assert (outcome.delivered, outcome.next_at) == (1, None)
    assert (row().state, row().claims_after, row().lease) == (State.SYNCED, clerk_api.clock, None)


def test_foreign_keys_are_left_alone_and_absent_values_removed(member: Membership, clerk_api: MetadataApi) -> None:
    clerk_api.metadata["user_member"] = {"theirs": {"a": 1}, "personId": "gone"}

    deliver(patience=0)

    assert clerk_api.metadata["user_member"]["theirs"] == {"a": 1}
    assert "personId" not in clerk_api.metadata["user_member"]


def test_ten_changes_cost_one_call(member: Membership, clerk_api: MetadataApi) -> None:
    for number in range(10):
        member.organization.name = f"Acme {number}"
        member.organization.save()
    MetadataSync.objects.exclude(pk="user_member").update(state=State.SYNCED)

    deliver(patience=0)

    assert clerk_api.calls == ["user_member"]
    assert clerk_api.metadata["user_member"]["organizationName"] == "Acme 9"


def test_what_clerk_holds_already_costs_no_call(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    deliver(patience=0)
    now.shift(10)
    for role in (Role.ADMIN, Role.MEMBER):
        member.role = role
        member.save()

    outcome = deliver(patience=0)

    assert (outcome.delivered, outcome.unchanged, row().state) == (0, 1, State.SYNCED)
    assert clerk_api.calls == ["user_member"]


def test_a_user_deleted_here_loses_our_keys_at_clerk(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    deliver(patience=0)
    now.shift(10)

    member.user.delete()
    deliver(patience=0)

    assert clerk_api.metadata["user_member"] == {}


def test_a_deactivated_user_loses_our_keys_at_clerk(member: Membership, clerk_api: MetadataApi) -> None:
    member.user.is_active = False
    member.user.save()

    deliver(patience=0)

    assert clerk_api.metadata["user_member"] == {}


def test_a_user_deleted_on_both_sides_is_done_with(member: Membership, clerk_api: MetadataApi) -> None:
    member.user.delete()
    clerk_api.next = [refusal(404)]

    outcome = deliver(patience=0)

    assert (outcome.failed, row().state) == ({}, State.SYNCED)


@pytest.mark.parametrize("status", [404, 422])
def test_what_no_repetition_helps_ends_as_failed_with_the_reason(
    member: Membership, clerk_api: MetadataApi, status: int
) -> None:
    clerk_api.next = [refusal(status)]

    outcome = deliver(patience=0)

    assert list(outcome.failed) == ["user_member"]
    assert row().state == State.FAILED
    assert f"Clerk answered {status}" in row().error


def test_a_change_makes_a_failed_row_pending_again(member: Membership, clerk_api: MetadataApi) -> None:
    clerk_api.next = [refusal(422)]
    deliver(patience=0)

    member.role = Role.ADMIN
    member.save()

    assert (row().state, row().error, row().attempts) == (State.PENDING, "", 0)


def test_a_server_error_is_tried_again_later(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    clerk_api.next = [refusal(500)]

    outcome = deliver(patience=0)
    assert (outcome.retried, row().state, row().attempts) == (1, State.PENDING, 1)
    assert timezone.now() < row().due_at <= timezone.now() + timedelta(seconds=2)
    now.shift(2)
    deliver(patience=0)

    assert (row().state, row().attempts, row().error) == (State.SYNCED, 0, "")


def test_429_stops_every_worker_until_the_time_that_clerk_names(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    clerk_api.next = [refusal(429, **{"Retry-After": "7"})]
    deliver(patience=0)
    a_user(clerk_user_id="user_other")

    now.shift(6)
    outcome = deliver(patience=0)
    assert "Clerk asked to wait" in outcome.paused
    assert clerk_api.calls == ["user_member"]
    now.shift(1)
    deliver(patience=0)

    assert sorted(clerk_api.calls) == ["user_member", "user_member", "user_other"]
    assert (row().state, DeliveryState.objects.current().pause) == (State.SYNCED, "")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_pauses_delivery_until_it_works(
    member: Membership,
    clerk_api: MetadataApi,
    now: time_machine.Traveller,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    clerk_api.next = [refusal(status)]
    deliver(patience=0)

    state = DeliveryState.objects.current()
    assert (state.pause, row().state) == (DeliveryState.Pause.REFUSED, State.PENDING)
    assert "Clerk refuses the site" in caplog.text

    clerk_api.next = [refusal(status)]
    now.shift(7)
    assert deliver(patience=0).paused
    now.shift(30)
    deliver(patience=0)

    assert clerk_api.calls == ["user_member", "count", "count", "user_member"]
    assert (row().state, DeliveryState.objects.current().pause) == (State.SYNCED, "")


def test_a_replaced_key_is_tried_at_once(member: Membership, clerk_api: MetadataApi, settings: Settings) -> None:
    clerk_api.next = [refusal(401)]
    deliver(patience=0)
    MetadataSync.objects.update(due_at=timezone.now())
    assert clerk_api.calls == ["user_member"]

    settings.CLERK_SECRET_KEY = "sk_test_replaced"
    deliver(patience=0)

    assert row().state == State.SYNCED


def test_a_row_that_never_succeeds_ends_as_failed(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    clerk_api.always["user_member"] = refusal(500)

    for _ in range(400):
        deliver(patience=0)
        now.shift(60)

    assert (row().state, clerk_api.calls.count("user_member")) == (State.FAILED, MAX_ATTEMPTS)


def test_a_lost_answer_is_followed_by_a_second_write_when_the_first_can_no_longer_arrive(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    clerk_api.next = [requests.ReadTimeout()]
    deliver(patience=0)
    now.shift(2)
    deliver(patience=0)
    assert (row().state, clerk_api.metadata["user_member"]["role"]) == (State.PENDING, "member")
    # The write whose answer was lost arrives after all, and overtakes the newer one.
    clerk_api.metadata["user_member"]["role"] = "owner"

    now.shift(30)
    deliver(patience=0)

    assert (row().state, clerk_api.metadata["user_member"]["role"]) == (State.SYNCED, "member")


def test_a_change_during_the_call_is_delivered_too(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    job = claim(1).jobs[0]
    answer = call_clerk(job)
    member.role = Role.ADMIN
    member.save()

    assert not settle_successes([(job, answer)])
    assert row().state == State.PENDING
    now.shift(1)
    deliver(patience=0)

    assert clerk_api.metadata["user_member"]["role"] == "admin"


def test_a_killed_workers_row_comes_back_when_its_lease_ends(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    assert len(claim(1).jobs) == 1

    now.shift(lease_time() - timedelta(seconds=1))
    assert deliver(patience=0).delivered == 0
    now.shift(1)

    assert deliver(patience=0).delivered == 1


def test_a_worker_whose_lease_ended_has_its_late_write_repaired(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    late = claim(1).jobs[0]
    now.shift(lease_time())
    member.role = Role.ADMIN
    member.save()
    deliver(patience=0)
    answer = call_clerk(late)
    assert clerk_api.metadata["user_member"]["role"] == "member"

    settle_successes([(late, answer)])
    now.shift(1)
    deliver(patience=0)

    assert clerk_api.metadata["user_member"]["role"] == "admin"


def test_both_answers_of_a_lease_that_ended_during_its_call_count(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    late = claim(1).jobs[0]
    now.shift(lease_time())
    member.role = Role.ADMIN
    member.save()
    newer = claim(1).jobs[0]
    answers = [(newer, call_clerk(newer)), (late, call_clerk(late))]
    assert clerk_api.metadata["user_member"]["role"] == "member"

    assert not settle_successes(answers)
    now.shift(1)
    deliver(patience=0)

    assert (row().state, clerk_api.metadata["user_member"]["role"]) == (State.SYNCED, "admin")


def test_answers_are_recorded_though_one_call_broke(
    member: Membership, clerk_api: MetadataApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_member(member.organization, user=a_user(clerk_user_id="user_broken"))
    whole = backend_api.merge_public_metadata

    def broken(clerk_user_id: str, metadata: Metadata) -> dict[str, Any]:
        if clerk_user_id == "user_broken":
            raise RuntimeError
        return whole(clerk_user_id, metadata)

    monkeypatch.setattr(backend_api, "merge_public_metadata", broken)
    with pytest.raises(RuntimeError):
        deliver(patience=0)

    assert row().state == State.SYNCED


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("held", ["user_a", "user_b"])
def test_settling_and_a_change_of_the_same_rows_do_not_wait_for_each_other(held: str, clerk_api: MetadataApi) -> None:
    acme = an_organization("Acme")
    for pk in ("user_a", "user_b"):
        a_member(acme, user=a_user(clerk_user_id=pk))
    MetadataSync.objects.exclude(pk__in=["user_a", "user_b"]).delete()
    jobs = claim(2).jobs
    answers = [(job, call_clerk(job)) for job in jobs]
    (other,) = {"user_a", "user_b"} - {held}
    locked = Event()

    def change_both() -> None:
        try:
            with transaction.atomic():
                MetadataSync.objects.filter(pk=held).mark(Priority.BULK)
                locked.set()
                time.sleep(0.5)
                MetadataSync.objects.filter(pk=other).mark(Priority.BULK)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        changing = thread.submit(change_both)
        assert locked.wait(10)
        final = settle_successes(answers)
        changing.result()

    assert final == {other}
    assert set(MetadataSync.objects.values_list("state", flat=True)) == {State.PENDING}


def test_an_answer_that_shows_other_metadata_is_no_delivery(member: Membership, clerk_api: MetadataApi) -> None:
    clerk_api.next = [(200, {}, '{"updated_at": 1, "public_metadata": {"role": "owner"}}')]

    deliver(patience=0)

    assert row().state == State.PENDING


@pytest.mark.prove
def test_an_outage_of_a_week_loses_nothing_and_ends_without_a_storm(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    users = [a_user() for _ in range(200)]
    down = requests.ConnectionError()
    clerk_api.next = [down] * 100_000

    wakes = at_length(short=7 * 24, full=7 * 24 * 12)
    for _ in range(wakes):
        deliver(patience=0)
        now.shift(timedelta(days=7) / wakes)
    assert MetadataSync.objects.filter(state=State.PENDING).count() == 1 + len(users)
    assert len(clerk_api.calls) < wakes + 100

    clerk_api.next, clerk_api.calls = [], []
    for second in range(1, 120):
        deliver(patience=0)
        assert len(clerk_api.calls) <= second * 10 + 5
        now.shift(1)

    assert not MetadataSync.objects.filter(state=State.PENDING).exists()
    assert {metadata["managerOSUserId"] for metadata in clerk_api.metadata.values()} >= {str(user.pk) for user in users}


def test_calls_stay_within_the_limit(now: time_machine.Traveller, clerk_api: MetadataApi) -> None:
    for _ in range(150):
        a_user()

    for _ in range(100):
        deliver(patience=0)
        now.shift(0.1)

    assert 90 <= len(clerk_api.calls) <= 100


def test_a_persons_own_change_goes_before_bulk_work(
    member: Membership, now: time_machine.Traveller, clerk_api: MetadataApi
) -> None:
    for _ in range(30):
        a_member(member.organization)
    MetadataSync.objects.update(state=State.SYNCED)
    member.organization.name = "Renamed"
    member.organization.save()
    member.role = Role.ADMIN
    member.save()

    deliver(patience=0)

    # The limit lets two calls begin at once, and either may arrive first.
    assert "user_member" in clerk_api.calls[:2]


def test_one_user_is_synced_now(member: Membership, clerk_api: MetadataApi) -> None:
    sync = sync_user_data_to_clerk("user_member")

    assert (sync.state, clerk_api.metadata["user_member"]["role"]) == (State.SYNCED, "member")
    assert sync_user_data_to_clerk("user_member").state == State.SYNCED
    assert clerk_api.calls == ["user_member"]


def test_an_unknown_user_cannot_be_synced() -> None:
    with pytest.raises(MetadataSync.DoesNotExist):
        sync_user_data_to_clerk("user_nobody")


def test_a_user_whose_delivery_is_under_way_is_left_to_that_worker(member: Membership, clerk_api: MetadataApi) -> None:
    claim(1)

    assert sync_user_data_to_clerk("user_member").state == State.PENDING
    assert clerk_api.calls == []


@pytest.mark.django_db(transaction=True)
def test_no_call_is_made_inside_a_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        sync_user_data_to_clerk("user_member")


def test_the_webhook_echo_confirms_and_causes_no_call(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    deliver(patience=0)

    assert MetadataSync.objects.confirm("user_member", clerk_api.metadata["user_member"], clerk_api.clock)

    assert row().confirmed_at == timezone.now()
    assert deliver(patience=0).done == 0


def test_metadata_changed_at_clerk_is_repaired(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    deliver(patience=0)
    clerk_api.metadata["user_member"]["role"] = "owner"

    assert not MetadataSync.objects.confirm("user_member", clerk_api.metadata["user_member"], clerk_api.clock + 1)
    now.shift(1)
    deliver(patience=0)

    assert clerk_api.metadata["user_member"]["role"] == "member"


def test_an_event_from_before_our_write_repairs_nothing(member: Membership, clerk_api: MetadataApi) -> None:
    deliver(patience=0)

    MetadataSync.objects.confirm("user_member", {}, clerk_api.clock - 1)

    assert row().state == State.SYNCED


def test_an_event_while_a_delivery_is_pending_changes_nothing(member: Membership) -> None:
    before = row().version

    MetadataSync.objects.confirm("user_member", dict(NO_METADATA), 1)

    assert (row().version, row().confirmed_at) == (before, None)


def test_our_own_write_comes_back_as_a_webhook_and_causes_no_second_call(
    member: Membership, clerk_api: MetadataApi, now: time_machine.Traveller
) -> None:
    deliver(patience=0)
    held = clerk_user(id="user_member", public_metadata=clerk_api.metadata["user_member"], updated_at=clerk_api.clock)
    body, headers = signed_webhook(event("user.updated", held), at=timezone.now())
    content_type = headers.pop("content-type")

    answer = Client().post("/webhooks/clerk/", data=body, content_type=content_type, headers=headers)
    now.shift(10)
    outcome = deliver(patience=0)

    assert (answer.status_code, outcome.done) == (200, 0)
    assert clerk_api.calls == ["user_member"]
    assert (row().state, row().confirmed_at is not None) == (State.SYNCED, True)


@pytest.mark.django_db(transaction=True)
def test_a_change_is_delivered_though_its_process_died_right_after_the_commit(clerk_api: MetadataApi) -> None:
    acme = an_organization("Acme")
    member = a_member(acme, user=a_user(clerk_user_id="user_member"))
    deliver(patience=2)

    def die() -> None:
        raise SystemExit

    @transaction.atomic
    def change_and_die() -> None:
        transaction.on_commit(die)  # before the wake-up, which is registered by the change
        member.role = Role.ADMIN
        member.save()

    with pytest.raises(SystemExit):
        change_and_die()

    assert row().state == State.PENDING
    deliver(patience=2)
    assert clerk_api.metadata["user_member"]["role"] == "admin"
