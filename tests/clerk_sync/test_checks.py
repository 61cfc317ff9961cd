"""A missing or malformed Clerk setting stops the site at start-up, with where to find the right one."""

from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from clerk_sync.checks import IDENTIFY, PASSWORDS
from tests.instance import ClerkInstance

IN_THE_REQUEST = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
LIVE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"


def reported(prefix: str = "clerk_sync.") -> dict[str, str]:
    return {str(problem.id): str(problem.hint) for problem in run_checks() if str(problem.id).startswith(prefix)}


@pytest.fixture(autouse=True)
def _shared_cache(settings: Settings) -> None:
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {"default": redis}


def test_complete_settings_are_not_complained_about() -> None:
    assert reported() == {}


@pytest.mark.parametrize(
    ("name", "value", "problem", "where"),
    [
        ("CLERK_PUBLISHABLE_KEY", "", "clerk_sync.E001", "API keys"),
        ("CLERK_PUBLISHABLE_KEY", "pk_test_nonsense", "clerk_sync.E002", "API keys"),
        ("CLERK_SECRET_KEY", "", "clerk_sync.E003", "API keys"),
        ("CLERK_SECRET_KEY", "pk_test_Y2xlcmsuY2xlcmsuZGV2JA", "clerk_sync.E004", "API keys"),
        ("CLERK_SECRET_KEY", "sk_test_pasted with a line\nbreak", "clerk_sync.E004", "API keys"),
        ("CLERK_SECRET_KEY", "sk_live_of_another_instance", "clerk_sync.E005", "same page"),
        ("CLERK_JWT_KEY", "-----BEGIN PUBLIC KEY-----\nbroken\n-----END PUBLIC KEY-----", "clerk_sync.E006", "JWKS"),
        ("CLERK_WEBHOOK_SIGNING_SECRET", [], "clerk_sync.E007", "Webhooks"),
        ("CLERK_WEBHOOK_SIGNING_SECRET", ["whsec_c2VjcmV0", "secret"], "clerk_sync.E008", "Webhooks"),
        ("CLERK_WEBHOOK_SIGNING_SECRET", ["whsec_é"], "clerk_sync.E008", "Webhooks"),
        ("CLERK_FRONTEND_API_URL", "http://clerk.example.com", "clerk_sync.E009", "CLERK_PUBLISHABLE_KEY"),
        ("CLERK_API_URL", "https://[", "clerk_sync.E009", "Backend API"),
        ("CLERK_SIGN_IN_URL", "javascript:alert(1)", "clerk_sync.E009", "Account Portal"),
        ("MIDDLEWARE", [], "clerk_sync.E010", "manageros/settings.py"),
        ("MIDDLEWARE", [IDENTIFY, PASSWORDS], "clerk_sync.E010", "manageros/settings.py"),
        ("METRICS_TOKEN", "short", "clerk_sync.W005", "docs/deploy.md"),
        ("TASKS", IN_THE_REQUEST, "clerk_sync.W004", "db_worker"),
    ],
)
def test_a_wrong_setting_is_named_with_where_to_find_it(
    settings: Settings, name: str, value: Any, problem: str, where: str
) -> None:
    setattr(settings, name, value)

    assert reported().keys() == {problem}
    assert where in reported()[problem]


def test_the_pem_key_of_an_instance_is_accepted(settings: Settings, clerk_instance: ClerkInstance) -> None:
    settings.CLERK_JWT_KEY = clerk_instance.public_pem

    assert reported() == {}


def test_every_host_allowed_and_no_authorized_party_is_warned_of(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.CLERK_AUTHORIZED_PARTIES = []

    assert reported().keys() == {"clerk_sync.W001"}


def test_a_cache_per_process_is_warned_of_in_production(settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

    assert reported().keys() == {"clerk_sync.W002"}

    settings.DEBUG = True
    assert reported() == {}


@pytest.mark.parametrize("kind", ["clerk_sync.W003", "clerk_sync.W006", "manageros.W001"])
def test_what_suits_development_alone_is_warned_of_before_a_deployment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, clerk_instance: ClerkInstance, kind: str
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")

    def before_deployment() -> set[str]:
        return {str(problem.id) for problem in run_checks(include_deployment_checks=True)}

    assert kind in before_deployment()
    assert kind not in {str(problem.id) for problem in run_checks()}

    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    settings.CLERK_PUBLISHABLE_KEY = LIVE_KEY
    settings.CLERK_JWT_KEY = clerk_instance.public_pem
    assert kind not in before_deployment()
