"""The same code with another queue: django-tasks-rq, its own worker, and a real redis-server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from clerk_sync.claims import CLAIMS
from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.limits import Limits
from clerk_sync.emulator.server import RunningClerk
from tests.redis import RedisServer

USERS = 12


@pytest.fixture
def clerk() -> Iterator[RunningClerk]:
    with RunningClerk(LocalClerk(Instance(), limits=Limits.off())) as running:
        yield running


@pytest.fixture
def queue() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def environment(clerk: RunningClerk, queue: RedisServer, own_database_url: str) -> dict[str, str]:
    """A site that was filled just now, so that each change has enqueued a wake-up in Redis."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.end_to_end.killing_settings",
        "TASKS_BACKEND": "django_tasks_rq.RQBackend",
        "TASKS_REDIS_URL": queue.url,
        "TEST_DATABASE_URL": own_database_url,
        "KILLING_CLERK_URL": f"{clerk.url}/v1",
        "KILLING_CLERK_KEY": clerk.clerk.instance.secret_key,
        "KILLING_TIMEOUT": "5",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with clerk.clerk.store.lock:
        create = clerk.clerk.store.create_user
        accounts = [create(emails=[(f"user{number}@example.com", True)]).id for number in range(USERS)]
    subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.killing_data", "seed", *accounts], env=environment, check=True
    )
    return environment


def run(environment: dict[str, str], *command: str) -> str:
    program = [sys.executable, *command]
    return subprocess.run(program, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout


def in_step(clerk: RunningClerk, environment: dict[str, str]) -> bool:
    desired: dict[str, dict[str, str | None]] = json.loads(
        run(environment, "-m", "tests.end_to_end.killing_data", "desired")
    )
    held = {user.id: user.public_metadata for user in clerk.clerk.store.users.values()}
    return {pk: {claim: metadata.get(claim) for claim in CLAIMS} for pk, metadata in held.items()} == desired


def work(environment: dict[str, str]) -> None:
    run(environment, "manage.py", "rqworker", "--burst", "--job-class", "django_tasks_rq.Job", "default")


def calls(clerk: RunningClerk) -> int:
    return sum(clerk.clerk.call_counts.values())


def test_rq_delivers_once_however_often_it_was_woken(clerk: RunningClerk, environment: dict[str, str]) -> None:
    work(environment)

    assert in_step(clerk, environment)
    assert calls(clerk) == USERS


def test_what_a_lost_wake_up_left_behind_is_delivered_by_the_command(
    clerk: RunningClerk, environment: dict[str, str], queue: RedisServer
) -> None:
    with redis.Redis.from_url(queue.url) as connection:
        connection.flushall()

    work(environment)
    assert calls(clerk) == 0
    run(environment, "manage.py", "sync_clerk_metadata")

    assert in_step(clerk, environment)
