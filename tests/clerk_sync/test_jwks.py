"""Keys over real HTTP: fetched once, whatever is sent, and kept while Clerk is down."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.models import User
from clerk_sync import tokens
from clerk_sync.jwks import COOL_DOWN, DEADLINE, MAX_AGE, PublishedKeys, published_keys
from clerk_sync.refusals import IdentityUnavailable, Reason, TokenRefused
from tests.instance import ClerkInstance, claims_of, sign_in

Respond = Callable[[BaseHTTPRequestHandler], None]


class JWKSServer:
    """Publishes keys, counts how often it was asked, and misbehaves when told to."""

    def __init__(self) -> None:
        self.requests = 0
        self.document: Any = {"keys": []}
        self.respond: Respond = self.publish
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                assert self.path == "/.well-known/jwks.json"
                server.respond(self)

            def log_message(self, *args: Any) -> None:
                """Tests need no access log."""

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def publish(self, request: BaseHTTPRequestHandler, status: int = 200, body: bytes | None = None) -> None:
        body = json.dumps(self.document).encode() if body is None else body
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()


@pytest.fixture
def jwks() -> Iterator[JWKSServer]:
    server = JWKSServer()
    yield server
    server.close()


@pytest.fixture
def published(jwks: JWKSServer, clerk_instance: ClerkInstance, settings: Settings) -> ClerkInstance:
    """The instance that the site trusts by the keys that it publishes."""
    settings.CLERK_FRONTEND_API_URL = jwks.url
    jwks.document = clerk_instance.jwks
    return ClerkInstance(issuer=jwks.url, key=clerk_instance.key)


def let_pass(keys: PublishedKeys, seconds: float) -> None:
    """As if the last fetch had been that much earlier: nothing can move the clock that cool-downs go by."""
    assert keys._attempted_at is not None
    keys._attempted_at -= seconds
    if keys._fetched_at is not None:
        keys._fetched_at -= seconds


def settle(keys: PublishedKeys) -> None:
    """Wait until no fetch is under way."""
    while keys._flight is not None:
        time.sleep(0.01)


def test_keys_are_fetched_once_and_kept(jwks: JWKSServer, published: ClerkInstance) -> None:
    for number in range(5):
        assert tokens.verify(published.token(sid=f"sess_{number}")).clerk_user_id == "user_1"

    assert jwks.requests == 1


def test_keys_are_those_of_one_instance(jwks: JWKSServer, published: ClerkInstance, settings: Settings) -> None:
    """Another instance with the same kid is another instance."""
    assert tokens.verify(published.token())
    other = JWKSServer()
    try:
        stranger = ClerkInstance(issuer=other.url)
        other.document = stranger.jwks
        settings.CLERK_FRONTEND_API_URL = other.url
        with pytest.raises(TokenRefused) as refused:
            tokens.verify(published.token())
        assert refused.value.refusal.reason in {Reason.TOKEN_SIGNATURE, Reason.TOKEN_ISSUER}
        assert tokens.verify(stranger.token())
    finally:
        other.close()


@pytest.mark.prove
@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.clerk_sync.site")
def test_a_flood_of_unknown_keys_causes_one_fetch_and_disturbs_nobody(
    jwks: JWKSServer, published: ClerkInstance, ada: User
) -> None:
    """1,000 requests with 1,000 unknown `kid`s from 16 threads, and a valid user among them."""
    valid = published.token(claims=claims_of(ada))
    assert ask(valid) == 200
    keys = published_keys(jwks.url)
    let_pass(keys, COOL_DOWN)
    mallory = ClerkInstance(issuer=jwks.url)
    flood = [mallory.token(headers={"kid": f"ins_{number}"}) for number in range(1000)]

    started = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        flooding = [threads.submit(ask, token) for token in flood]
        served = [ask(published.token(sid=f"sess_{number}", claims=claims_of(ada))) for number in range(50)]
        refused = {future.result() for future in flooding}

    assert refused == {401}
    assert served == [200] * 50
    assert ask(valid) == 200
    # The first, and for all the flood one in each cool-down that it lasted.
    assert jwks.requests <= 2 + (time.monotonic() - started) // COOL_DOWN


def ask(token: str) -> int:
    client = Client()
    sign_in(client, token)
    return client.get("/private/").status_code


@pytest.mark.parametrize("kid", [None, "", "ins_tests"])
def test_bad_tokens_neither_fetch_nor_evict(jwks: JWKSServer, published: ClerkInstance, kid: str | None) -> None:
    """A missing kid, and the real one over a bad signature: what made other libraries fetch for each."""
    assert tokens.verify(published.token())
    let_pass(published_keys(jwks.url), COOL_DOWN)
    mallory = ClerkInstance(issuer=jwks.url)

    for _ in range(20):
        with pytest.raises(TokenRefused):
            tokens.verify(mallory.token(headers={"kid": kid}))

    assert jwks.requests <= 2
    assert tokens.verify(published.token(sid="sess_2"))


def test_a_rotated_key_is_picked_up(jwks: JWKSServer, published: ClerkInstance) -> None:
    assert tokens.verify(published.token())
    rotated = ClerkInstance(issuer=jwks.url, key_id="ins_rotated")
    jwks.document = {"keys": published.jwks["keys"] + rotated.jwks["keys"]}

    with pytest.raises(TokenRefused):
        tokens.verify(rotated.token())
    let_pass(published_keys(jwks.url), COOL_DOWN)

    assert tokens.verify(rotated.token())
    assert tokens.verify(published.token(sid="sess_2"))
    assert jwks.requests == 2


def test_a_withdrawn_key_stops_working_at_the_next_fetch(jwks: JWKSServer, published: ClerkInstance) -> None:
    withdrawn = published.token(exp=int(time.time()) + 10 * 3600)
    assert tokens.verify(withdrawn)
    jwks.document = ClerkInstance(key_id="ins_rotated").jwks
    let_pass(published_keys(jwks.url), MAX_AGE)

    tokens.verify(withdrawn)  # answered with the key in hand, while the new ones are fetched
    settle(published_keys(jwks.url))

    with pytest.raises(TokenRefused) as refused:
        tokens.verify(withdrawn)
    assert refused.value.refusal.reason is Reason.TOKEN_KEY_UNKNOWN


def hang(request: BaseHTTPRequestHandler) -> None:
    time.sleep(2 * DEADLINE)


def drip(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(100):
        request.wfile.write(b" ")
        time.sleep(0.2)


OUTAGES: dict[str, tuple[int, bytes]] = {
    "an error": (500, b"{}"),
    "a redirect": (302, b""),
    "no JSON": (200, b"<html>"),
    "another document": (200, b"[]"),
    "no keys": (200, b'{"keys": []}'),
    "keys of another kind": (200, b'{"keys": [{"kty": "EC", "kid": "ins_tests"}, 7, null]}'),
    "a key that is none": (200, b'{"keys": [{"kty": "RSA", "kid": "ins_tests", "n": "AQAB", "e": "AQ"}]}'),
    "a key without numbers": (200, b'{"keys": [{"kty": "RSA", "kid": "ins_tests"}]}'),
    "a huge document": (200, b'{"keys": ["' + b"x" * 300_000 + b'"]}'),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_without_any_key_the_identity_is_unavailable(jwks: JWKSServer, published: ClerkInstance, outage: str) -> None:
    status, body = OUTAGES[outage]
    jwks.respond = lambda request: jwks.publish(request, status, body)

    for _ in range(3):
        with pytest.raises(IdentityUnavailable) as unavailable:
            tokens.verify(published.token())

    assert unavailable.value.retry_after == COOL_DOWN
    assert jwks.requests == 1


@pytest.mark.parametrize("outage", OUTAGES)
def test_keys_in_hand_are_used_while_clerk_is_down(jwks: JWKSServer, published: ClerkInstance, outage: str) -> None:
    assert tokens.verify(published.token())
    status, body = OUTAGES[outage]
    jwks.respond = lambda request: jwks.publish(request, status, body)

    for _ in range(3):
        let_pass(published_keys(jwks.url), MAX_AGE)
        assert tokens.verify(published.token(sid="sess_2"))
        settle(published_keys(jwks.url))

    assert jwks.requests == 4
    assert tokens.verify(published.token(sid="sess_3"))


def test_a_server_that_is_gone_is_an_outage_too(jwks: JWKSServer, published: ClerkInstance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    keys = PublishedKeys(f"http://127.0.0.1:{port}/.well-known/jwks.json")

    with pytest.raises(IdentityUnavailable):
        keys.get("ins_tests")


@pytest.mark.parametrize("respond", [hang, drip])
def test_nobody_waits_longer_than_the_deadline(jwks: JWKSServer, published: ClerkInstance, respond: Respond) -> None:
    jwks.respond = respond
    started = time.monotonic()

    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(tokens.verify, published.token()) for _ in range(4)]
        outcomes = [future.exception() for future in waiting]

    assert {type(outcome) for outcome in outcomes} == {IdentityUnavailable}
    assert time.monotonic() - started < 2 * DEADLINE - 0.5  # when the server would have hung up
    assert jwks.requests == 1


def test_many_threads_wait_for_one_fetch(jwks: JWKSServer, published: ClerkInstance) -> None:
    def slowly(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        jwks.publish(request)

    jwks.respond = slowly
    with ThreadPoolExecutor(16) as threads:
        claims = list(threads.map(tokens.verify, [published.token(sid=f"sess_{number}") for number in range(64)]))

    assert len(claims) == 64
    assert jwks.requests == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.clerk_sync.site")
@pytest.mark.parametrize("path", ["/who-async/", "/who/", "/private-async/", "/api/me/"])
def test_the_event_loop_goes_on_while_one_request_waits_for_keys(
    jwks: JWKSServer, published: ClerkInstance, ada: User, path: str
) -> None:
    def slowly(request: BaseHTTPRequestHandler) -> None:
        time.sleep(1)
        jwks.publish(request)

    jwks.respond = slowly
    client = AsyncClient()
    sign_in(client, published.token(claims=claims_of(ada)))

    async def ask_and_watch() -> tuple[int, int]:
        """The status, and how often the loop came round while the answer was awaited."""
        asking = asyncio.ensure_future(client.get(path))
        rounds = 0
        while not asking.done():
            await asyncio.sleep(0.01)
            rounds += 1
        return (await asking).status_code, rounds

    status, rounds = async_to_sync(ask_and_watch)()

    assert status == 200
    assert rounds > 10  # of about a hundred; none, if the second had been spent in the loop
