"""The read path: a token seen first, seen again, with Redis, and a whole page, each against its yardstick.

python -m benchmarks.read_path
"""

import gc
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django
import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.utils import base64url_decode

django.setup()

from django.conf import settings
from django.core.cache import cache
from django.test import override_settings

from benchmarks.environment import peer_python
from benchmarks.figures import Figure, report
from clerk_sync import tokens, users
from clerk_sync.claims import CLAIMS as CLAIM_NAMES
from clerk_sync.tokens import MAX_CACHED, Place
from manageros.settings import cache as cache_config
from tests.instance import ClerkInstance
from tests.redis import RedisServer

ROUNDS = 40
LAUNCHES, PAGE_TURNS, PAGES = 5, 50, 20

ORGANIZATION_ID = str(uuid4())
CLAIMS = {
    "managerOSUserId": str(uuid4()),
    "organizationId": ORGANIZATION_ID,
    "organizationName": "Acme Engineering",
    "organizationSlug": "acme-engineering",
    "personId": str(uuid4()),
    "role": "admin",
}


def main() -> int:
    clerk = ClerkInstance()
    with override_settings(CLERK_JWT_KEY=clerk.public_pem):
        return report([*token_figures(clerk), *page_figures(clerk), *memory_figures(clerk)])


# --- Tokens


def token_figures(clerk: ClerkInstance) -> Iterator[Figure]:
    token = clerk.token(exp=int(time.time()) + 3600, claims=CLAIMS)
    key = clerk.key.public_key()
    signed, _, signature_text = token.encode().rpartition(b".")
    signature = base64url_decode(signature_text)

    def bare_rsa() -> None:
        key.verify(signature, signed, PKCS1v15(), SHA256())

    def pyjwt() -> None:
        jwt.decode(token, key, algorithms=["RS256"])

    def first_sight() -> None:
        tokens.site_verifier().forget()
        users._carried.cache_clear()
        identify(token)

    def seen_before() -> None:
        identify(token)

    cache.clear()
    floor, yard, first, again = microseconds(bare_rsa, pyjwt, first_sight, seen_before, calls=100)
    note = f"the floor: {floor:.1f} µs"
    yield Figure("PyJWT's decode, of a bare RSA verification", yard / floor, note=note)
    yield Figure("first sight of a token, of a bare RSA verification", first / floor, note=note)
    yield Figure("first sight of a token, of PyJWT's decode", first / yard, at_most=1.15, note=f"{first:.1f} µs")
    sdk = clerk_backend_api_microseconds(clerk, token)
    yield Figure(
        "first sight of a token, of clerk_backend_api", first / sdk, at_most=1.0, note=f"it takes {sdk:.0f} µs"
    )
    yield Figure("the same token again, of its first sight", again / first, at_most=0.1, note=f"{again:.1f} µs")
    yield from redis_figures(seen_before)


def identify(token: str) -> None:
    """What a request does: revocation and freshness are asked for each time."""
    claims = tokens.verify(token)
    tokens.admit(claims, Place.COOKIE)
    identity = users.identified(claims)
    if identity.user.source != "session_claims":
        raise AssertionError("the claims did not hold, so that something else is measured")


def redis_figures(seen_before: Callable[[], None]) -> Iterator[Figure]:
    server = RedisServer()
    try:
        with override_settings(CACHES={"default": cache_config(server.url)}):
            seen_before()
            server.calls()
            (took,) = microseconds(seen_before, calls=50)
            calls = server.calls()
    finally:
        server.close()
    trips = sum(calls.values()) / (50 * ROUNDS)
    yield Figure("round trips to Redis for a token seen before", trips, at_most=1.0, note=f"{took:.0f} µs with it")


def clerk_backend_api_microseconds(clerk: ClerkInstance, token: str) -> float:
    """Clerk's own Python SDK, from its own environment: its dependencies are none of ours."""
    given = {"token": token, "jwt_key": clerk.public_pem, "party": "http://testserver"}
    command = [peer_python("clerk-backend-api"), Path(__file__).with_name("peer_clerk_backend_api.py")]
    answer = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
    return float(answer.stdout)


# --- A page


