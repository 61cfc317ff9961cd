from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings

from tests.instance import ClerkInstance


@pytest.fixture(scope="session")
def clerk_instance() -> ClerkInstance:
    return ClerkInstance()


@pytest.fixture
def clerk(clerk_instance: ClerkInstance, settings: Settings) -> ClerkInstance:
    """The instance that the site trusts, by its PEM key: verification needs no network."""
    settings.CLERK_JWT_KEY = clerk_instance.public_pem
    return clerk_instance


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()
