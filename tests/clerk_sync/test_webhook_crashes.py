"""A process that is killed, and a database that goes away: nothing is lost, and nothing doubled."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connection, connections, transaction
from django.db.models.signals import post_save

from accounts.models import User
from clerk_sync import deadline, freshness, webhooks
from clerk_sync.models import WebhookEvent
from tests.clerk_sync.payloads import NOW, clerk_user, event
from tests.clerk_sync.test_webhook_events import APPLIED, DUPLICATE, deliver
from tests.instance import signed_webhook

pytestmark = pytest.mark.django_db(transaction=True)


# --- The process dies


class Site:
    """The site's processes, each of which receives one delivery on the same database."""

    def __init__(self, database_url: str) -> None:
        self.environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "TEST_DATABASE_URL": database_url}

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def receive(self, body: dict[str, Any], how: str = "answer") -> str | int:
        """The outcome that was answered, or the signal that the process died of."""
        content, headers = signed_webhook(body)
        del headers["content-type"]
        message = json.dumps({"body": content.decode(), "headers": headers})
        done = self.run("tests.clerk_sync.one_delivery", how, stdin=message)
        if done.returncode < 0:
            return -done.returncode
        assert done.returncode == 0, done.stderr
        outcome: str = json.loads(done.stdout)["outcome"]
        return outcome


@pytest.fixture
def site(tmp_path: Path) -> Site:
    if connection.vendor == "postgresql":
        config = connection.settings_dict
        host = f"{config['HOST']}:{config['PORT']}" if config["PORT"] else config["HOST"]
        user = quote(config["USER"]) + (f":{quote(config['PASSWORD'])}" if config["PASSWORD"] else "")
        return Site(f"postgresql://{user}@{quote(host, safe=':')}/{config['NAME']}")
    site = Site(f"sqlite:///{tmp_path / 'site.sqlite3'}")
    migrated = site.run("django", "migrate", "--verbosity=0")
    assert migrated.returncode == 0, migrated.stderr
    return site


def test_process_killed_before_the_commit_leaves_nothing_and_loses_nothing(site: Site) -> None:
    body = event("user.created", clerk_user())

    assert site.receive(body, "die-before-commit") == signal.SIGKILL
    assert site.receive(body) == "applied"
    assert site.receive(body) == "duplicate"


def test_process_killed_between_commit_and_answer_applied_it_once(site: Site) -> None:
    body = event("user.created", clerk_user())

    assert site.receive(body, "die-before-answer") == signal.SIGKILL
    assert site.receive(body) == "duplicate"


# --- The database goes away


@contextmanager
def on_save(model: type[User] | type[WebhookEvent], do: Callable[[], object]) -> Iterator[None]:
    def receiver(**kwargs: Any) -> None:
        do()

    post_save.connect(receiver, sender=model)
    try:
        yield
    finally:
        post_save.disconnect(receiver, sender=model)


