"""The site's figures for Prometheus, at `/metrics`, for whoever knows METRICS_TOKEN.

A site of several processes on one machine shares its counters through files, where PROMETHEUS_MULTIPROC_DIR names a
folder (gunicorn.conf.py makes one). What the workers do, which have no port to be asked at, and what waits, is read
from the database when it is asked for.
"""

import os
import threading
from collections.abc import Iterator

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from clerk_sync import tally
from clerk_sync.backlog import backlog
from clerk_sync.models import Activity

COUNTERS = {
    Counter("manageros_tokens", "Requests that asked who they are, by what came of it.", ["outcome"]): tally.tokens,
    Counter("manageros_fallbacks", "Identities that the database gave, by reason.", ["reason"]): tally.fallbacks,
    Counter("manageros_jwks_fetches", "Fetches of Clerk's keys.", ["outcome"]): tally.jwks_fetches,
    Counter("manageros_webhooks", "Webhooks, by type and what came of them.", ["type", "outcome"]): tally.webhooks,
}
VERIFICATION = Histogram(
    "manageros_token_verification_seconds",
    "Time to verify a token that the process had not seen before.",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1, 3),
)

_published: dict[Counter, dict[tally.Labels, int]] = {counter: {} for counter in COUNTERS}
_publishing = threading.Lock()


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Where no token is set there is nothing here."""
    if not settings.METRICS_TOKEN:
        raise Http404
    if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def exposition() -> bytes:
    publish()
    counted = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    stored = CollectorRegistry()
    stored.register(StoredFigures())
    return generate_latest(counted) + generate_latest(stored)


def publish() -> None:
    """Hand over to Prometheus what requests counted since the last time."""
    with _publishing:
        for counter, counted in COUNTERS.items():
            totals = counted.totals()
            for labels, count in tally.increase(totals, _published[counter]).items():
                counter.labels(*labels).inc(count)
            _published[counter] = totals
        while tally.verifications:
            VERIFICATION.observe(tally.verifications.popleft())


class StoredFigures(Collector):
    """What the database knows when it is asked; `manageros_database_up` 0, and no more, while it cannot be."""

    def collect(self) -> Iterator[Metric]:
        try:
            sync, deliveries = backlog(), Activity.objects.totals(Activity.Figure.DELIVERY)
        except DatabaseError:
            yield GaugeMetricFamily("manageros_database_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("manageros_database_up", "Whether the database answers.", value=1)
        rows = GaugeMetricFamily("manageros_metadata_syncs", "Users whose metadata is not at Clerk.", labels=["state"])
        rows.add_metric(["pending"], sync.pending)
        rows.add_metric(["failed"], sync.failed)
        yield rows
        yield GaugeMetricFamily(
            "manageros_oldest_pending_seconds", "Age of the oldest change that waits.", value=sync.oldest_pending
        )
        yield GaugeMetricFamily(
            "manageros_metadata_sync_paused", "Whether delivery is paused.", value=bool(sync.paused)
        )
        delivered = CounterMetricFamily("manageros_deliveries", "Deliveries of all workers.", labels=["result"])
        for result, count in deliveries.items():
            delivered.add_metric([result], count)
        yield delivered
