"""The first request of a user whom no webhook has announced yet."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import responses
import time_machine
from django.db import connection
from pytest_django import Settings

from accounts.models import User
from clerk_sync.mirror import mirror_deleted_user
from clerk_sync.provisioning import UNKNOWN_FOR, ClerkUnavailable, UnknownClerkUser, provision
from tests.accounts.factories import a_user
from tests.clerk_sync.payloads import clerk_user


@pytest.fixture
def clerk_api(settings: Settings) -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as clerk_api:
        yield clerk_api


def url(settings: Settings, clerk_user_id: str = "user_ada") -> str:
    return f"{settings.CLERK_API_URL}/users/{clerk_user_id}"


@pytest.mark.django_db
def test_unknown_user_is_fetched_and_created(settings: Settings, clerk_api: responses.RequestsMock) -> None:
    clerk_api.get(url(settings), json=clerk_user(email="ada@example.com"))

    user = provision("user_ada")

    assert (user.clerk_user_id, user.email, user.name) == ("user_ada", "ada@example.com", "John Doe Updated")


@pytest.mark.django_db
def test_unknown_user_is_linked_by_verified_primary_email(
    settings: Settings, clerk_api: responses.RequestsMock
) -> None:
    local = a_user(clerk_user_id=None, email="ada@example.com")
    clerk_api.get(url(settings), json=clerk_user(email="Ada@Example.com"))

    assert provision("user_ada") == local


@pytest.mark.django_db
def test_user_whom_clerk_does_not_know_is_unknown(settings: Settings, clerk_api: responses.RequestsMock) -> None:
    error = {"errors": [{"code": "resource_not_found", "message": "not found", "long_message": "not found"}]}
    clerk_api.get(url(settings), json=error, status=404)

    for _ in range(3):
        with pytest.raises(UnknownClerkUser):
            provision("user_ada")

    assert len(clerk_api.calls) == 1
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=UNKNOWN_FOR + 1)):
        clerk_api.get(url(settings), json=clerk_user())
        assert provision("user_ada").clerk_user_id == "user_ada"


@pytest.mark.django_db
def test_other_refusals_of_clerks_are_not_remembered(settings: Settings, clerk_api: responses.RequestsMock) -> None:
    clerk_api.get(url(settings), json={"errors": []}, status=422)
    with pytest.raises(UnknownClerkUser):
        provision("user_ada")
    clerk_api.replace(responses.GET, url(settings), json=clerk_user())

    assert provision("user_ada").clerk_user_id == "user_ada"


@pytest.mark.django_db
def test_user_deleted_at_clerk_stays_unknown_and_clerk_is_not_asked(clerk_api: responses.RequestsMock) -> None:
    mirror_deleted_user("user_ada", datetime.now(UTC))

    with pytest.raises(UnknownClerkUser):
        provision("user_ada")
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "retry_after"),
    [
        ({"status": 429, "headers": {"Retry-After": "17"}}, 17),
        ({"status": 500}, 5),
        ({"status": 401, "json": {"errors": []}}, 5),
        ({"json": {"id": "user_ada"}}, 5),
        ({"json": {}}, 5),
    ],
)
def test_clerk_that_cannot_answer_is_unavailable_and_nobody_is_created(
    settings: Settings, clerk_api: responses.RequestsMock, answer: dict[str, object], retry_after: float
) -> None:
    clerk_api.get(url(settings), **answer)

    with pytest.raises(ClerkUnavailable) as unavailable:
        provision("user_ada")

    assert unavailable.value.retry_after == retry_after
    assert not User.objects.exists()


@pytest.mark.django_db
def test_another_user_than_asked_for_is_not_taken(settings: Settings, clerk_api: responses.RequestsMock) -> None:
    clerk_api.get(url(settings), json=clerk_user("user_2"))

    with pytest.raises(ClerkUnavailable):
        provision("user_ada")
    assert not User.objects.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("local", [False, True])
def test_first_requests_at_once_make_one_user(
    settings: Settings, clerk_api: responses.RequestsMock, local: bool
) -> None:
    if local:
        a_user(clerk_user_id=None, email="ada@example.com")
    clerk_api.get(url(settings), json=clerk_user(email="ada@example.com"))
    barrier = Barrier(8)

    def request(_: int) -> User:
        try:
            barrier.wait()
            return provision("user_ada")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        users = list(threads.map(request, range(8)))

    assert set(users) == {User.objects.get()}
