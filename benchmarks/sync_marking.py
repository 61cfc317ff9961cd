"""What marking costs, and what `--all` costs where everyone is in step, on PostgreSQL.

    python tests/with_postgres.py python -m benchmarks.sync_marking [USERS]

Whatever is compared takes turns, so that a busy machine slows both; medians of the rounds count.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["LOG_LEVEL"] = "WARNING"

import django

django.setup()

from django.db import connection
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.test.runner import DiscoverRunner
from django.test.utils import CaptureQueriesContext

from accounts.changes import rows_created, rows_deleting, rows_updated, rows_updating
from accounts.models import Membership, Organization, Person, User
from benchmarks.figures import Figure, report
from clerk_sync import marking
from clerk_sync.metadata import digest, read_metadata
from clerk_sync.models import MetadataSync

ROUNDS = 7
RENAMES = 15  # their times differ by half from one to the next
SIGNALS = (
    pre_save, post_save, pre_delete, post_delete, rows_created, rows_updating, rows_updated, rows_deleting,
)  # fmt: skip


def main(users: int) -> int:
    if connection.vendor != "postgresql":
        sys.exit("Run it with a PostgreSQL: python tests/with_postgres.py python -m benchmarks.sync_marking")
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        organization = seed(users)
        missed = report(rename(organization, users))
        missed |= report(importing(organization, users))
        missed |= report(in_step(users))
    finally:
        runner.teardown_databases(databases)
    return missed


def seed(users: int) -> Organization:
    organization = Organization.objects.create(name="Acme", slug="acme")
    created = User.objects.bulk_create([User(clerk_user_id=f"user_{each}") for each in range(users)], 5000)
    members = (Membership(user=user, organization=organization, is_active=True) for user in created)
    Membership.objects.bulk_create(members, 5000)
    everyone_in_step()
    return organization


def everyone_in_step() -> None:
    rows = read_metadata(User.objects.all(), "clerk_user_id")
    held = {clerk_user_id: digest(metadata) for metadata, (clerk_user_id,) in rows}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE clerk_sync_metadatasync SET state = 'synced', claims_after = 1, held_digest = held.digest"
            " FROM unnest(%s::text[], %s::text[]) AS held (pk, digest) WHERE clerk_user_id = held.pk",
            [list(held), list(held.values())],
        )
    analyze()


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE clerk_sync_metadatasync")
        cursor.execute("VACUUM ANALYZE accounts_membership")
        cursor.execute("VACUUM ANALYZE accounts_user")
        cursor.execute("VACUUM ANALYZE accounts_person")


@contextmanager
def hooks_off() -> Iterator[None]:
    """Without the receivers of clerk_sync.marking, as if the app were not installed."""
    kept = {signal: list(signal.receivers) for signal in SIGNALS}
    ours = {id(function) for function in vars(marking).values() if callable(function)}
    for signal in SIGNALS:
        signal.receivers = [each for each in kept[signal] if id(each[1]()) not in ours]
        signal.sender_receivers_cache.clear()
    try:
        yield
    finally:
        for signal, receivers in kept.items():
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rename(organization: Organization, users: int) -> list[Figure]:
    def save() -> None:
        organization.name += "!"
        organization.name = organization.name[-50:]
        organization.save()

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE raw_copy (LIKE clerk_sync_metadatasync INCLUDING ALL)")

    def insert_select() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO raw_copy SELECT * FROM clerk_sync_metadatasync WHERE user_id IN"
                " (SELECT user_id FROM accounts_membership WHERE is_active AND organization_id = %s)",
                [organization.pk],
            )
            assert cursor.rowcount == users

    with hooks_off(), CaptureQueriesContext(connection) as without:
        save()
    with CaptureQueriesContext(connection) as with_hooks:
        save()
    renames, inserts = [], []
    for _ in range(RENAMES):
        MetadataSync.objects.update(state="synced")
        analyze()
        renames.append(seconds(save))
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE raw_copy")
        inserts.append(seconds(insert_select))
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE raw_copy")
    renamed, inserted = statistics.median(renames), statistics.median(inserts)
    return [
        Figure(f"rename, {users:,} members: statements added", len(with_hooks) - len(without), at_most=3),
        Figure("  its time ÷ raw INSERT … SELECT of the members' rows", renamed / inserted, at_most=1.5,
               note=f"{renamed:.2f} s ÷ {inserted:.2f} s"),
    ]  # fmt: skip


def importing(organization: Organization, people: int) -> list[Figure]:
    def create() -> None:
        batch = [Person(organization=organization, name=f"Person {each}") for each in range(people)]
        Person.objects.bulk_create(batch, 5000)

    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS):
        for hooked in (True, False):
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE accounts_person CASCADE")
            if hooked:
                times[hooked].append(seconds(create))
            else:
                with hooks_off():
                    times[hooked].append(seconds(create))
    on, off = statistics.median(times[True]), statistics.median(times[False])
    return [
        Figure(f"bulk_create of {people:,} people: with hooks ÷ without", on / off, at_most=1.15,
               note=f"{on:.2f} s ÷ {off:.2f} s"),
    ]  # fmt: skip


def in_step(users: int) -> list[Figure]:
    """`--all` in a process of its own, for its memory; beside it the same rows read by `iterator()`."""
    everyone_in_step()
    whole = [measure("all") for _ in range(3)]
    read = [measure("iterator") for _ in range(3)]
    idle = measure("idle")
    compared = statistics.median(each["seconds"] for each in whole)
    iterated = statistics.median(each["seconds"] for each in read)
    keep_users(users // 10)
    tenth = statistics.median(measure("all")["seconds"] for _ in range(3))
    return [
        Figure(f"--all, {users:,} users in step: time ÷ iterator()", compared / iterated, at_most=3,
               note=f"{compared:.2f} s ÷ {iterated:.2f} s"),
        Figure("  rows that it marked, each of which would cost a call", whole[0]["marked"], at_most=0),
        Figure("  memory above an idle process, MB", max(each["memory"] for each in whole) - idle["memory"],
               at_most=100),
        Figure(f"  time ÷ that of {users // 10:,} users", compared / tenth, at_most=11,
               note=f"{compared:.2f} s ÷ {tenth:.2f} s"),
    ]  # fmt: skip


def keep_users(number: int) -> None:
    """Delete the others, in SQL: collecting what hangs on each of them in Python takes minutes."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE gone AS SELECT id FROM accounts_user ORDER BY id OFFSET %s", [number])
        cursor.execute("ANALYZE gone")
        cursor.execute("UPDATE accounts_person SET user_id = NULL WHERE user_id IN (SELECT id FROM gone)")
        cursor.execute("UPDATE accounts_change SET by_id = NULL WHERE by_id IN (SELECT id FROM gone)")
        cursor.execute("DELETE FROM accounts_membership WHERE user_id IN (SELECT id FROM gone)")
        cursor.execute("DELETE FROM clerk_sync_metadatasync WHERE user_id IN (SELECT id FROM gone)")
        cursor.execute("DELETE FROM accounts_user WHERE id IN (SELECT id FROM gone)")
        cursor.execute("DROP TABLE gone")
    analyze()


def measure(what: str) -> dict[str, float]:
    environment = {**os.environ, "BENCHMARK_DATABASE": connection.settings_dict["NAME"]}
    program = [sys.executable, "-m", "benchmarks.sync_all", what]
    answer = subprocess.run(program, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