def cut_off() -> None:
    """End this connection's server process, as a restart of the server would."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]

    def terminate() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(terminate).result()


@pytest.mark.postgresql
class TestDatabaseGoesAway:
    @pytest.mark.parametrize("model", [User, WebhookEvent])
    def test_in_the_middle_loses_and_doubles_nothing(self, model: type[User] | type[WebhookEvent]) -> None:
        body = event("user.created", clerk_user())

        with on_save(model, cut_off):
            assert deliver(body)[0] == 503
        connections.close_all()

        assert not User.objects.exists()
        assert not WebhookEvent.objects.exists()
        assert deliver(body) == APPLIED
        assert deliver(body) == DUPLICATE
        assert User.objects.count() == 1

    def test_between_two_requests_is_not_noticed(self) -> None:
        deliver(event("user.created", clerk_user()))
        cut_off()
        close_old_connections()  # as every request does first; the test client alone does not

        assert deliver(event("user.updated", clerk_user(updated_at=NOW + 1)), "msg_2") == APPLIED

    def test_lock_that_is_not_released_is_answered_503_in_time(self) -> None:
        deliver(event("user.created", clerk_user()))
        locked, released = Event(), Event()

        def hold() -> None:
            try:
                with transaction.atomic():
                    User.objects.select_for_update().get()
                    locked.set()
                    released.wait(30)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as thread:
            holding = thread.submit(hold)
            locked.wait(10)
            started = time.monotonic()
            status, _ = deliver(event("user.updated", clerk_user(updated_at=NOW + 1, first_name="New")), "msg_2")
            took = time.monotonic() - started
            released.set()
            holding.result()

        assert status == 503
        assert took < 10  # of the 15 seconds that Svix waits
        assert deliver(event("user.updated", clerk_user(updated_at=NOW + 1, first_name="New")), "msg_2") == APPLIED


@pytest.mark.parametrize(
    "body",
    [
        event("session.ended", {"id": "sess_1", "user_id": "user_1"}),
        event("user.updated", clerk_user("user_1", banned=True)),
        event("user.deleted", {"id": "user_1", "deleted": True}),
    ],
    ids=lambda body: body["type"],
)
def test_who_is_out_is_said_again_to_whoever_sends_again(body: dict[str, Any], ada: User) -> None:
    """The commit arrived, and whoever waited for its answer did not live to announce it."""
    assert deliver(body) == APPLIED
    cache.clear()

    assert deliver(body) == DUPLICATE

    assert freshness.is_signed_out("user_1", "sess_1")


class HangingProxy:
    """Between the site and PostgreSQL: connections can be made, and from one that `hangs` nothing is passed on."""

    def __init__(self, hangs: Callable[[bytes], bool]) -> None:
        config = connections.settings[DEFAULT_DB_ALIAS]
        self.host, self.server_port, self.hangs = config["HOST"], int(config["PORT"] or 5432), hangs
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = [self.listener]
        Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = self.connected()
                self.sockets += [client, server]
                Thread(target=self.pass_on, args=(client, server, self.hangs), daemon=True).start()
                Thread(target=self.pass_on, args=(server, client, lambda data: False), daemon=True).start()

    def connected(self) -> socket.socket:
        if not self.host.startswith("/"):
            return socket.create_connection((self.host, self.server_port))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{self.host}/.s.PGSQL.{self.server_port}")
        return connection

    def pass_on(self, source: socket.socket, target: socket.socket, hangs: Callable[[bytes], bool]) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not hangs(data):
                target.sendall(data)

    def close(self) -> None:
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # closing alone leaves those open that a thread waits for
            each.close()


@contextmanager
def through_proxy(hangs: Callable[[bytes], bool]) -> Iterator[ThreadPoolExecutor]:
    """A thread with the site's connection as in production, by way of a server that hangs. The deadline is a second."""
    proxy = HangingProxy(hangs)
    there = {"HOST": "127.0.0.1", "PORT": str(proxy.port), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    try:
        with (
            patch.object(webhooks, "DATABASE_DEADLINE", 1.0),
            patch.dict(connections.settings[DEFAULT_DB_ALIAS], there),
            ThreadPoolExecutor(1) as thread,
        ):
            yield thread
            thread.submit(connections.close_all).result(30)
    finally:
        proxy.close()


def timed(body: dict[str, Any], svix_id: str) -> tuple[int, float]:
    close_old_connections()  # as every request does first
    started = time.monotonic()
    return deliver(body, svix_id)[0], time.monotonic() - started


@pytest.mark.postgresql
def test_database_that_hangs_in_the_middle_is_answered_503_in_time() -> None:
    body = event("user.created", clerk_user())

    with through_proxy(lambda data: b"INSERT INTO" in data) as thread:
        status, took = thread.submit(timed, body, "msg_1").result(30)

    assert (status, 1.0 <= took < 5) == (503, True)
    assert not WebhookEvent.objects.exists()
    assert deliver(body) == APPLIED


@pytest.mark.postgresql
def test_database_that_hangs_between_two_requests_is_answered_503_in_time() -> None:
    """Django finds the connection that it kept to be lost, and makes another, which hangs in its turn."""
    hanging = Event()
    update = event("user.updated", clerk_user(updated_at=NOW + 1))

    with through_proxy(lambda data: hanging.is_set() and data[:1] in b"QPB") as thread:
        assert thread.submit(timed, event("user.created", clerk_user()), "msg_1").result(30)[0] == 200
        hanging.set()
        status, took = thread.submit(timed, update, "msg_2").result(30)

    assert (status, 1.0 <= took < 5) == (503, True)
    assert deliver(update, "msg_2") == APPLIED


@pytest.mark.postgresql
def test_deadline_cuts_nothing_once_the_work_has_ended() -> None:
    connection.ensure_connection()
    with deadline.database_deadline(0.1):
        pass
    time.sleep(0.3)

    assert not User.objects.exists()


@pytest.mark.postgresql
def test_same_message_sixteen_times_at_once_is_applied_once() -> None:
    body = event("user.created", clerk_user(email="ada@example.com"))

    def receive(_: int) -> tuple[int, dict[str, Any]]:
        try:
            return deliver(body)
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(receive, range(16)))

    assert sorted(answer[1]["outcome"] for answer in answers) == ["applied"] + ["duplicate"] * 15
    assert User.objects.count() == WebhookEvent.objects.count() == 1
