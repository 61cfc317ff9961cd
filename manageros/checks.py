"""System checks of the settings that are Django's own; Clerk's are in `clerk_sync.checks`."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  Django's own name
from django.core.exceptions import ImproperlyConfigured

DJANGO = "https://docs.djangoproject.com/en/5.2/ref/settings/"


@register()
def environment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """manageros.E001: a variable that was set but could not be read."""
    hint = "See Settings in README.md for what the variable may hold."
    return [Error(problem, hint=hint, id="manageros.E001") for problem in settings.ENVIRONMENT_PROBLEMS.values()]


@register()
def secret_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """manageros.E002: no secret key outside development."""
    try:
        settings.SECRET_KEY  # noqa: B018  an empty one raises, which would end the checks here
    except ImproperlyConfigured:
        pass
    else:
        return []
    hint = f"Set DJANGO_SECRET_KEY to 50 random characters or more, the same for every process: {DJANGO}#secret-key"
    return [Error("DJANGO_SECRET_KEY is not set.", hint=hint, id="manageros.E002")]


@register()
def allowed_hosts(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """manageros.E003: no host would be answered."""
    if settings.ALLOWED_HOSTS:
        return []
    hint = f"Set DJANGO_ALLOWED_HOSTS to the site's host names, comma-separated: {DJANGO}#allowed-hosts"
    return [Error("DJANGO_ALLOWED_HOSTS is not set.", hint=hint, id="manageros.E003")]


@register(Tags.security, deploy=True)
def database_engine(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """manageros.W001: a database with room for one writer at a time."""
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3":
        return []
    problem = "The database is SQLite: one writer at a time, on one machine."
    hint = "Set DATABASE_URL to PostgreSQL's: postgresql://USER:PASSWORD@HOST/NAME. See docs/deploy.md."
    return [Warning(problem, hint=hint, id="manageros.W001")]
