"""Workers are killed at random while several writers change everything and Clerk answers with every kind of failure.

At the end each user's metadata at Clerk equals the database: nothing was lost, and nothing stale was left behind.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clerk_sync.claims import CLAIMS
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.faults import Fault
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.limits import Limits
from clerk_sync.emulator.server import RunningClerk
from tests.length import at_length

USERS = 40
WORKERS = 3
WRITERS = 3
CHANGES = 6  # of each writer in each round
TIMEOUT = 0.4  # seconds: a lease is six of these, and a lost write may arrive for three

PATCH = "^PATCH .*/metadata$"
FAULTS = [
    Fault(kind="status", match=PATCH, status=429, retry_after=1, probability=0.01),
    Fault(kind="status", match=PATCH, status=500, probability=0.04),
    Fault(kind="status", match=PATCH, status=503, probability=0.02),
    Fault(kind="reset", match=PATCH, probability=0.04),
    Fault(kind="timeout", match=PATCH, seconds=2 * TIMEOUT, probability=0.03),
    Fault(kind="lost_answer", match=PATCH, probability=0.04),
    # Answered, and applied, after the caller has given up: it may overtake a later write.
    Fault(kind="latency", match=PATCH, seconds=2 * TIMEOUT, probability=0.04),
]


@pytest.fixture
def clerk() -> Iterator[RunningClerk]:
    with RunningClerk(LocalClerk(Instance(), limits=Limits.off())) as running:
        yield running


class Nursery:
    """The process that forks; see tests/end_to_end/nursery.py."""

    def __init__(self, environment: dict[str, str], troubles: Path) -> None:
        self.troubles = troubles
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.nursery", str(troubles)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, *command: object) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def stop(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid, 10)


def wait_for_end(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.01)


@pytest.fixture
def environment(clerk: RunningClerk, own_database_url: str) -> dict[str, str]:
    """A site of its own, its database migrated, with users whom the local Clerk has too."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.end_to_end.killing_settings",
        "TEST_DATABASE_URL": own_database_url,
        "KILLING_CLERK_URL": f"{clerk.url}/v1",
        "KILLING_CLERK_KEY": clerk.clerk.instance.secret_key,
        "KILLING_TIMEOUT": str(TIMEOUT),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with clerk.clerk.store.lock:
        accounts = [
            clerk.clerk.store.create_user(emails=[(f"user{number}@example.com", True)]).id for number in range(USERS)
        ]
        for account in accounts:
            clerk.clerk.store.users[account].public_metadata["theirs"] = {"untouched": True}
    program = [sys.executable, "-m", "tests.end_to_end.killing_data"]
    subprocess.run([*program, "seed", *accounts], env=environment, check=True)
    return environment


def desired(environment: dict[str, str]) -> dict[str, dict[str, str | None]]:
    import json

    program = [sys.executable, "-m", "tests.end_to_end.killing_data", "desired"]
    answer = subprocess.run(program, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, dict[str, str | None]] = json.loads(answer.stdout)
    return found


@pytest.mark.prove
def test_no_change_is_lost_or_stale_however_workers_die(
    clerk: RunningClerk, environment: dict[str, str], tmp_path: Path
) -> None:
    on_postgresql = environment["TEST_DATABASE_URL"].startswith("postgres")
    rounds = at_length(short=5, full=200 if on_postgresql else 40)
    chance = random.Random(4)
    troubles = tmp_path / "troubles"
    nursery = Nursery(environment, troubles)
    try:
        workers = [nursery.start("worker") for _ in range(WORKERS)]
        clerk.clerk.faults.add(*FAULTS)
        for number in range(rounds):
            writers = [nursery.start("writer", number * WRITERS + each, CHANGES) for each in range(WRITERS)]
            time.sleep(chance.uniform(0.02, 0.3))
            assert not troubles.exists(), troubles.read_text()
            kill(workers.pop(chance.randrange(WORKERS)))
            workers.append(nursery.start("worker"))
            for writer in writers:
                wait_for_end(writer, 60)
        clerk.clerk.faults.clear()
        for worker in workers:
            kill(worker)
        wait_for_end(nursery.start("settle"), 120)
    finally:
        nursery.stop()

    assert not troubles.exists(), troubles.read_text()
    held = {user.id: user.public_metadata for user in clerk.clerk.store.users.values()}
    should = desired(environment)
    assert {pk: {claim: metadata.get(claim) for claim in CLAIMS} for pk, metadata in held.items()} == should
    assert all(metadata["theirs"] == {"untouched": True} for metadata in held.values())
    assert clerk.clerk.call_counts.total() > rounds * WRITERS
