"""What the probes say, and that nothing keeps them from saying it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import responses
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from clerk_sync.jwks import MAX_AGE, published_keys
from clerk_sync.models import DeliveryState, MetadataSync
from tests.accounts.factories import a_user
from tests.instance import ClerkInstance


def ready(client: Client) -> dict[str, Any]:
    response = client.get("/readyz")
    assert response.status_code == 200
    report: dict[str, Any] = response.json()
    return report


def sync_row(**fields: Any) -> None:
    user = a_user()
    MetadataSync.objects.update_or_create(clerk_user_id=user.clerk_user_id, defaults={"user": user} | fields)


def test_a_live_process_says_so_and_asks_nobody(client: Client) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_answered_to_any_host_in_clear_without_a_cookie(
    client: Client, settings: Settings, path: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True

    response = client.get(path, headers={"host": "10.0.0.7:8000"})

    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert not response.cookies
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405
    assert reverse(path.removeprefix("/")) == path


@pytest.mark.django_db
def test_a_site_in_order_is_ready(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(3):
        report = ready(client)

    assert report["status"] == "ready"
    assert report["problems"] == []
    assert report["database"] == {"reachable": True}
    assert report["cache"] == {"reachable": True}
    assert report["keys"] == {"source": "jwks", "age_seconds": None}
    assert report["sync"]["pending"] == report["sync"]["failed"] == 0


@pytest.mark.django_db
def test_a_change_that_waits_too_long_degrades(client: Client) -> None:
    since = timezone.now() - timedelta(seconds=400)
    sync_row(state=MetadataSync.State.PENDING, pending_since=since)

    report = ready(client)

    assert report["status"] == "degraded"
    assert report["sync"]["pending"] == 1
    assert 400 <= report["sync"]["oldest_pending_seconds"] < 410
    assert "has waited for 400 seconds" in report["problems"][0]


@pytest.mark.django_db
def test_a_change_that_just_came_does_not(client: Client) -> None:
    sync_row(state=MetadataSync.State.PENDING)

    report = ready(client)

    assert (report["status"], report["sync"]["pending"]) == ("ready", 1)


@pytest.mark.django_db
def test_what_could_not_be_delivered_degrades(client: Client) -> None:
    sync_row(state=MetadataSync.State.FAILED)

    report = ready(client)

    assert (report["status"], report["sync"]["failed"]) == ("degraded", 1)


@pytest.mark.django_db
@pytest.mark.parametrize("pause", [DeliveryState.Pause.REFUSED, DeliveryState.Pause.UNREACHABLE])
def test_a_paused_delivery_degrades_and_says_why_without_the_error(client: Client, pause: str) -> None:
    DeliveryState.objects.create(pause=pause, paused_until=timezone.now(), reason="a text of Clerk's")

    response = client.get("/readyz")

    report = response.json()
    assert (report["status"], report["sync"]["paused"]) == ("degraded", pause)
    assert report["problems"] == [f"{DeliveryState.Pause(pause).label}."]
    assert "a text of Clerk's" not in response.text


@pytest.fixture
def _no_redis(settings: Settings) -> Iterator[None]:
    """A Redis that nobody runs."""
    caches = settings.CACHES
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}}
    yield
    settings.CACHES = caches
    cache.clear()


@pytest.mark.django_db
@pytest.mark.usefixtures("_no_redis")
def test_a_cache_that_is_down_degrades(client: Client) -> None:
    report = ready(client)

    assert (report["status"], report["cache"]) == ("degraded", {"reachable": False})


@pytest.mark.django_db
def test_keys_that_could_not_be_fetched_anew_degrade(
    client: Client, clerk_instance: ClerkInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    published_keys.cache_clear()
    keys = published_keys("https://clerk.manageros.test")
    with responses.RequestsMock() as transport:
        transport.get(keys.url, json=clerk_instance.jwks)
        keys.get(clerk_instance.key_id)
    assert ready(client)["keys"]["age_seconds"] == 0

    later = time.monotonic() + 3 * MAX_AGE
    monkeypatch.setattr(time, "monotonic", lambda: later)
    report = ready(client)
    published_keys.cache_clear()

    assert (report["status"], report["keys"]["age_seconds"]) == ("degraded", 3 * MAX_AGE)
    assert "3 hours ago" in report["problems"][0]


@pytest.mark.django_db
def test_a_pem_key_never_ages(client: Client, clerk: ClerkInstance) -> None:
    assert ready(client)["keys"] == {"source": "pem"}


@pytest.mark.django_db(transaction=True)
def test_probes_answer_under_asgi() -> None:
    client = AsyncClient()

    assert async_to_sync(client.get)("/readyz").json()["status"] == "ready"


WITHOUT_DATABASE = """
import django, json, logging
django.setup()
logging.disable(logging.CRITICAL)
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
for response in (Client().get("/readyz"), async_to_sync(AsyncClient().get)("/readyz")):
    print(json.dumps([response.status_code, response.json()]))
"""


def test_a_database_that_is_away_makes_the_site_unavailable() -> None:
    environment = os.environ | {"TEST_DATABASE_URL": "postgresql://somebody:a-password@127.0.0.1:1/manageros"}

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DATABASE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    for line in done.stdout.splitlines():
        status, report = json.loads(line)
        assert status == 503
        assert report["status"] == "unavailable"
        assert report["database"] == {"reachable": False}
        assert report["sync"] is None
        assert "a-password" not in line
    assert len(done.stdout.splitlines()) == 2
