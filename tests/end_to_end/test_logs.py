"""No token, secret or email address reaches a log line, whatever happens; and every line of the site is JSON."""

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from clerk_sync.emulator.faults import Fault
from clerk_sync.emulator.state import Session, User
from tests.clerk_sync.payloads import clerk_user, event
from tests.end_to_end.production import HOST, METRICS_TOKEN, PROCFILE, THROUGH_PROXY, Production
from tests.instance import signed_webhook

pytestmark = pytest.mark.postgresql

ORIGIN = f"https://{HOST}"


@dataclass
class Day:
    """What a site sees in a day, good and bad, and everything in it that no log may hold."""

    production: Production
    url: str
    secrets: set[str] = field(default_factory=set)

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=THROUGH_PROXY | headers, timeout=20, allow_redirects=False)

    def webhook(self, email: str, *, secret: str | None = None, **fields: Any) -> requests.Response:
        secret = secret or self.production.clerk.instance.webhook_secret
        body, headers = signed_webhook(
            event("user.created", clerk_user(email=email, **fields)),
            svix_id=f"msg_{secrets.token_hex(8)}",
            secret=secret,
        )
        self.secrets |= {email, secret, headers["svix-signature"].removeprefix("v1,")}
        return requests.post(f"{self.url}/webhooks/clerk/", data=body, headers=THROUGH_PROXY | headers, timeout=20)

    def token(self, session: Session, **options: Any) -> str:
        token = self.production.clerk.session_token(session, origin=ORIGIN, **options)
        self.secrets.add(token)
        return token

    def live(self) -> None:
        clerk, email = self.production.clerk, f"{secrets.token_hex(4)}@example.com"
        client = clerk.store.create_client()
        user = clerk.store.create_user(emails=[(email, True)])
        session = clerk.store.sign_in(client, user)
        self.secrets |= {email, client.token}
        token, old = self.token(session), self.token(session, lifetime=-300)
        forged = token[:-8] + "AAAAAAAA"
        handshake = clerk.signer.handshake_token([f"__session={token}; Path=/"], now=time.time())
        self.secrets |= {forged, handshake}

        clerk.faults.add(Fault(kind="status", match="PATCH", status=500, times=1))
        assert self.get("/api/v1/me/", Authorization=f"Bearer {token}").status_code == 200
        for bearer in (token, old, forged, "sk_test_sent_by_mistake", f"{token} {token}"):
            self.get("/api/v1/me/", Authorization=f"Bearer {bearer}")
        self.secrets.add("sk_test_sent_by_mistake")
        for cookie in (token, old, forged):
            self.get("/dashboard/", Cookie=f"__session={cookie}; __client_uat=1; __clerk_db_jwt={client.token}")
        self.get(f"/dashboard/?__clerk_handshake={handshake}&__clerk_db_jwt={client.token}", Accept="text/html")
        self.get(f"/people/{email}/?email={email}&token={token}")
        self.get(f"/metrics?token={METRICS_TOKEN}")
        self.get("/", Host=f"{email}.example.org")
        assert self.webhook(f"{secrets.token_hex(4)}@example.com").status_code == 200
        assert self.webhook(f"{secrets.token_hex(4)}@example.com", secret=f"whsec_{'YWJj' * 8}").status_code == 400
        assert self.webhook(f"{secrets.token_hex(4)}@example.com", id=5).status_code == 400
        self.sign_in_to_the_admin(email)

    def sign_in_to_the_admin(self, email: str) -> None:
        with requests.Session() as browser:
            page = browser.get(f"{self.url}/admin/login/", headers=THROUGH_PROXY, timeout=20, allow_redirects=False)
            guess = {"username": email, "password": "a-guess-that-fails"}
            self.secrets.add(guess["password"])
            browser.post(f"{self.url}/admin/login/", data=guess, headers=THROUGH_PROXY, timeout=20)
        assert page.status_code < 500


def test_no_secret_reaches_a_log_line(production: Production) -> None:
    site = production.site(LOG_LEVEL="DEBUG", WEB_CONCURRENCY="1")
    with site as (server, url), production.started(PROCFILE["worker"], LOG_LEVEL="DEBUG") as worker:
        day = Day(production, url)
        day.live()
        worker.wait_until(lambda: all("managerOSUserId" in user.public_metadata for user in users(production)))
        refused = production.run(f"{PROCFILE['cron']} --all || true", CLERK_SECRET_KEY="sk_test_of_yesterday")
        server.end()
        worker.end()
    lines = server.output.read_text() + worker.output.read_text() + refused

    day.secrets |= {production.environment[name] for name in ("DJANGO_SECRET_KEY", "CLERK_SECRET_KEY", "METRICS_TOKEN")}
    day.secrets |= {"sk_test_of_yesterday", production.clerk.instance.webhook_secret}
    assert [secret for secret in day.secrets if secret in lines] == []
    assert re.findall(r"[\w.+-]+@example\.com", lines) == []
    assert "[redacted]" in lines
    logged = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    assert {"clerk_sync.webhooks", "django.request"} <= {line["logger"] for line in logged}
    assert any(line["request_id"] for line in logged)


def users(production: Production) -> list[User]:
    with production.clerk.store.lock:
        return list(production.clerk.store.users.values())
