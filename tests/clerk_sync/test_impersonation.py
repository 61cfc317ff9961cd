"""What somebody does on another's behalf says so, in every log line."""

import logging
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from accounts.models import User
from manageros.logs import JSONFormatter, RequestIdFilter, TextFormatter
from tests.instance import ClerkInstance, claims_of, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.clerk_sync.site")]


class Kept(logging.Handler):
    """Formats records when they are made, as the handler of the settings does."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(RequestIdFilter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [JSONFormatter().format(record), TextFormatter().format(record)]


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


@pytest.fixture(params=["wsgi", "asgi"])
def post(request: pytest.FixtureRequest) -> Callable[[str], None]:
    def post_wsgi(token: str) -> None:
        client = Client()
        sign_in(client, token)
        assert client.post("/logged/").status_code == 204

    def post_asgi(token: str) -> None:
        client = AsyncClient()
        sign_in(client, token)
        assert async_to_sync(client.post)("/logged/").status_code == 204

    return post_wsgi if request.param == "wsgi" else post_asgi


def test_every_line_of_a_write_names_the_actor(
    clerk: ClerkInstance, ada: User, kept: Kept, post: Callable[[str], None]
) -> None:
    post(clerk.token(claims=claims_of(ada), act={"sub": "user_support"}))

    assert len(kept.lines) == 4  # the view's line and the middleware's, in both forms
    assert all("user_support" in line for line in kept.lines)
    assert any("POST /logged/ was answered with 204, for user_1." in line for line in kept.lines)


def test_the_next_request_of_the_same_thread_is_its_own(
    clerk: ClerkInstance, ada: User, kept: Kept, post: Callable[[str], None]
) -> None:
    post(clerk.token(claims=claims_of(ada), act={"sub": "user_support"}))
    kept.lines.clear()

    post(clerk.token(claims=claims_of(ada)))

    assert len(kept.lines) == 4
    assert not any("user_support" in line or "behalf" in line for line in kept.lines)
