"""Fixtures of every suite that runs a whole demo."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.end_to_end.demo import RunningDemo, running_demo


@pytest.fixture(scope="session")
def ports(worker_id: str) -> tuple[str, ...]:
    """Where to look for free ports; workers that run side by side look in different places."""
    first = 18000 + 200 * int(worker_id.removeprefix("gw") or 0) if worker_id != "master" else 17000
    return ("--port", str(first), "--clerk-port", str(first + 100))


@contextmanager
def new_database() -> Iterator[str]:
    """The URL of an empty database where the suite runs on PostgreSQL, "" where not. Dropped at the end."""
    server = os.environ.get("TEST_DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield ""
        return
    name = f"manageros_demo_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """One database for all tests of a module; "" stands for the SQLite file of the demo."""
    with new_database() as url:
        yield url


@pytest.fixture
def own_database_url(tmp_path: Path) -> Iterator[str]:
    """A database of the test's own."""
    with new_database() as url:
        yield url or f"sqlite:///{tmp_path}/own.sqlite3"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, database_url: str, ports: tuple[str, ...]) -> Iterator[RunningDemo]:
    folder: Path = tmp_path_factory.mktemp("demo")
    with running_demo(folder, *ports, "--database-url", database_url) as demo:
        yield demo
