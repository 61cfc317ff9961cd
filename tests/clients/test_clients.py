"""The local Clerk against clients that nobody here wrote: Clerk's own SDKs for Python and JavaScript.

`make clients` installs them apart, in `.clients/`: what they depend on is no business of ours.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clerk_sync.emulator.clerk import LocalClerk
from clerk_sync.emulator.instance import Instance
from clerk_sync.emulator.server import RunningClerk
from tests.clients.conftest import CLIENTS
from tests.instance import signed_webhook

HERE = Path(__file__).resolve().parent


@pytest.fixture
def running() -> Iterator[RunningClerk]:
    with RunningClerk(LocalClerk(Instance())) as running:
        yield running


def run(running: RunningClerk, *command: str) -> dict[str, Any]:
    instance = running.clerk.instance
    body, headers = signed_webhook({"type": "user.created", "data": {}}, secret=instance.webhook_secret)
    told = {
        "url": running.url,
        "secret_key": instance.secret_key,
        "publishable_key": instance.publishable_key,
        "jwt_key": running.clerk.signer.public_pem,
        "webhook_secret": instance.webhook_secret,
        "webhook": {"body": body.decode(), "headers": headers},
    }
    done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_python_sdk_reads_and_writes_users_and_verifies_tokens(running: RunningClerk) -> None:
    result = run(running, str(CLIENTS / "python/bin/python"), str(HERE / "python_client.py"))
    assert result == {
        "listed": True,
        "count": 1,
        "merged": {"theirs": 1, "role": "admin"},
        "name": "Arden",
        "state": "signed-in",
        "forged": "signed-out",
        "claims": "admin",
        "revoked": "revoked",
        "banned": True,
        "invitation": "pending",
        "actor": "pending",
        "refusal": "resource_not_found",
        "deleted": True,
    }


def test_javascript_sdk_reads_and_writes_users_and_shakes_hands(running: RunningClerk) -> None:
    result = run(running, "node", str(HERE / "node_client.mjs"), str(CLIENTS / "node"))
    assert result == {
        "listed": True,
        "merged": {"theirs": 1, "role": "admin"},
        "name": "Arden",
        "refusal": "resource_not_found",
        "first": ["handshake", "dev-browser-sync"],
        "resolved": "signed-in",
        "signed_in": ["signed-in", True, "admin"],
        "forged": "signed-out",
        "revoked": "revoked",
        "ended": True,
        "event": "user.created",
        "deleted": True,
    }
