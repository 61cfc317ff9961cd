"""A site as in production: what the image holds, on PostgreSQL and Redis, with a Clerk on this machine."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from tests.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PROCFILE: dict[str, str] = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
HOST = "people.example.com"
# What a proxy that ends TLS sends along.
THROUGH_PROXY = {"Host": HOST, "X-Forwarded-Proto": "https"}
METRICS_TOKEN = "the-scraper-knows-this"


class Process:
    """A process group that a command line began, and what it wrote."""

    def __init__(self, command: str, environment: dict[str, str], folder: Path) -> None:
        self.output = folder / f"output-{secrets.token_hex(4)}"
        with self.output.open("wb") as output:
            self.popen = subprocess.Popen(
                ["sh", "-c", f"exec {command}"],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until(self, what: Callable[[], Any], seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            found = what()
            if found:
                return found
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"It did not come to that:\n{self.output.read_text()}")
            time.sleep(0.1)

    def end(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(30)


@dataclass(frozen=True)
class Production:
    running: RunningClerk
    environment: dict[str, str]
    image: Path

    @property
    def clerk(self) -> LocalClerk:
        return self.running.clerk

    def run(self, command: str, **variables: str) -> str:
        return run(command, self.environment | variables, self.image)

    @contextmanager
    def started(self, command: str, **variables: str) -> Iterator[Process]:
        process = Process(command, self.environment | variables, self.image)
        try:
            yield process
        finally:
            if process.popen.poll() is None:
                os.killpg(process.popen.pid, signal.SIGKILL)
                process.popen.wait()

    @contextmanager
    def site(self, command: str = PROCFILE["web"], **variables: str) -> Iterator[tuple[Process, str]]:
        """A server that answers, and its address. `{port}` in the command is where it is to listen."""
        port = str(free_port())
        url = f"http://127.0.0.1:{port}"
        with self.started(command.replace("{port}", port), PORT=port, **variables) as process:
            process.wait_until(lambda: answers(url))
            yield process, url


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_server: RedisServer
) -> Iterator[Production]:
    with RunningClerk(LocalClerk(Instance())) as running:
        environment = environment_of(running.clerk, database_url, redis_server.url, tmp_path_factory.mktemp("secrets"))
        image = built_image(tmp_path_factory.mktemp("image"), environment["PATH"])
        site = Production(running, environment, image)
        site.run(PROCFILE["release"])
        yield site


def environment_of(clerk: LocalClerk, database_url: str, cache_url: str, folder: Path) -> dict[str, str]:
    """Nothing of the tests' own environment is in it."""
    instance = clerk.instance
    webhook_secret = folder / "webhook_secret"
    webhook_secret.write_text(f"{instance.webhook_secret}\n")
    kept = {name: value for name, value in os.environ.items() if not re.match("DJANGO_|CLERK_|TEST_|PYTEST_", name)}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": database_url,
        "CACHE_URL": cache_url,
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
        "DJANGO_ALLOWED_HOSTS": HOST,
        "DJANGO_CSRF_TRUSTED_ORIGINS": f"https://{HOST}",
        "DJANGO_BEHIND_PROXY": "true",
        "CLERK_PUBLISHABLE_KEY": instance.publishable_key,
        "CLERK_FRONTEND_API_URL": instance.frontend_api_url,
        "CLERK_API_URL": f"{instance.frontend_api_url}/v1",
        "CLERK_SECRET_KEY": instance.secret_key,
        "CLERK_JWT_KEY": clerk.signer.public_pem,
        "CLERK_WEBHOOK_SIGNING_SECRET_FILE": str(webhook_secret),
        "CLERK_AUTHORIZED_PARTIES": f"https://{HOST}",
        "METRICS_TOKEN": METRICS_TOKEN,
    }


def built_image(folder: Path, path: str) -> Path:
    """What the Dockerfile copies, prepared as it prepares it."""
    for copied in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        for name in copied.split():
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder)
    run(re.findall(r"^RUN (.* collectstatic .*)$", DOCKERFILE, re.MULTILINE)[0], {"PATH": path}, folder)
    return folder


def run(command: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=10).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
