"""Each process of Procfile, compose.yaml and docs/deploy.md, started by its command line on settings of production."""

import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from tests.redis import RedisServer

pytestmark = pytest.mark.postgresql

ROOT = Path(__file__).resolve().parents[2]
PROCFILE: dict[str, str] = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
GUIDE = (ROOT / "docs" / "deploy.md").read_text()
HOST = "people.example.com"


@pytest.fixture(scope="module")
def clerk() -> Iterator[LocalClerk]:
    with RunningClerk(LocalClerk(Instance())) as running:
        yield running.clerk


@pytest.fixture(scope="module")
def environment(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_server: RedisServer, clerk: LocalClerk
) -> dict[str, str]:
    """As in production, but for a Clerk on this machine. Nothing of the tests' own environment is in it."""
    instance = clerk.instance
    folder = tmp_path_factory.mktemp("processes")
    webhook_secret = folder / "webhook_secret"
    webhook_secret.write_text(f"{instance.webhook_secret}\n")
    kept = {name: value for name, value in os.environ.items() if not re.match("DJANGO_|CLERK_|TEST_|PYTEST_", name)}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": database_url,
        "CACHE_URL": redis_server.url,
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
        "DJANGO_ALLOWED_HOSTS": HOST,
        "DJANGO_CSRF_TRUSTED_ORIGINS": f"https://{HOST}",
        "DJANGO_BEHIND_PROXY": "true",
        "CLERK_PUBLISHABLE_KEY": instance.publishable_key,
        "CLERK_FRONTEND_API_URL": instance.frontend_api_url,
        "CLERK_API_URL": f"{instance.frontend_api_url}/v1",
        "CLERK_SECRET_KEY": instance.secret_key,
        "CLERK_WEBHOOK_SIGNING_SECRET_FILE": str(webhook_secret),
        "CLERK_AUTHORIZED_PARTIES": f"https://{HOST}",
        "METRICS_TOKEN": "the-scraper-knows-this",
    }


def run(command: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """What the Dockerfile puts into the image, prepared as it prepares it."""
    folder = tmp_path_factory.mktemp("image")
    for copied in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        for name in copied.split():
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder)
    collectstatic = re.findall(r"^RUN (.* collectstatic .*)$", DOCKERFILE, re.MULTILINE)[0]
    run(collectstatic, {"PATH": environment["PATH"]}, folder)
    return folder


@pytest.fixture(scope="module")
def migrated(environment: dict[str, str], image: Path) -> dict[str, str]:
    run(PROCFILE["release"], environment, image)
    return environment


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


@contextmanager
def started(command: str, environment: dict[str, str], folder: Path) -> Iterator[Process]:
    process = Process(command, environment, folder)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            os.killpg(process.popen.pid, signal.SIGKILL)
            process.popen.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answer(url: str, **headers: str) -> requests.Response | None:
    try:
        return requests.get(url, headers=headers, timeout=10, allow_redirects=False)
    except requests.ConnectionError:
        return None


def test_compose_and_dockerfile_run_the_commands_of_the_procfile() -> None:
    commands = {
        name: service["command"] for name, service in COMPOSE.items() if "build" in service and "command" in service
    }
    image = json.loads(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])

    assert shlex.join(image) == PROCFILE["web"]
    assert commands["migrate"] == PROCFILE["release"]
    assert commands["worker"] == PROCFILE["worker"]
    assert PROCFILE["cron"] in commands["cron"]
    assert PROCFILE["daily"] in commands["daily"]
    assert commands.keys() == {"migrate", "worker", "cron", "daily"}


def test_the_guide_names_them_too() -> None:
    for name in ("release", "web", "worker", "cron"):
        assert f"`{PROCFILE[name]}`" in GUIDE


def asgi_command() -> str:
    found = re.search(r"`(uvicorn [^`]*)`", GUIDE)
    assert found
    return found[1]


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_the_site_serves(server: str, migrated: dict[str, str], image: Path) -> None:
    port = free_port()
    command = PROCFILE["web"] if server == "gunicorn" else asgi_command().replace("--port 8000", f"--port {port}")
    site = f"http://127.0.0.1:{port}"
    with started(command, migrated | {"PORT": str(port)}, image) as process:
        process.wait_until(lambda: answer(f"{site}/healthz"))
        ready = requests.get(f"{site}/readyz", timeout=10)
        redirect = requests.get(f"{site}/", headers={"Host": HOST}, timeout=10, allow_redirects=False)
        page = requests.get(f"{site}/", headers={"Host": HOST, "X-Forwarded-Proto": "https"}, timeout=10)
        scrape = requests.get(f"{site}/metrics", headers={"Authorization": "Bearer the-scraper-knows-this"}, timeout=10)
        code = process.end()
        lines = process.output.read_text()

    assert (ready.status_code, ready.json()["status"], ready.json()["problems"]) == (200, "ready", [])
    assert (redirect.status_code, redirect.headers["Location"]) == (301, f"https://{HOST}/")
    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000; includeSubDomains")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "manageros_database_up 1.0" in scrape.text
    # uvicorn ends in order and then hands the signal on.
    assert code in {0, -signal.SIGTERM}, lines
    assert "Traceback" not in lines


