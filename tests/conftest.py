import os
import shutil
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from accounts.models import Membership, Organization, Person, Role, User
from clerk_sync import announcements
from clerk_sync.models import MetadataSync
from manageros.settings import cache as cache_config
from tests.instance import ClerkInstance
from tests.redis import RedisServer


@pytest.fixture(autouse=True)
def _cache_was_never_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes of a cache that is away ends with the test, and its return is announced only when asked to."""
    monkeypatch.setattr(announcements, "_absences", 0)
    monkeypatch.setattr(announcements, "_announced", 0)
    monkeypatch.setattr(announcements, "_memory", None)
    monkeypatch.setattr(announcements, "_keep_announcing", lambda: None)


@pytest.fixture(scope="session")
def clerk_instance() -> ClerkInstance:
    return ClerkInstance()


@pytest.fixture
def clerk(clerk_instance: ClerkInstance, settings: Settings) -> ClerkInstance:
    """The instance that the site trusts, by its PEM key: verification needs no network."""
    settings.CLERK_JWT_KEY = clerk_instance.public_pem
    return clerk_instance


@pytest.fixture
def ada() -> User:
    """An admin of Acme, linked to a person there, as the database has her. Nothing is delivered or announced."""
    user: User = User.objects.create(clerk_user_id="user_1", email="ada@example.com", name="Ada")
    acme = Organization.objects.create(name="Acme", slug="acme")
    Membership.objects.create(user=user, organization=acme, role=Role.ADMIN, is_active=True)
    Person.objects.create(organization=acme, user=user, name="Ada")
    MetadataSync.objects.update_or_create(
        clerk_user_id="user_1", defaults={"user": user, "state": MetadataSync.State.SYNCED, "claims_after": 0}
    )
    cache.clear()
    return user


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def redis_cache(redis_server: RedisServer, settings: Settings) -> RedisServer:
    """Redis in place of the in-process cache, as in production."""
    settings.CACHES = {"default": cache_config(redis_server.url)}
    cache.clear()
    redis_server.calls()
    return redis_server


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one engine run where that engine is, and are deselected, not skipped, elsewhere."""
    elsewhere = "sqlite" if connection.vendor == "postgresql" else "postgresql"
    deselected = [item for item in items if item.get_closest_marker(elsewhere)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In CI a skipped test is a failed one: what is skipped there is tested nowhere."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    if os.environ.get("CI") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and nothing may be skipped in CI: {report.longrepr}"
