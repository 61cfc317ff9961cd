from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.limits import Limits
from clerk_sync.emulator.server import RunningClerk
from clerk_sync.emulator.tokens import Signer
from tests.emulator.specification import assert_published

SITE = "http://localhost:8000"


@dataclass
class BackendClient:
    """Calls the Backend API over a real socket, and checks each answer against Clerk's published schema."""

    url: str
    secret_key: str
    http: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, *, checked: bool = True, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.secret_key}", "Clerk-API-Version": "2026-05-12"}
        headers |= options.pop("headers", {})
        answer = self.http.request(method, f"{self.url}/v1{path}", headers=headers, timeout=10, **options)
        if checked:
            assert_published("bapi", method, f"/v1{path}".partition("?")[0].removeprefix("/v1"), answer)
        return answer

    def create_user(self, email: str = "ada@example.com", **fields: Any) -> dict[str, Any]:
        answer = self.call("POST", "/users", json={"email_address": [email], **fields})
        assert answer.status_code == 200, answer.text
        user: dict[str, Any] = answer.json()
        return user


@pytest.fixture
def instance() -> Instance:
    return Instance()


@pytest.fixture
def limits() -> Limits:
    return Limits.off()


@pytest.fixture(scope="session")
def signing_key() -> str:
    return Signer(instance=Instance()).private_pem


@pytest.fixture
def running(instance: Instance, limits: Limits, signing_key: str) -> Iterator[RunningClerk]:
    with RunningClerk(LocalClerk(instance, limits=limits, signing_key=signing_key)) as running:
        yield running


@pytest.fixture
def clerk(running: RunningClerk) -> LocalClerk:
    return running.clerk


@pytest.fixture
def backend(running: RunningClerk) -> Iterator[BackendClient]:
    client = BackendClient(running.url, running.clerk.instance.secret_key)
    with client.http:
        yield client