def test_workers_of_gunicorn_count_together(migrated: dict[str, str], image: Path) -> None:
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    headers = {"Authorization": "Bearer the-scraper-knows-this"}
    with started(PROCFILE["web"], migrated | {"PORT": str(port), "WEB_CONCURRENCY": "2"}, image) as process:
        process.wait_until(lambda: answer(f"{site}/healthz"))
        for _ in range(20):
            requests.post(
                f"{site}/webhooks/clerk/", json={}, headers={"Host": HOST, "X-Forwarded-Proto": "https"}, timeout=10
            )

        def counted() -> bool:
            text = requests.get(f"{site}/metrics", headers=headers, timeout=10).text
            found = re.search(r'manageros_webhooks_total{outcome="bad_signature",type=""} (\S+)', text)
            return found is not None and float(found[1]) == 20

        process.wait_until(counted)


def test_static_files_are_collected_and_served_compressed_and_for_ever(migrated: dict[str, str], image: Path) -> None:
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    headers = {"Host": HOST, "X-Forwarded-Proto": "https"}
    with started(PROCFILE["web"], migrated | {"PORT": str(port)}, image) as process:
        process.wait_until(lambda: answer(f"{site}/healthz"))
        page = requests.get(f"{site}/", headers=headers, timeout=10).text
        path = re.findall(r'href="(/static/[^"]+\.css)"', page)[0]
        style = requests.get(site + path, headers=headers, timeout=10)

    assert re.search(r"\.[0-9a-f]{12}\.css$", path)
    assert "immutable" in style.headers["Cache-Control"]
    assert style.headers["Content-Encoding"] == "gzip"


def someone_new(clerk: LocalClerk, environment: dict[str, str], image: Path) -> str:
    """A user of Clerk whom the site learns of, so that their metadata has to be delivered."""
    user = clerk.store.create_user(emails=[(f"{secrets.token_hex(4)}@example.com", True)])
    run("python manage.py pull_clerk_users", environment, image)
    return user.id


def is_delivered(clerk: LocalClerk, user_id: str) -> bool:
    return "managerOSUserId" in clerk.store.user(user_id).public_metadata


def test_worker_delivers_and_ends_when_told(clerk: LocalClerk, migrated: dict[str, str], image: Path) -> None:
    with started(PROCFILE["worker"], migrated, image) as process:
        user_id = someone_new(clerk, migrated, image)
        process.wait_until(lambda: is_delivered(clerk, user_id))
        code = process.end()

    assert code == 0


def test_cron_line_delivers_what_no_worker_was_woken_for(
    clerk: LocalClerk, migrated: dict[str, str], image: Path
) -> None:
    user_id = someone_new(clerk, migrated, image)
    assert not is_delivered(clerk, user_id)

    run(PROCFILE["cron"], migrated, image)

    assert is_delivered(clerk, user_id)


def test_loop_of_the_cron_container_delivers(clerk: LocalClerk, migrated: dict[str, str], image: Path) -> None:
    user_id = someone_new(clerk, migrated, image)

    with started(COMPOSE["cron"]["command"], migrated, image) as process:
        process.wait_until(lambda: is_delivered(clerk, user_id))


def test_daily_line_prunes(migrated: dict[str, str], image: Path) -> None:
    assert "Deleted 0 webhook events" in run(PROCFILE["daily"], migrated, image)


def test_checks_of_a_deployment_find_nothing_but_the_local_clerk(migrated: dict[str, str], image: Path) -> None:
    output = run("python manage.py check --deploy", migrated, image)

    assert re.findall(r"\((\w+\.[EW]\d+)\)", output) == ["clerk_sync.W003"]


def test_health_check_of_the_container_asks_readiness(migrated: dict[str, str], image: Path) -> None:
    port = free_port()
    check = [part.replace(":8000/", f":{port}/") for part in COMPOSE["web"]["healthcheck"]["test"][1:]]
    with started(PROCFILE["web"], migrated | {"PORT": str(port)}, image) as process:
        process.wait_until(lambda: answer(f"http://127.0.0.1:{port}/healthz"))
        run(shlex.join(check), migrated, image)
