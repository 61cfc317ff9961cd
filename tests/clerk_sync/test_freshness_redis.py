"""Several processes, one Redis: what one is told, all know at once, and asking costs one round trip."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership, User
from clerk_sync import announcements, freshness
from clerk_sync.models import EndedSession, MetadataSync
from tests.instance import ClerkInstance, claims_of, sign_in
from tests.redis import RedisServer

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]


class OtherProcess:
    """Another process of the site, which does what it is told, a line of Python at a time."""

    PROGRAM = """
import sys, time, django
django.setup()
from accounts.models import Membership, Organization, User
from clerk_sync import announcements, freshness
from clerk_sync.models import EndedSession, MetadataSync
from django.db import connection
result = "ready"
while True:
    print(result, flush=True)
    result = "done"
    line = sys.stdin.readline()
    if not line:
        break
    exec(line)
"""

    def __init__(self, cache_url: str, database_url: str) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM],
            env={
                **os.environ,
                "CACHE_URL": cache_url,
                "TEST_DATABASE_URL": database_url,
                "DJANGO_SETTINGS_MODULE": "tests.settings",
            },
            cwd=django_settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "ready"

    def does(self, line: str) -> str:
        """Runs the line there, and returns what it left in `result`."""
        assert self.process.stdin
        print(line, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self) -> str:
        assert self.process.stdout
        line: str = self.process.stdout.readline()
        return line.strip()

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def elsewhere(redis_server: RedisServer, tmp_path: Path) -> Iterator[OtherProcess]:
    """With a database of its own, where no session has ended."""
    process = OtherProcess(redis_server.url, f"sqlite:///{tmp_path}/elsewhere.sqlite3")
    process.does("with connection.schema_editor() as editor: editor.create_model(EndedSession)")
    yield process
    process.close()


@pytest.fixture
def signed_in(clerk: ClerkInstance, ada: User, client: Client, redis_cache: RedisServer) -> Client:
    sign_in(client, clerk.token(claims=claims_of(ada)))
    assert client.get("/who/").json()["source"] == "session_claims"
    redis_cache.calls()
    return client


def test_a_request_with_fresh_claims_costs_one_round_trip_and_no_query(
    signed_in: Client, redis_cache: RedisServer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        for _ in range(10):
            assert signed_in.get("/private/").status_code == 200

    assert redis_cache.calls() == {"mget": 10}


def test_it_costs_no_more_after_a_change_was_delivered(signed_in: Client, redis_cache: RedisServer) -> None:
    freshness.announce_stale(["user_1"])
    assert signed_in.get("/who/").json()["source"] == "database"
    redis_cache.calls()

    assert signed_in.get("/who/").json()["source"] == "session_claims"
    assert redis_cache.calls() == {"mget": 1}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("freshness.announce_signed_out('user_1')", 401),
        ("freshness.remember_ended('sess_1')", 401),
        ("freshness.announce_signed_out('user_2')", 200),
        ("freshness.remember_ended('sess_2')", 200),
    ],
)
def test_who_is_out_in_one_process_is_out_in_all(
    signed_in: Client, elsewhere: OtherProcess, line: str, status: int
) -> None:
    User.objects.update(is_active="announce_signed_out" not in line)
    elsewhere.does(line)

    assert signed_in.get("/private/").status_code == status


@pytest.mark.parametrize(
    "announcement", ["announce_stale(['user_1'])", "announce_organization_stale('{acme}')", "announce_everyone_stale()"]
)
def test_a_change_announced_in_one_process_counts_in_another_within_100_ms(
    signed_in: Client, elsewhere: OtherProcess, announcement: str
) -> None:
    membership = Membership.objects.get()
    announcement = announcement.format(acme=membership.organization_id)
    Membership.objects.filter(pk=membership.pk).update(role="member")
    delays: list[float] = []
    # A machine that is busy with other tests may pause any one round, but not all of them.
    while len(delays) < 10 and min(delays, default=1) > 0.1:
        elsewhere.does("freshness.cache.clear()")
        assert signed_in.get("/admins/").status_code == 200  # what the claims say, and nobody contradicted
        announced_at = float(elsewhere.does(f"result = time.monotonic(); freshness.{announcement}"))
        assert signed_in.get("/admins/").status_code == 403
        delays.append(time.monotonic() - announced_at)

    assert min(delays) < 0.1


def database_url() -> str:
    """Of the tests' own database, for another process."""
    given = connection.settings_dict
    return f"postgresql://{given['USER']}@{quote(given['HOST'], safe='')}:{given['PORT']}/{given['NAME']}"


