"""How long large changes take to reach Clerk, simulated with the product's own limiter and a clock of its own.

    python -m benchmarks.sync_simulation

The figures of docs/scaling.md. Rows are a queue by priority, calls take as long as Clerk takes, and what may begin at a
moment is asked of `DeliveryState`, as a worker asks it each `TICK`. No call is made and no second is waited.
"""

import heapq
import os
import random
import statistics
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["TEST_DATABASE_URL"] = "sqlite:///:memory:"

import django

django.setup()

from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

from clerk_sync.delivery import TICK
from clerk_sync.models import DeliveryState
from clerk_sync.models.delivery_state import LONG_AGO

START = datetime(2026, 1, 1, tzinfo=UTC)
OWN, BULK = 0, 1


@dataclass
class Scenario:
    name: str
    bulk: int = 0
    own_per_second: float = 0.0
    hours: float = 0.0  # at least so long; else until everything is delivered
    outage: float = 0.0  # seconds without Clerk, from the start
    latency: float = 0.1  # seconds, the median of a call
    key: str = "sk_live_simulated"


@dataclass
class Result:
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    fullest_window: int = 0
    calls: int = 0


SCENARIOS = (
    Scenario("an organization of 100,000 renamed", bulk=100_000, own_per_second=1),
    Scenario("the same, Clerk 300 ms away", bulk=100_000, own_per_second=1, latency=0.3),
    Scenario("the same, Clerk 600 ms away", bulk=100_000, own_per_second=1, latency=0.6),
    Scenario("a million users for the first time", bulk=1_000_000, own_per_second=1),
    Scenario("an hour of 2 changes a second", own_per_second=2, hours=1),
    Scenario("the hour after an hour without Clerk", own_per_second=2, hours=2, outage=3600),
    Scenario("a development instance, 1,000 renamed", bulk=1000, own_per_second=0.05, key="sk_test_simulated"),
)


def main() -> int:
    call_command("migrate", verbosity=0)
    heading = (
        f"{'':<42}{'calls':>10}{'all within':>12}{'own change: median':>20}{'95th':>8}{'longest':>9}{'per 10 s':>10}"
    )
    print(heading)
    for scenario in SCENARIOS:
        with override_settings(CLERK_SECRET_KEY=scenario.key):
            result = simulate(scenario)
        waits = sorted(result.waits) or [0.0]
        p95 = waits[int(len(waits) * 0.95) - 1]
        print(
            f"{scenario.name:<42}{result.calls:>10,}{timedelta(seconds=round(result.seconds))!s:>12}"
            f"{statistics.median(waits):>19.2f}s{p95:>7.2f}s{waits[-1]:>8.1f}s{result.fullest_window:>10}"
        )
    return 0


def simulate(scenario: Scenario) -> Result:
    chance = random.Random(1)
    state, result = DeliveryState.objects.get_or_create(pk=1)[0], Result()
    state.spent_until = LONG_AGO
    waiting = [(BULK, 0.0)] * scenario.bulk
    arrivals = changes(scenario, chance)
    arrival = next(arrivals)
    in_flight: list[tuple[float, int, float]] = []
    window: deque[float] = deque()
    now = scenario.outage
    until = 3600 * scenario.hours
    while waiting or in_flight or now < until:
        while arrival <= now and (now < until or (not scenario.hours and waiting)):
            heapq.heappush(waiting, (OWN, arrival))
            arrival = next(arrivals)
        while in_flight and in_flight[0][0] <= now:
            done, priority, since = heapq.heappop(in_flight)
            if priority == OWN:
                result.waits.append(done - since)
            result.seconds = done
        free = min(settings.CLERK_SYNC_CONCURRENCY - len(in_flight), len(waiting))
        moment = START + timedelta(seconds=now)
        started = min(free, state.permits(moment)) if free > 0 else 0
        if started:
            state.spend(started, moment)
        for _ in range(started):
            priority, since = heapq.heappop(waiting)
            heapq.heappush(in_flight, (now + scenario.latency * chance.lognormvariate(0, 0.3), priority, since))
            window.append(now)
            result.calls += 1
        while window and window[0] <= now - 10:
            window.popleft()
        result.fullest_window = max(result.fullest_window, len(window))
        now += TICK
    return result


def changes(scenario: Scenario, chance: random.Random) -> Iterator[float]:
    """When people change something themselves: at random, so many a second."""
    moment = 0.0
    while True:
        moment += chance.expovariate(scenario.own_per_second) if scenario.own_per_second else float("inf")
        yield moment


if __name__ == "__main__":
    sys.exit(main())
