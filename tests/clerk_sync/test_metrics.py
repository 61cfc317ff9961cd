"""Figures for Prometheus: who gets them, and that they are what happened."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import responses
from django.http import HttpResponse
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from accounts.models import User
from clerk_sync import tally
from clerk_sync.jwks import PublishedKeys
from clerk_sync.models import MetadataSync
from clerk_sync.refusals import IdentityUnavailable
from tests.accounts.factories import a_user
from tests.clerk_sync.payloads import clerk_user, event
from tests.instance import ClerkInstance, claims_of, signed_webhook

TOKEN = "the-scraper-knows-this"

pytestmark = pytest.mark.django_db


def scrape(authorization: str = f"Bearer {TOKEN}") -> HttpResponse:
    return Client().get("/metrics", headers={"authorization": authorization})  # type: ignore[return-value]


@pytest.fixture
def _metrics(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


def figures() -> dict[tuple[str, str], float]:
    """Each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(scrape().content.decode())
    samples = [sample for family in families for sample in family.samples]
    ours = [sample for sample in samples if re.fullmatch(r"manageros_.*(?<!_created)", sample.name)]
    return {(sample.name, " ".join(sample.labels.values())): sample.value for sample in ours}


def growth(act: Callable[[], object]) -> dict[tuple[str, str], float]:
    before = figures()
    act()
    return {key: value - before.get(key, 0) for key, value in figures().items() if value != before.get(key, 0)}


def test_there_is_nothing_while_no_token_is_set() -> None:
    assert scrape().status_code == 404
    assert scrape("Bearer ").status_code == 404


@pytest.mark.usefixtures("_metrics")
@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer é"]
)
def test_whoever_does_not_know_the_token_gets_nothing(authorization: str) -> None:
    response = scrape(authorization)

    assert (response.status_code, response.content) == (401, b"")
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.usefixtures("_metrics")
def test_webhooks_are_counted_by_type_and_outcome() -> None:
    body, headers = signed_webhook(event("user.created", clerk_user()))
    content_type = headers.pop("content-type")

    def post() -> None:
        for sent in (body, body, b"{}"):
            Client().post("/webhooks/clerk/", data=sent, content_type=content_type, headers=headers)

    grown = growth(post)

    assert {key: value for key, value in grown.items() if key[0] == "manageros_webhooks_total"} == {
        ("manageros_webhooks_total", "applied user.created"): 1,
        ("manageros_webhooks_total", "duplicate user.created"): 1,
        ("manageros_webhooks_total", "bad_signature "): 1,
    }


@pytest.mark.usefixtures("_metrics")
@pytest.mark.urls("tests.clerk_sync.site")
def test_requests_are_counted_by_what_came_of_their_token(clerk: ClerkInstance, ada: User) -> None:
    def ask(**claims: Any) -> None:
        Client().get("/who/", headers={"authorization": f"Bearer {clerk.token(**claims)}"})

    def ask_for_each() -> None:
        ask(claims=claims_of(ada))
        ask(claims=claims_of(ada))
        ask()
        ask(exp=1)
        Client().get("/who/")
        Client().get("/nobody-asks/")

    grown = growth(ask_for_each)

    assert {labels: count for (name, labels), count in grown.items() if name.endswith("_total")} == {
        "accepted": 3,
        "claims_not_configured": 1,
        "token_expired": 1,
        "signed_out": 1,
    }
    assert grown["manageros_token_verification_seconds_count", ""] == 3


@pytest.mark.usefixtures("_metrics")
def test_fetches_of_keys_are_counted(clerk_instance: ClerkInstance) -> None:
    def fetch() -> None:
        keys = PublishedKeys("https://clerk.manageros.test/.well-known/jwks.json")
        with responses.RequestsMock() as transport:
            transport.get(keys.url, status=500)
            with pytest.raises(IdentityUnavailable):
                keys.get("ins_tests")

    assert growth(fetch) == {("manageros_jwks_fetches_total", "failed"): 1}


@pytest.mark.usefixtures("_metrics")
def test_what_waits_is_read_when_it_is_asked_for() -> None:
    user = a_user()
    waiting = {"user": user, "state": MetadataSync.State.PENDING}
    MetadataSync.objects.update_or_create(clerk_user_id=user.clerk_user_id, defaults=waiting)

    found = figures()

    assert found["manageros_database_up", ""] == 1
    assert found["manageros_metadata_syncs", "pending"] == 1
    assert found["manageros_metadata_syncs", "failed"] == 0
    assert 0 <= found["manageros_oldest_pending_seconds", ""] < 60


@pytest.mark.usefixtures("_metrics")
def test_what_requests_counted_is_handed_over_once() -> None:
    def count() -> None:
        tally.tokens.count("accepted")
        tally.tokens.count("accepted")
        tally.fallbacks.count("claims_stale")
        tally.verifications.append(0.0003)

    grown = growth(count)

    assert grown["manageros_tokens_total", "accepted"] == 2
    assert grown["manageros_fallbacks_total", "claims_stale"] == 1
    assert grown["manageros_token_verification_seconds_count", ""] == 1
    assert ("manageros_token_verification_seconds_bucket", "0.00025") not in grown
    assert grown["manageros_token_verification_seconds_bucket", "0.0005"] == 1
    assert growth(lambda: None) == {}


def test_threads_that_count_at_once_lose_nothing() -> None:
    counted = tally.Tally()

    def count() -> None:
        for _ in range(20_000):
            counted.count("a")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert counted.totals() == {("a",): 160_000}


ONE_OF_SEVERAL_PROCESSES = """
import django
django.setup()
from clerk_sync import tally
from clerk_sync.metrics import exposition
tally.tokens.count("accepted")
print(exposition().decode())
"""


def test_processes_of_one_site_add_up(tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-c", ONE_OF_SEVERAL_PROCESSES]

    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
        for _ in range(2)
    )

    assert 'manageros_tokens_total{outcome="accepted"} 1.0' in first
    assert 'manageros_tokens_total{outcome="accepted"} 2.0' in second
