import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from svix.webhooks import Webhook

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from tests.emulator.conftest import BackendClient


class Endpoint(ThreadingHTTPServer):
    """Receives webhooks; answers each with the next of `statuses`, and with 200 when they are used up."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        super().__init__(("127.0.0.1", 0), Receiver)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhooks/clerk/"


class Receiver(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def running(endpoint: Endpoint, instance: Instance, signing_key: str) -> Iterator[RunningClerk]:
    clerk = LocalClerk(instance, webhook_url=endpoint.url, retries_after=(0.05, 0.05), signing_key=signing_key)
    with RunningClerk(clerk) as running:
        yield running


def types(endpoint: Endpoint) -> list[str]:
    return [json.loads(body)["type"] for _headers, body in endpoint.received]


def test_events_arrive_signed_in_clerks_envelope(backend: BackendClient, clerk: LocalClerk, endpoint: Endpoint) -> None:
    user = backend.create_user("mira@example.com")
    assert clerk.webhooks.wait_until_idle(5)
    [(headers, body)] = endpoint.received
    Webhook(clerk.instance.webhook_secret).verify(body, headers)
    event = json.loads(body)
    assert event["data"] == user
    assert (event["object"], event["type"], event["instance_id"]) == ("event", "user.created", clerk.instance.id)
    assert event["timestamp"] > 10**12
    published = json.loads((Path(__file__).parent.parent / "data/clerk-webhook-examples.json").read_text())
    assert set(event) == set(published["events"]["user.created"][0])


def test_every_change_tells(backend: BackendClient, clerk: LocalClerk, endpoint: Endpoint) -> None:
    user = backend.create_user()
    session = backend.call("POST", "/sessions", json={"user_id": user["id"]}).json()
    backend.call("PATCH", f"/users/{user['id']}/metadata", json={"public_metadata": {"role": "admin"}})
    backend.call("POST", f"/sessions/{session['id']}/revoke")
    backend.call("DELETE", f"/users/{user['id']}")
    assert clerk.webhooks.wait_until_idle(5)
    assert sorted(types(endpoint)) == [
        "session.created",
        "session.revoked",
        "user.created",
        "user.deleted",
        "user.updated",
    ]


def test_failed_delivery_is_repeated_under_the_same_id(
    backend: BackendClient, clerk: LocalClerk, endpoint: Endpoint
) -> None:
    endpoint.statuses = [500, 302]
    backend.create_user()
    assert clerk.webhooks.wait_until_idle(5)
    ids = [headers["svix-id"] for headers, _body in endpoint.received]
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert clerk.webhooks.log[0].delivered


def test_delivery_is_given_up_and_can_be_replayed(
    backend: BackendClient, clerk: LocalClerk, endpoint: Endpoint
) -> None:
    endpoint.statuses = [500, 500, 500]
    backend.create_user()
    assert clerk.webhooks.wait_until_idle(5)
    [delivery] = clerk.webhooks.log
    assert (delivery.attempts, delivery.answer) == (3, 500)
    answer = backend.http.post(f"{backend.url}/control/webhooks/{delivery.id}/replay", timeout=5)
    assert answer.status_code == 202
    assert clerk.webhooks.wait_until_idle(5)
    assert delivery.delivered
    assert len({headers["svix-id"] for headers, _body in endpoint.received}) == 1
