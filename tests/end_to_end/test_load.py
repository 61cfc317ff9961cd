"""The site at full speed, while Clerk goes away twice and Redis once: nobody is taken for another, nothing is lost.

As docs/deploy.md has it, with CLERK_JWT_KEY; and gunicorn replaces its workers all the while, also while Clerk is away.
"""

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import requests

from clerk_sync.emulator import shapes
from clerk_sync.emulator.state import Session, User
from tests.end_to_end.production import HOST, PROCFILE, THROUGH_PROXY, Process, Production
from tests.instance import signed_webhook
from tests.length import at_length
from tests.redis import RedisServer

pytestmark = pytest.mark.postgresql

STAGE = at_length(2, 67)  # seconds of each of nine stages: ten minutes at full length
REQUESTS_PER_WORKER = at_length(200, 3000)
USERS = 20
READERS = 3
TOKEN_LIFE = 2.0  # seconds until a reader asks for a new one: sixty at Clerk, for fewer tokens than here
CATCH_UP = 90.0  # seconds in which what waited is delivered once Clerk is back
ORGANIZATION = """
from accounts.models import Membership, Organization, Role, User
owner, *members = User.objects.order_by("clerk_user_id")
organization = Organization.objects.create_with_owner(name="Acme 0", owner=owner)
for user in members:
    Membership.objects.create(user=user, organization=organization, role=Role.MEMBER).activate()
"""


@dataclass
class Load:
    """Requests, webhooks and changes until `stop` is set, and what came of them."""

    production: Production
    url: str
    sessions: list[tuple[User, Session]]
    identities: dict[str, tuple[str, str]]  # Clerk id -> user's and organization's
    stop: threading.Event = field(default_factory=threading.Event)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)
    renamed: int = 0

    def bearer(self, session: Session) -> dict[str, str]:
        token = self.production.clerk.session_token(session, origin=f"https://{HOST}")
        return THROUGH_PROXY | {"Authorization": f"Bearer {token}"}

    def read(self) -> None:
        headers: dict[str, tuple[float, dict[str, str]]] = {}
        with requests.Session() as http:
            while not self.stop.is_set():
                user, session = random.choice(self.sessions)
                minted, sent = headers.get(user.id, (0.0, {}))
                if time.monotonic() - minted > TOKEN_LIFE:
                    sent = self.bearer(session)
                    headers[user.id] = time.monotonic(), sent
                renamed = self.renamed
                answer = http.get(f"{self.url}/api/v1/me/", headers=sent, timeout=30)
                self.statuses["GET", answer.status_code] += 1
                if answer.ok:
                    self.judge(user, answer.json(), renamed)

    def judge(self, user: User, who: dict[str, Any], renamed: int) -> None:
        """The right person, and an organization's name no older than when the question was asked."""
        if (who["id"], who["organization_id"]) != self.identities[user.id]:
            self.wrong.append(f"{user.id} was taken for {who}")
        if int(who["organization_name"].split()[1]) < renamed:
            self.wrong.append(f"{who['organization_name']} after Acme {renamed}, from {who['source']}")

    def rename(self) -> None:
        owner, session = self.sessions[0]
        organization_id = self.identities[owner.id][1]
        with requests.Session() as http:
            while not self.stop.wait(0.3):
                answer = http.patch(
                    f"{self.url}/api/v1/organizations/{organization_id}/",
                    json={"name": f"Acme {self.renamed + 1}"},
                    headers=self.bearer(session),
                    timeout=30,
                )
                self.statuses["PATCH", answer.status_code] += 1
                self.renamed += answer.ok

    def post_webhooks(self) -> None:
        clerk = self.production.clerk
        with requests.Session() as http:
            while not self.stop.wait(0.1):
                user, _ = random.choice(self.sessions)
                event = {"type": "user.updated", "object": "event", "data": shapes.user(clerk.store.user(user.id))}
                body, headers = signed_webhook(
                    event, svix_id=f"msg_{secrets.token_hex(8)}", secret=clerk.instance.webhook_secret
                )
                answer = http.post(
                    f"{self.url}/webhooks/clerk/", data=body, headers=THROUGH_PROXY | headers, timeout=30
                )
                self.statuses["POST", answer.status_code] += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  a thread's failure must fail the test
                self.broken.append(error)
                self.stop.set()

        works = [self.read] * READERS + [self.rename, self.post_webhooks]
        self.stop.clear()
        threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def is_delivered(self) -> bool:
        name = f"Acme {self.renamed}"
        return all(user.public_metadata.get("organizationName") == name for user, _ in self.sessions)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """One that outlives its stop, as the guide asks for."""
    server = RedisServer("--appendonly", "yes", "--maxmemory-policy", "noeviction")
    yield server
    server.close()


def signed_in(production: Production) -> list[tuple[User, Session]]:
    store = production.clerk.store
    users = [store.create_user(emails=[(f"user{number}@example.com", True)]) for number in range(USERS)]
    production.run("python manage.py pull_clerk_users")
    production.run(f"python manage.py shell -c '{ORGANIZATION}'")
    users.sort(key=lambda user: user.id)
    return [(user, store.sign_in(store.create_client(), user)) for user in users]


def identities(production: Production) -> dict[str, tuple[str, str]]:
    query = """
        SELECT u.clerk_user_id, u.id::text, m.organization_id::text
        FROM accounts_user u JOIN accounts_membership m ON m.user_id = u.id AND m.is_active
    """
    with psycopg.connect(production.environment["DATABASE_URL"]) as connection:
        return {
            clerk_id: (user_id, organization_id) for clerk_id, user_id, organization_id in connection.execute(query)
        }


@pytest.mark.prove
def test_nobody_is_taken_for_another_whatever_goes_away(production: Production, redis: RedisServer) -> None:
    production.environment.update(
        CACHE_URL=redis.url,
        API_REQUESTS_PER_MINUTE="1000000",
        LOG_LEVEL="ERROR",
        GUNICORN_CMD_ARGS=f"--max-requests {REQUESTS_PER_WORKER} --max-requests-jitter 0",
    )
    sessions = signed_in(production)
    with production.site(WEB_CONCURRENCY="2") as (site, url), production.started(PROCFILE["worker"]) as worker:
        load = Load(production, url, sessions, identities(production))
        lags = []
        for server in (production.running, redis, production.running):
            with load.running():
                time.sleep(STAGE)
                server.stop()
                time.sleep(STAGE)
                server.start()
                time.sleep(STAGE)
            assert load.broken == []
            began = time.monotonic()
            worker.wait_until(load.is_delivered, CATCH_UP)
            wait_until_ready(site, url)
            lags.append(time.monotonic() - began)

    asked = sum(count for (method, _), count in load.statuses.items() if method == "GET")
    seconds = 9 * STAGE
    print(f"{asked / seconds:.0f} identities a second for {seconds} s, {load.renamed} renames, {dict(load.statuses)}")
    print(f"after each outage's load nothing waited any more in {', '.join(f'{lag:.0f} s' for lag in lags)}")
    assert load.wrong == []
    assert {status for _, status in load.statuses} == {200}


def wait_until_ready(site: Process, url: str) -> None:
    def ready() -> bool:
        report = requests.get(f"{url}/readyz", timeout=30).json()
        return bool(report["status"] == "ready" and report["sync"]["pending"] == 0)

    site.wait_until(ready)
