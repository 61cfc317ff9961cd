"""System checks of the settings that are Django's own; Clerk's are in `clerk_sync.checks`."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def environment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """manageros.E001: a variable that was set but could not be read."""
    hint = "See Settings in README.md for what the variable may hold."
    return [Error(problem, hint=hint, id="manageros.E001") for problem in settings.ENVIRONMENT_PROBLEMS.values()]


@register()
def secret_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """manageros.E002: no secret key outside development."""
    if settings.SECRET_KEY:
        return []
    hint = "Set DJANGO_SECRET_KEY to 50 random characters or more, the same for every process of the site."
    return [Error("DJANGO_SECRET_KEY is not set.", hint=hint, id="manageros.E002")]


@register()
def allowed_hosts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """manageros.E003: no host would be answered."""
    if settings.ALLOWED_HOSTS:
        return []
    hint = "Set DJANGO_ALLOWED_HOSTS to the host names the site is reached by, comma-separated."
    return [Error("DJANGO_ALLOWED_HOSTS is not set.", hint=hint, id="manageros.E003")]
