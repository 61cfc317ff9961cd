"""How much of Clerk's limit delivery uses, and what a single change waits with bulk work queued, on PostgreSQL.

    python tests/with_postgres.py python -m benchmarks.sync_delivery

The local Clerk grants 1000 calls in 10 seconds, as Clerk does a live instance, and takes 100 ms for each. Workers are
processes of their own.
"""

import gc
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from benchmarks.figures import Figure, report
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.faults import Fault
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.limits import Limits
from clerk_sync.emulator.server import RunningClerk

LATENCY = 0.1
# Calls after which the rate is measured, and until when: the burst at the start is not the rate.
WARM, MEASURED = 500, 2500
BULK = 10_000
SINGLE_CHANGES = 50


def main() -> int:
    if not os.environ.get("TEST_DATABASE_URL", "").startswith("postgres"):
        sys.exit("Run it with a PostgreSQL: python tests/with_postgres.py python -m benchmarks.sync_delivery")
    clerk = LocalClerk(Instance(), limits=Limits.live())
    clerk.calls = deque()  # all of them, not the last few
    clerk.faults.add(Fault(kind="latency", match="^PATCH .*/metadata$", seconds=LATENCY))
    with RunningClerk(clerk) as running, tempfile.TemporaryDirectory() as folder, a_database() as url:
        environment = site(running, url, folder)
        os.environ |= environment
        import django

        django.setup()
        accounts = seed(clerk)
        gc.freeze()  # the local Clerk runs in this process, and must not stop to look through 10,000 users
        missed = report(used(clerk, environment, 1))
        missed |= report(used(clerk, environment, 4))
        missed |= report(waits(clerk, environment, accounts))
    return missed


@contextmanager
def a_database() -> Iterator[str]:
    server = os.environ["TEST_DATABASE_URL"]
    name = f"benchmark_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def site(running: RunningClerk, url: str, folder: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.delivery_settings",
        "TEST_DATABASE_URL": url,
        "BENCHMARK_CLERK_URL": f"{running.url}/v1",
        "BENCHMARK_CLERK_KEY": running.clerk.instance.secret_key,
        "LOG_LEVEL": "WARNING",
    }


def seed(clerk: LocalClerk) -> list[str]:
    """As many users as there is bulk work, known on both sides, in one organization; nothing pending."""
    from django.core.management import call_command

    from accounts.models import Membership, Organization, User

    call_command("migrate", verbosity=0)
    with clerk.store.lock:
        accounts = [clerk.store.create_user(emails=[(f"u{each}@example.com", True)]).id for each in range(BULK)]
    users = User.objects.bulk_create(User(clerk_user_id=account) for account in accounts)
    organization = Organization.objects.create(name="Acme", slug="acme")
    Membership.objects.bulk_create(Membership(user=user, organization=organization, is_active=True) for user in users)
    return accounts


def used(clerk: LocalClerk, environment: dict[str, str], workers: int) -> list[Figure]:
    """Calls a second by so many workers with more than enough to do, and how many of them Clerk refused."""
    from clerk_sync.models import MetadataSync

    time.sleep(10)  # a window of the limit, so that the calls before do not count
    MetadataSync.objects.update(state="pending", held_digest="", due_at="2020-01-01T00:00Z", lease=None)
    refused = count_refusals(clerk)
    program = [sys.executable, "manage.py", "sync_clerk_metadata", "--json"]
    before = len(clerk.calls)
    running = [subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL) for _ in range(workers)]
    marks = {}
    for mark in (WARM, MEASURED):
        while len(clerk.calls) - before < mark:
            time.sleep(0.005)
        marks[mark] = time.perf_counter()
    for worker in running:
        worker.send_signal(signal.SIGINT)
    for worker in running:
        worker.wait(60)
    rate = (MEASURED - WARM) / (marks[MEASURED] - marks[WARM])
    return [
        Figure(f"calls a second of the 100 allowed, {workers} worker{'s' * (workers > 1)}", rate, at_least=95),
        Figure("  of them answered 429", count_refusals(clerk) - refused, at_most=0),
    ]


def count_refusals(clerk: LocalClerk) -> int:
    return sum(1 for call in list(clerk.calls) if call.status == 429)


def waits(clerk: LocalClerk, environment: dict[str, str], accounts: list[str]) -> list[Figure]:
    """Seconds from the commit of a role change until Clerk holds it, with nothing else waiting and with bulk work."""
    from accounts.models import Organization
    from clerk_sync.models import MetadataSync

    MetadataSync.objects.update(state="synced", lease=None, due_at="2020-01-01T00:00Z")
    # It looks for work often, so that what a change waits with nothing else waiting is no worker's sleep.
    program = [sys.executable, "manage.py", "db_worker", "--no-reload", "--no-startup-delay", "--interval", "0.05"]
    worker = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL)
    try:
        time.sleep(5)
        idle = [single_change(clerk, account) for account in accounts[:SINGLE_CHANGES]]
        organization = Organization.objects.get()
        organization.name = "Renamed"
        organization.save()
        time.sleep(2)
        busy = [single_change(clerk, account) for account in accounts[-SINGLE_CHANGES:]]
        left = MetadataSync.objects.filter(state="pending").count()
    finally:
        worker.terminate()
        worker.wait(60)
    median = statistics.median(busy) / statistics.median(idle)
    slow_busy, slow_idle = (statistics.quantiles(each, n=20)[-1] for each in (busy, idle))
    return [
        Figure(f"single change with {BULK:,} bulk rows waiting ÷ with none: median", median, at_most=1.5,
               note=f"{statistics.median(busy):.2f} s ÷ {statistics.median(idle):.2f} s"),
        Figure("  95th percentile", slow_busy / slow_idle, at_most=1.5,
               note=f"{slow_busy:.2f} s ÷ {slow_idle:.2f} s; {left:,} rows still waited at the end"),
    ]  # fmt: skip


def single_change(clerk: LocalClerk, account: str) -> float:
    from accounts.models import Membership

    membership = Membership.objects.get(user__clerk_user_id=account)
    membership.role = "admin"
    membership.save(update_fields=["role"])
    committed = time.perf_counter()
    while clerk.store.users[account].public_metadata.get("role") != "admin":
        time.sleep(0.005)
        if time.perf_counter() - committed > 60:
            sys.exit(f"The change of {account} was not delivered in a minute.")
    return time.perf_counter() - committed


if __name__ == "__main__":
    sys.exit(main())
