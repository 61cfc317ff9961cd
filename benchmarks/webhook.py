"""Events per second of the webhook view, beside django-clerk-users' on the same signed events and PostgreSQL.

    python tests/with_postgres.py python -m benchmarks.webhook

The two take turns at short batches, so that whatever else the machine does slows both; the median batch of each counts.
The peer is measured as it ships, asking a Clerk on this machine for each user, and once more spared that call.
"""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from statistics import median
from threading import Thread
from typing import Any

from svix.webhooks import Webhook

from benchmarks.environment import peer_python
from benchmarks.figures import Figure, report
from benchmarks.serving import Message
from benchmarks.site import ROOT, Site

SECRET = "whsec_YmVuY2htYXJrcy1vbmx5LXNpZ25pbmctc2VjcmV0LTE="
PEER = "django-clerk-users"
USERS = 100
BATCHES = 15
BATCH = 30
TRANSACTION_CONTROL = 2  # BEGIN and COMMIT
NOT_COUNTED = "besides BEGIN and COMMIT"


class WebhookSite(Site):
    """Keeps the seconds of each batch."""

    def __init__(self, command: list[str], database: str, **environment: str) -> None:
        super().__init__(command, database, BENCHMARK_WEBHOOK_SECRET=SECRET, **environment)
        self.applied: list[float] = []
        self.duplicates: list[float] = []


class Clerk(ThreadingHTTPServer):
    """The one call of the Backend API that the peer makes, on a loopback address."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ClerkHandler)
        self.users: dict[str, Any] = {}
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        Thread(target=self.serve_forever, daemon=True).start()


class ClerkHandler(BaseHTTPRequestHandler):
    server: Clerk

    def do_GET(self) -> None:
        body = json.dumps(self.server.users[self.path.rpartition("/")[2]]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def main() -> int:
    if "TEST_DATABASE_URL" not in os.environ:
        sys.exit("Run it with a PostgreSQL: python tests/with_postgres.py python -m benchmarks.webhook")
    peer = [str(peer_python(PEER, minimum=(3, 12))), str(ROOT / "benchmarks" / "peers" / "django_clerk_users_site.py")]
    clerk = Clerk()
    command = [sys.executable, "-m", "benchmarks.webhook_site"]
    ours = WebhookSite(command, "bench_ours", DJANGO_SETTINGS_MODULE="benchmarks.settings")
    theirs = WebhookSite(peer, "bench_theirs", BENCHMARK_CLERK_API=clerk.url)
    spared = WebhookSite(peer, "bench_spared")
    sites = {"ManagerOS": ours, PEER: theirs, f"{PEER}, spared its network": spared}
    try:
        queries = compare(list(sites.values()), clerk)
    finally:
        for site in sites.values():
            site.close()
        clerk.shutdown()
    applied, duplicate = queries[ours]
    for name, site in sites.items():
        events, duplicates = (BATCH / median(seconds) for seconds in (site.applied, site.duplicates))
        print(f"{name:<36}{events:>6.0f} applied and {duplicates:>6.0f} duplicates per second, {queries[site]} queries")
    speed = median(theirs.applied) / median(ours.applied)
    return report(
        [
            Figure("applied user.updated, times as many per second", speed, at_least=2, note=f"as {PEER} as it ships"),
            Figure("queries of an applied user.updated", applied - TRANSACTION_CONTROL, at_most=4, note=NOT_COUNTED),
            Figure("queries of a duplicate", duplicate, at_most=2),
        ]
    )


def compare(sites: list[WebhookSite], clerk: Clerk) -> dict[WebhookSite, tuple[int, int]]:
    """Feed all sites the same, in turns; returns how many queries an applied event takes, and a duplicate."""
    messages = the_messages(clerk)
    created = [next(messages) for _ in range(USERS)]
    for site in sites:
        site.feed(created)
    for _ in range(BATCHES):
        batch = [next(messages) for _ in range(BATCH)]
        for site in sites:
            site.applied.append(site.feed(batch)["seconds"])
        for site in sites:
            site.duplicates.append(site.feed(batch)["seconds"])
    last = [next(messages)]
    return {site: (site.feed(last)["queries"], site.feed(last)["queries"]) for site in sites}


def the_messages(clerk: Clerk) -> Iterator[Message]:
    """Each user's creation, and then updates of one after the other, without end; signed when they are asked for."""
    example = json.loads((ROOT / "clerk_sync" / "published_events.json").read_text(encoding="utf-8"))
    published = example["events"]["user.updated"][0]["data"]
    for number in count():
        event_type = "user.created" if number < USERS else "user.updated"
        user = a_user(published, number % USERS, number)
        clerk.users[user["id"]] = user
        yield message(event_type, user, number)


def a_user(published: dict[str, Any], number: int, change: int) -> dict[str, Any]:
    verification = {"status": "verified", "strategy": "email_code"}
    email = {"id": "idn_1", "email_address": f"user{number}@example.com", "verification": verification}
    return published | {
        "id": f"user_{number}",
        "username": f"user{number}",
        "first_name": f"Name {change}",
        "email_addresses": [email],
        "primary_email_address_id": "idn_1",
        "updated_at": published["updated_at"] + change,
    }


def message(event_type: str, data: dict[str, Any], number: int) -> Message:
    body = json.dumps({"type": event_type, "object": "event", "data": data, "timestamp": data["updated_at"]})
    now = datetime.now(UTC)
    svix_id = f"msg_{number}"
    headers = {
        "svix-id": svix_id,
        "svix-timestamp": str(int(now.timestamp())),
        "svix-signature": Webhook(SECRET).sign(svix_id, now, body),
    }
    return {"body": body, "headers": headers}


if __name__ == "__main__":
    sys.exit(main())
