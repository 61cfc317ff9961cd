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
from urllib.parse import quote

import pytest
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connection, connections, transaction
from django.db.models.signals import post_save

from accounts.models import User
from clerk_sync import webhooks
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


class HangingProxy:
    """Between the site and PostgreSQL: passes everything on until something is written, and from then on nothing."""

    def __init__(self, host: str, port: str) -> None:
        self.server = (host, port)
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
                Thread(target=self.pass_on, args=(client, server, b"INSERT INTO"), daemon=True).start()
                Thread(target=self.pass_on, args=(server, client, None), daemon=True).start()

    def connected(self) -> socket.socket:
        host, port = self.server
        if not host.startswith("/"):
            return socket.create_connection((host, int(port or 5432)))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{host}/.s.PGSQL.{port or 5432}")
        return connection

    def pass_on(self, source: socket.socket, target: socket.socket, until: bytes | None) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not (until and until in data):
                target.sendall(data)

    def close(self) -> None:
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # closing alone leaves those open that a thread waits for
            each.close()


@pytest.mark.postgresql
def test_database_that_hangs_is_answered_503_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server whose machine was suspended: connections stand, and nothing is answered."""
    config = connections.settings[DEFAULT_DB_ALIAS]
    proxy = HangingProxy(config["HOST"], config["PORT"])
    body = event("user.created", clerk_user())

    def receive() -> tuple[int, float]:
        started = time.monotonic()
        try:
            return deliver(body)[0], time.monotonic() - started
        finally:
            connection.close()

    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setattr(webhooks, "DATABASE_DEADLINE", 1.0)
        patch.setitem(config, "HOST", "127.0.0.1")
        patch.setitem(config, "PORT", str(proxy.port))
        status, took = thread.submit(receive).result(30)
    proxy.close()

    assert (status, 1.0 <= took < 5) == (503, True)
    assert not WebhookEvent.objects.exists()
    assert deliver(body) == APPLIED


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
