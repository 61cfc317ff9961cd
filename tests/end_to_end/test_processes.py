"""Each process of Procfile, compose.yaml and docs/deploy.md, started by its command line on settings of production."""

import json
import re
import secrets
import shlex
import signal
from collections.abc import Iterator

import psycopg
import pytest
import requests
import yaml

from tests.end_to_end.production import (
    DOCKERFILE,
    HOST,
    METRICS_TOKEN,
    PROCFILE,
    ROOT,
    THROUGH_PROXY,
    Process,
    Production,
)

pytestmark = pytest.mark.postgresql

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
GUIDE = (ROOT / "docs" / "deploy.md").read_text()
SCRAPER = {"Authorization": f"Bearer {METRICS_TOKEN}"}


def test_compose_and_dockerfile_run_the_commands_of_the_procfile() -> None:
    ours = {name: service for name, service in COMPOSE.items() if "build" in service}
    commands = {name: service["command"] for name, service in ours.items() if "command" in service}
    image = json.loads(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])

    assert shlex.join(image) == PROCFILE["web"]
    assert commands["migrate"] == PROCFILE["release"]
    assert commands["worker"] == PROCFILE["worker"]
    assert PROCFILE["cron"] in commands["cron"]
    assert PROCFILE["daily"] in commands["daily"]
    assert ours.keys() == {"web", *commands} == {"web", "migrate", "worker", "cron", "daily"}


def test_the_guide_names_them_too() -> None:
    assert [name for name in ("release", "web", "worker", "cron") if f"`{PROCFILE[name]}`" not in GUIDE] == []


def asgi_command() -> str:
    found = re.search(r"`(uvicorn [^`]*)`", GUIDE)
    assert found
    return found[1].replace("--port 8000", "--port {port}")


@pytest.mark.parametrize("command", [PROCFILE["web"], asgi_command()], ids=["gunicorn", "uvicorn"])
def test_the_site_serves(command: str, production: Production) -> None:
    with production.site(command) as (process, url):
        ready = requests.get(f"{url}/readyz", timeout=10).json()
        in_clear = requests.get(f"{url}/", headers={"Host": HOST}, timeout=10, allow_redirects=False)
        page = requests.get(f"{url}/", headers=THROUGH_PROXY, timeout=10)
        figures = requests.get(f"{url}/metrics", headers=SCRAPER, timeout=10)
        code = process.end()
    said = process.output.read_text()

    assert (ready["status"], ready["problems"]) == ("ready", [])
    assert (in_clear.status_code, in_clear.headers["Location"]) == (301, f"https://{HOST}/")
    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000; includeSubDomains")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "manageros_database_up 1.0" in figures.text
    # uvicorn ends in order and then hands the signal on.
    assert code in {0, -signal.SIGTERM}, said
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def site(production: Production) -> Iterator[tuple[Process, str]]:
    with production.site(WEB_CONCURRENCY="2") as site:
        yield site


def test_workers_of_gunicorn_count_together(site: tuple[Process, str]) -> None:
    process, url = site
    for _ in range(20):
        requests.post(f"{url}/webhooks/clerk/", json={}, headers=THROUGH_PROXY, timeout=10)

    def all_are_counted() -> bool:
        figures = requests.get(f"{url}/metrics", headers=SCRAPER, timeout=10).text
        found = re.search(r'manageros_webhooks_total{outcome="bad_signature",type=""} (\S+)', figures)
        return found is not None and float(found[1]) == 20

    process.wait_until(all_are_counted)


def test_static_files_are_served_compressed_and_for_ever(site: tuple[Process, str]) -> None:
    url = site[1]
    page = requests.get(f"{url}/", headers=THROUGH_PROXY, timeout=10).text
    path = re.findall(r'href="(/static/[^"]+\.css)"', page)[0]
    style = requests.get(url + path, headers=THROUGH_PROXY, timeout=10)

    assert re.search(r"\.[0-9a-f]{12}\.css$", path)
    assert "immutable" in style.headers["Cache-Control"]
    assert style.headers["Content-Encoding"] == "gzip"


def test_what_the_site_counted_last_is_kept_when_it_ends(production: Production) -> None:
    user_id = someone_new(production)
    clerk = production.clerk
    user = clerk.store.user(user_id)
    session = clerk.store.sign_in(clerk.store.create_client(), user)
    token = clerk.session_token(session, origin=f"https://{HOST}")
    with production.site() as (process, url):
        me = requests.get(f"{url}/api/v1/me/", headers=THROUGH_PROXY | {"Authorization": f"Bearer {token}"}, timeout=20)
        assert (me.status_code, process.end()) == (200, 0)

    with psycopg.connect(production.environment["DATABASE_URL"]) as connection:
        query = "SELECT label, value FROM clerk_sync_activity WHERE figure = 'fallback' AND at > '1970-01-02'"
        assert connection.execute(query).fetchall() == [("metadata_not_synced", 1)]


def someone_new(production: Production) -> str:
    """A user of Clerk whom the site learns of, so that their metadata has to be delivered."""
    user = production.clerk.store.create_user(emails=[(f"{secrets.token_hex(4)}@example.com", True)])
    production.run("python manage.py pull_clerk_users")
    return user.id


def is_delivered(production: Production, user_id: str) -> bool:
    return "managerOSUserId" in production.clerk.store.user(user_id).public_metadata


def is_recorded(production: Production, user_id: str) -> bool:
    """Whether the delivery is settled here too, so that the process may be killed and leaves nothing behind."""
    with psycopg.connect(production.environment["DATABASE_URL"]) as connection:
        query = "SELECT 1 FROM clerk_sync_metadatasync WHERE clerk_user_id = %s AND state = 'synced'"
        return connection.execute(query, [user_id]).fetchone() is not None


def test_worker_delivers_and_ends_when_told(production: Production) -> None:
    with production.started(PROCFILE["worker"]) as process:
        user_id = someone_new(production)
        process.wait_until(lambda: is_delivered(production, user_id))

        assert process.end() == 0


def test_cron_line_delivers_what_no_worker_was_woken_for(production: Production) -> None:
    user_id = someone_new(production)
    assert not is_delivered(production, user_id)

    production.run(PROCFILE["cron"])

    assert is_delivered(production, user_id)


def test_loop_of_the_cron_container_delivers(production: Production) -> None:
    user_id = someone_new(production)

    with production.started(COMPOSE["cron"]["command"]) as process:
        process.wait_until(lambda: is_recorded(production, user_id))

    assert is_delivered(production, user_id)


def test_daily_line_prunes(production: Production) -> None:
    assert "Deleted 0 webhook events" in production.run(PROCFILE["daily"])


def test_checks_of_a_deployment_find_nothing_but_the_local_clerk(production: Production) -> None:
    output = production.run("python manage.py check --deploy")

    assert re.findall(r"\((\w+\.[EW]\d+)\)", output) == ["clerk_sync.W003"]


def test_health_check_of_the_container_asks_readiness(production: Production, site: tuple[Process, str]) -> None:
    check = shlex.join(COMPOSE["web"]["healthcheck"]["test"][1:])

    production.run(check.replace("http://127.0.0.1:8000", site[1]))
