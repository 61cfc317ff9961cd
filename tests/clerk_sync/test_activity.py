"""The figures that the product keeps itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import responses
import time_machine
from django.db import connection
from django.test import Client
from pytest_django import Settings

from clerk_sync import tally
from clerk_sync.activity import Recorder, record_deliveries
from clerk_sync.delivery import deliver
from clerk_sync.models import Activity, MetadataSync
from tests.accounts.factories import a_user

pytestmark = pytest.mark.django_db

Figure = Activity.Figure
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def kept(figure: Activity.Figure) -> dict[tuple[datetime, str], int]:
    rows = Activity.objects.since(NOON - timedelta(days=30)).filter(figure=figure)
    return {(row.at, row.label): row.value for row in rows}


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def test_deliveries_of_ten_minutes_add_up_and_their_longest_wait_stays() -> None:
    record_deliveries({"delivered": 3, "failed": 0}, 1.5)
    with time_machine.travel(NOON + timedelta(minutes=9)):
        record_deliveries({"delivered": 4, "failed": 1}, 0.5)
    with time_machine.travel(NOON + timedelta(minutes=10)):
        record_deliveries({"delivered": 1}, 0.25)

    ten_past = NOON + timedelta(minutes=10)
    assert kept(Figure.DELIVERY) == {(NOON, "delivered"): 7, (NOON, "failed"): 1, (ten_past, "delivered"): 1}
    assert kept(Figure.LAG) == {(NOON, ""): 1500, (ten_past, ""): 250}
    assert Activity.objects.totals(Figure.DELIVERY) == {"delivered": 8, "failed": 1}


def test_old_intervals_are_forgotten_and_totals_are_not() -> None:
    record_deliveries({"delivered": 3}, 1.5)
    with time_machine.travel(NOON + timedelta(days=9)):
        Activity.objects.prune()

    assert kept(Figure.DELIVERY) == {}
    assert Activity.objects.totals(Figure.DELIVERY) == {"delivered": 3}


@pytest.mark.django_db(transaction=True)
def test_recorder_writes_what_was_counted_once_and_how_long_a_change_waits() -> None:
    recorder = Recorder()
    recorder.record()
    tally.fallbacks.count("claims_stale")
    user = a_user()
    waiting = {"state": MetadataSync.State.PENDING, "pending_since": NOON - timedelta(seconds=90)}
    MetadataSync.objects.update_or_create(clerk_user_id=user.clerk_user_id, defaults={"user": user, **waiting})
    before = kept(Figure.FALLBACK).get((NOON, "claims_stale"), 0)

    recorder.record()
    recorder.record()

    assert kept(Figure.FALLBACK)[NOON, "claims_stale"] == before + 1
    assert kept(Figure.LAG)[NOON, ""] == 90_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_processes_that_write_at_once_lose_nothing() -> None:
    def write(_: int) -> None:
        record_deliveries({"delivered": 1}, 1.0)
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))

    assert kept(Figure.DELIVERY) == {(NOON, "delivered"): 40}


@pytest.mark.django_db(transaction=True)
def test_a_delivery_is_kept_with_the_time_that_it_waited(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "the-scraper-knows-this"
    user = a_user()
    due = {"pending_since": NOON - timedelta(seconds=42), "due_at": NOON}
    MetadataSync.objects.filter(user=user).update(**due)
    metadata = {"managerOSUserId": str(user.pk)}
    with responses.RequestsMock() as transport:
        url = f"{settings.CLERK_API_URL}/users/{user.clerk_user_id}/metadata"
        transport.patch(url, json={"public_metadata": metadata, "updated_at": 1})
        deliver(patience=0)

    assert kept(Figure.DELIVERY) == {(NOON, "delivered"): 1}
    assert kept(Figure.LAG) == {(NOON, ""): 42_000}
    scraped = client.get("/metrics", headers={"authorization": f"Bearer {settings.METRICS_TOKEN}"}).text
    assert 'manageros_deliveries_total{result="delivered"} 1.0' in scraped