def page_figures(clerk: ClerkInstance) -> Iterator[Figure]:
    """Asked for over HTTP, of gunicorn."""
    token = clerk.token(exp=int(time.time()) + 3600, claims=CLAIMS)
    cookie = f"__session={token}; __client_uat=1; __clerk_db_jwt=dvb_bench"
    ratios, seconds = [], []
    for _ in range(LAUNCHES):
        with page_site(clerk, cookie) as address:
            turns = [seconds_in_turn(address, cookie) for _ in range(PAGE_TURNS)]
        ratios.append(statistics.median(without / own for without, own in turns))
        seconds += turns
    ratio = statistics.median(ratios)
    without, own = (statistics.median(times) for times in zip(*seconds, strict=True))
    note = (
        f"{1 / own:.0f} of {1 / without:.0f} requests a second and processor;"
        f" {min(ratios):.2f} to {max(ratios):.2f} in {LAUNCHES} launches"
    )
    yield Figure("requests a second of a page, of those without", ratio, at_least=0.95, note=note)


def seconds_in_turn(address: str, cookie: str) -> tuple[float, float]:
    """For the page without and with it. What else the machine does changes within seconds, and hits both alike."""
    first = seconds_for_a_page(address, "/without/", cookie)
    own = seconds_for_a_page(address, "/with/", cookie) + seconds_for_a_page(address, "/with/", cookie)
    return (first + seconds_for_a_page(address, "/without/", cookie)) / 2, own / 2


def seconds_for_a_page(address: str, path: str, cookie: str) -> float:
    """Of the server's processor, which bounds the requests of a second on a machine of its own."""
    before = get(address, path, cookie)
    *_, after = (get(address, path, cookie) for _ in range(PAGES))
    return (after - before) / PAGES


@contextmanager
def page_site(clerk: ClerkInstance, cookie: str) -> Iterator[str]:
    """The path of the socket of a gunicorn with one worker."""
    identity = {attribute: CLAIMS[name] for name, attribute in CLAIM_NAMES.items()}
    given = {"jwt_key": clerk.public_pem, "identity": identity}
    with tempfile.TemporaryDirectory(prefix="manageros-bench-") as folder:
        address = str(Path(folder, "site.sock"))
        command = [sys.executable, "-m", "gunicorn", "--config", "/dev/null", "--bind", f"unix:{address}"]
        site = subprocess.Popen(
            [*command, "--log-level", "error", "benchmarks.page_site:application"],
            env={**os.environ, "BENCHMARK": json.dumps(given)},
            cwd=settings.BASE_DIR,
        )
        try:
            wait_for(address, cookie)
            yield address
        finally:
            site.terminate()
            site.wait(10)


def wait_for(address: str, cookie: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            get(address, "/with/", cookie)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("gunicorn did not start")


def get(address: str, path: str, cookie: str) -> float:
    """Asks for the page; returns the processor's seconds that the server has used so far."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: testserver\r\nCookie: {cookie}\r\n\r\n".encode())
        answer = b""
        while received := connection.recv(65536):
            answer += received
    if not answer.startswith(b"HTTP/1.1 200") or b"Acme Engineering" not in answer:
        raise AssertionError(answer[:300])
    return float(re.search(rb"X-Processor-Seconds: (\S+)", answer)[1])  # type: ignore[index]


# --- Memory


def memory_figures(clerk: ClerkInstance) -> Iterator[Figure]:
    """Of a full cache of verified tokens, each with the cookies that a browser sends: the token twice, and others."""
    tokens.site_verifier().forget()
    users._carried.cache_clear()
    made = [clerk.token(sid=f"sess_{number}", claims=CLAIMS) for number in range(200)]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for token in made:
        identify(token)
        cookie_header = f"__session={token}; __session_benchmark={token}; {'x' * 1000}"
        tokens.site_verifier().remember(cookie_header, token, tokens.verify(token))
    gc.collect()
    each = (tracemalloc.get_traced_memory()[0] - before) / len(made) + len(made[0])
    tracemalloc.stop()
    note = f"{each / 1024:.1f} KB each, {MAX_CACHED} at most"
    yield Figure("MB of memory for a full cache of tokens", each * MAX_CACHED / 1e6, at_most=60, note=note)


# --- Measuring


def microseconds(*functions: Callable[[], object], calls: int) -> list[float]:
    """The processor's time for a call of each: the best of many short rounds in turns, for noise only ever adds."""
    times: list[list[float]] = [[] for _ in functions]
    with quiet_collector():
        for _ in range(ROUNDS):
            for function, kept in zip(functions, times, strict=True):
                started = time.process_time()
                for _ in range(calls):
                    function()
                kept.append((time.process_time() - started) / calls * 1e6)
    return [min(kept) for kept in times]


@contextmanager
def quiet_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
