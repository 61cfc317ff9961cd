import time

import pytest
import requests

from clerk_sync.emulator.faults import Fault
from clerk_sync.emulator.server import RunningClerk
from tests.emulator.conftest import BackendClient


def test_one_connection_carries_many_calls(backend: BackendClient, running: RunningClerk) -> None:
    for _ in range(5):
        backend.call("POST", "/users", json={"email_address": ["twice@example.com"]})
    assert running.server is not None
    assert len(running.server.connections) == 1


def test_ordered_status_is_answered_and_nothing_applied(backend: BackendClient) -> None:
    fault = {"kind": "status", "match": "^POST /v1/users", "status": 429, "retry_after": 7, "times": 1}
    assert requests.post(f"{backend.url}/control/faults", json=fault, timeout=5).status_code == 201
    refused = backend.call("POST", "/users", json={"email_address": ["a@example.com"]})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert backend.call("GET", "/users").json() == []
    assert backend.call("POST", "/users", json={"email_address": ["a@example.com"]}).status_code == 200


@pytest.mark.parametrize(("kind", "applied"), [("reset", False), ("lost_answer", True)])
def test_broken_connection_leaves_the_caller_in_doubt(
    backend: BackendClient, running: RunningClerk, kind: str, applied: bool
) -> None:
    running.clerk.faults.add(Fault(kind=kind, times=1))  # type: ignore[arg-type]
    with pytest.raises(requests.ConnectionError):
        backend.call("POST", "/users", json={"email_address": ["a@example.com"]})
    assert (len(backend.call("GET", "/users").json()) == 1) is applied


def test_time_out_never_answers_and_does_not_hold_up_the_end(backend: BackendClient, running: RunningClerk) -> None:
    running.clerk.faults.add(Fault(kind="timeout", seconds=60))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{backend.url}/v1/jwks", timeout=0.2)
    started = time.monotonic()
    running.stop()
    assert time.monotonic() - started < 5


def test_latency_delays_the_answer(backend: BackendClient, running: RunningClerk) -> None:
    running.clerk.faults.add(Fault(kind="latency", seconds=0.2, times=1))
    started = time.monotonic()
    assert backend.call("GET", "/users").status_code == 200
    assert time.monotonic() - started >= 0.2


def test_stopped_clerk_is_unreachable_on_kept_connections_and_returns_as_it_was(
    backend: BackendClient, running: RunningClerk
) -> None:
    user = backend.create_user()
    running.stop()
    with pytest.raises(requests.ConnectionError):
        backend.call("GET", "/users")
    running.start()
    assert backend.call("GET", "/users").json() == [user]


def test_unknown_fault_is_refused(backend: BackendClient) -> None:
    answer = requests.post(f"{backend.url}/control/faults", json={"kind": "boredom"}, timeout=5)
    assert answer.status_code == 422


def test_calls_are_counted(backend: BackendClient) -> None:
    user = backend.create_user()
    backend.call("PATCH", f"/users/{user['id']}/metadata", json={})
    counts = requests.get(f"{backend.url}/control/calls", timeout=5).json()["counts"]
    assert counts == {"POST /v1/users": 1, f"PATCH /v1/users/{user['id']}/metadata": 1}


def test_body_without_a_length_or_beyond_the_limit_is_refused(backend: BackendClient) -> None:
    chunked = requests.post(f"{backend.url}/v1/users", data=iter([b"{}"]), timeout=5)
    assert chunked.status_code == 411
    large = {"Content-Length": str(2 * 1024 * 1024)}
    with requests.Session() as http:
        request = requests.Request("POST", f"{backend.url}/v1/users", data=b"{}").prepare()
        request.headers.update(large)
        assert http.send(request, timeout=5).status_code == 413