@pytest.mark.postgresql  # which several processes can share
@pytest.mark.django_db(transaction=True)
def test_a_membership_ended_in_one_process_is_refused_in_another_within_100_ms(
    signed_in: Client, redis_cache: RedisServer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    elsewhere = OtherProcess(redis_cache.url, database_url())
    delays: list[float] = []
    try:
        while len(delays) < 10 and min(delays, default=1) > 0.1:
            with django_assert_num_queries(0):
                assert signed_in.get("/members/").status_code == 200
            ended_at = float(elsewhere.does("Membership.objects.get().delete(); result = time.monotonic()"))
            assert signed_in.get("/members/").status_code == 403
            delays.append(time.monotonic() - ended_at)
            elsewhere.does(
                "Membership.objects.create("
                "user=User.objects.get(), organization=Organization.objects.get(), role='admin', is_active=True); "
                "MetadataSync.objects.update(state='synced', claims_after=0); "
                "freshness.announce_delivered({'user_1': 0})"
            )
    finally:
        elsewhere.close()

    assert min(delays) < 0.1


def test_redis_may_come_and_go(signed_in: Client, redis_cache: RedisServer) -> None:
    redis_cache.stop()
    assert signed_in.get("/who/").json()["source"] == "database"
    assert signed_in.get("/private/").status_code == 200

    redis_cache.start()
    assert signed_in.get("/who/").json()["source"] == "database"

    announcements.announce_return()
    assert signed_in.get("/who/").json()["source"] == "database"  # once for each user
    assert signed_in.get("/who/").json()["source"] == "session_claims"


def test_a_change_that_nobody_could_announce_is_not_forgotten(
    signed_in: Client, redis_cache: RedisServer, elsewhere: OtherProcess
) -> None:
    redis_cache.stop()
    assert signed_in.get("/who/").json()["source"] == "database"
    MetadataSync.objects.update(state=MetadataSync.State.PENDING)
    elsewhere.does("freshness.announce_stale(['user_1'])")
    elsewhere.process.kill()
    redis_cache.start()
    announcements.announce_return()

    for _ in range(3):
        assert signed_in.get("/who/").json()["source"] == "database"


def test_a_session_that_ended_meanwhile_is_out_though_its_user_was_asked_about(
    clerk: ClerkInstance, ada: User, signed_in: Client, redis_cache: RedisServer, elsewhere: OtherProcess
) -> None:
    redis_cache.stop()
    assert signed_in.get("/who/").json()["source"] == "database"
    EndedSession.objects.create(session_id="sess_1")
    elsewhere.does("freshness.remember_ended('sess_1')")
    elsewhere.process.kill()
    redis_cache.start()
    announcements.announce_return()
    other = Client()
    sign_in(other, clerk.token(claims=claims_of(ada), sid="sess_2"))
    assert other.get("/who/").json()["source"] == "database"
    assert other.get("/who/").json()["source"] == "session_claims"

    assert signed_in.get("/who/").json()["refusal"] == "session_ended"


def test_a_redis_that_was_emptied_is_not_believed(signed_in: Client, redis_cache: RedisServer) -> None:
    announcements.notice_whether_away()
    announcements.notice_whether_away()
    assert signed_in.get("/who/").json()["source"] == "session_claims"

    cache.clear()
    announcements.notice_whether_away()

    assert signed_in.get("/who/").json()["source"] == "database"
    announcements.announce_return()
    announcements.notice_whether_away()
    assert announcements.is_believed()


def test_a_return_is_announced_by_a_process_that_ends(redis_cache: RedisServer, elsewhere: OtherProcess) -> None:
    redis_cache.stop()
    elsewhere.does("announcements.RETRY_EVERY = 3600; freshness.announce_stale(['user_changed'])")
    redis_cache.start()
    assert verdict("user_changed") is freshness.Verdict.FRESH

    elsewhere.close()

    assert verdict("user_changed") is freshness.Verdict.STALE


def test_a_fork_announces_the_return_itself(redis_cache: RedisServer, elsewhere: OtherProcess) -> None:
    redis_cache.stop()
    elsewhere.does("freshness.announce_stale(['user_changed'])")
    fork = "import os; read, write = os.pipe(); child = os.fork()"
    elsewhere.does(f"{fork}; child or (os.write(write, b'%d' % announcements._announcer.is_alive()), os._exit(0))")

    assert elsewhere.does("result = os.read(read, 1).decode(); os.waitpid(child, 0)") == "1"
    redis_cache.start()


def verdict(clerk_user_id: str) -> freshness.Verdict:
    return freshness.judge(clerk_user_id, session_id="sess_1", organization_id=None, assembled_at=1).verdict


def test_what_another_process_missed_counts_within_a_moment_of_the_return(
    redis_cache: RedisServer, elsewhere: OtherProcess
) -> None:
    """Here, where nothing was asked meanwhile, so that the absence was not noticed."""
    delays: list[float] = []
    while len(delays) < 10 and min(delays, default=1) > 0.2:
        redis_cache.stop()
        elsewhere.does("freshness.announce_stale(['user_changed'])")
        redis_cache.start()
        back_at = time.monotonic()
        while verdict("user_changed") is freshness.Verdict.FRESH:
            assert time.monotonic() < back_at + 30
        delays.append(time.monotonic() - back_at)

    assert min(delays) < 0.2


@pytest.fixture
def _redis_full(redis_cache: RedisServer) -> Iterator[None]:
    """It answers whoever asks, and takes nothing new."""
    with redis.Redis(unix_socket_path=str(redis_cache.socket)) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


@pytest.mark.usefixtures("_redis_full")
def test_a_redis_that_takes_no_announcement_is_not_believed() -> None:
    freshness.announce_stale(["user_changed"])
    announcements.announce_return()

    assert verdict("user_changed") is freshness.Verdict.STALE
    assert not announcements.is_believed()


@pytest.mark.usefixtures("_redis_full")
def test_a_redis_that_takes_no_announcement_is_reported(client: Client) -> None:
    assert client.get("/readyz").json()["cache"] == {"reachable": False}
