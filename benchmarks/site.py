"""A site that is measured, seen from the process that measures it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks.serving import Message

ROOT = Path(__file__).resolve().parent.parent


class Site:
    """A process with a database of its own, on the server that TEST_DATABASE_URL names. It runs `serving.serve`."""

    def __init__(self, command: list[str], database: str, **environment: str) -> None:
        self.database = database
        self.administer(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
        url = urlunsplit(urlsplit(os.environ["TEST_DATABASE_URL"])._replace(path=f"/{database}"))
        environment = {**os.environ, **environment, "TEST_DATABASE_URL": url}
        self.process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def feed(self, messages: list[Message]) -> dict[str, Any]:
        """What they took: see `serving.serve`."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(messages) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The site of {self.database} ended with {self.process.wait()}.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.process.communicate()
        self.administer(f"DROP DATABASE IF EXISTS {self.database}")

    def administer(self, *statements: str) -> None:
        with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
